//! Cockpit of Debian 13: its web server, cockpit-session, which talks to PAM, and its bridge; in front of them a script that shows what the
//! login page would show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use qrtotp_tests::{
    Phone, Pty, Sandbox, artefacts, clock,
    first_login::{CHOICES, CODES, ENTER, INSIDE, RESUMED},
    openssh::{NEWEST, System},
    users::PASSWORD,
};

const PAGE: &str = "/usr/local/bin/cockpit_page.py";
/// What systemd does for cockpit: one cockpit-session per connection to its socket.
const SESSIONS: &str =
    "systemd-socket-activate --accept --inetd -l /run/cockpit/session /usr/lib/cockpit/cockpit-session";
const SERVER: &str = "/usr/lib/cockpit/cockpit-ws --no-tls --address 127.0.0.1";

/// Debian 13 with cockpit, if it could be unpacked; `auth` is the auth part of cockpit's PAM file.
fn host(auth: &str) -> Option<Sandbox> {
    if artefacts::lacks(NEWEST) {
        return None;
    }
    let sandbox = System::debian(NEWEST).sandbox(None);
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.proves_passwords();
    let shipped = sandbox.read("/etc/pam.d/cockpit");
    let changed = shipped.replace("auth       substack     common-auth\n", auth);
    assert_ne!(changed, shipped);
    sandbox.pam("cockpit", &changed);
    sandbox.overwrite(PAGE, include_str!("../src/cockpit_page.py"));
    let start = format!("mkdir /run/cockpit; for c in '{SESSIONS}' '{SERVER}'; do $c >/dev/null 2>&1 & done");
    sandbox.run(&["sh", "-c", &start]).success();
    let listens = || {
        let listening = sandbox
            .run(&["ss", "--listening", "--numeric", "--no-header", "--tcp", "--unix"])
            .success()
            .stdout;
        (listening.contains("/run/cockpit/session") && listening.contains(":9090")).then_some(())
    };
    clock::poll(Duration::from_secs(30), listens).expect("cockpit does not start");
    Some(sandbox)
}

fn log_in(sandbox: &Sandbox, password: &str) -> Pty {
    let mut page = sandbox.pty_unrecorded(&["python3", PAGE, "alice"]);
    page.give_password(password);
    page
}

#[test]
fn a_user_enrols_at_cockpits_login_page_by_the_key_as_text() {
    let Some(sandbox) = host("auth substack common-auth\nauth required pam_qrtotp.so\n") else { return };
    let mut page = log_in(&sandbox, PASSWORD);
    page.send("");
    page.expect("q to give up: ");
    page.send("i");
    page.expect(CHOICES);
    // The page can't show the picture, but its question is readable.
    page.send("k");
    let phone = Phone::scanned(&page.expect(CHOICES));
    sandbox.keep_secret(&phone.key);
    // Cockpit ends a login a minute after its last question; the next one goes on.
    drop(page);
    let mut page = log_in(&sandbox, PASSWORD);
    page.send("");
    page.expect(RESUMED);
    phone.settle(10);
    page.send(&phone.code());
    page.expect(CODES);
    page.send("skip");
    page.expect(INSIDE);
    page.success();
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=cockpit"]);
    let mut next = log_in(&sandbox, PASSWORD);
    next.send(&phone.wait_for_next_code());
    next.expect(INSIDE);
    next.success();
    let _ = sandbox.log.wait(&["event=login result=accepted reason=code user=alice service=cockpit"]);
}

#[test]
fn a_stranger_at_cockpits_login_page_sees_no_qr_code() {
    // A wrong password goes on to our line: only our own proof can tell.
    let auth = "auth required pam_unix.so\nauth required pam_qrtotp.so\n";
    let Some(sandbox) = host(auth) else { return };
    let before = sandbox.store_content();
    let mut page = log_in(&sandbox, "not the password");
    page.send("");
    let shown = page.failure();
    assert_eq!(shown.split(ENTER).nth(1), Some("\r\n401 Authentication failed\r\n"), "{shown}");
    assert_eq!(sandbox.store_content(), before);
    let _ = sandbox.log.wait(&["event=login result=denied reason=primary_factor user=alice service=cockpit"]);
}
