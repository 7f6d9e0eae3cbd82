//! Cockpit of Debian 13: its web server, cockpit-session, which talks to PAM, and its bridge. A script shows
//! the login page's texts.

use std::time::Duration;

use qrtotp_tests::{
    Phone, Pty, Sandbox, artefacts, clock,
    first_login::{CHOICES, CODES, ENTER, INSIDE, RESUMED},
    openssh::{NEWEST, System},
    recipes::Recipe,
    users::PASSWORD,
};

const PAGE: &str = "/usr/local/bin/cockpit_page.py";
/// systemd's part for cockpit: one cockpit-session per connection to its socket.
const SESSIONS: &str =
    "systemd-socket-activate --accept --inetd -l /run/cockpit/session /usr/lib/cockpit/cockpit-session";
const SERVER: &str = "/usr/lib/cockpit/cockpit-ws --no-tls --address 127.0.0.1";

/// Debian 13 with cockpit, if it could be unpacked, and docs/SERVICES.md's line in its PAM file.
fn host() -> Option<Sandbox> {
    if artefacts::is_missing(NEWEST) {
        return None;
    }
    let sandbox = System::debian(NEWEST).sandbox(None);
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.proves_passwords();
    Recipe::of("cockpit").write(&sandbox);
    sandbox.overwrite(PAGE, include_str!("../../../src/cockpit_page.py"));
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
    let Some(sandbox) = host() else { return };
    let mut page = log_in(&sandbox, PASSWORD);
    page.send("");
    page.expect("q to give up: ");
    page.send("i");
    page.expect(CHOICES);
    // The page can't show the picture, but its question is readable.
    page.send("k");
    let phone = Phone::scanned(&page.expect(CHOICES));
    sandbox.keep_secret(&phone.key);
    // Cockpit ends a login a minute after its last question; the next one resumes.
    drop(page);
    let mut page = log_in(&sandbox, PASSWORD);
    page.send("");
    page.expect(RESUMED);
    phone.wait_for_seconds_left(10);
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
fn cockpits_login_page_takes_password_and_code_once() {
    let Some(sandbox) = host() else { return };
    sandbox.add_user("bobby");
    let phone = sandbox.import("bobby");
    let attempt = |user: &str, code: &str| {
        let mut page = sandbox.pty(None, &["python3", PAGE, user]);
        for (question, answer) in [("assword", PASSWORD), ("Verification code", code)] {
            page.expect(question);
            page.send(answer);
        }
        page.finish().1.contains(INSIDE)
    };
    phone.wait_for_seconds_left(30);
    let code = phone.code();
    assert!(!attempt("bobby", &phone.wrong_code()));
    assert!(!attempt("alice", &code), "an account without a device");
    assert!(attempt("bobby", &code));
    assert!(!attempt("bobby", &code), "a used code");
    for reason in ["denied reason=wrong_code", "accepted reason=code", "denied reason=replayed_code"] {
        let _ = sandbox.log.wait(&[&format!("event=login result={reason} user=bobby service=cockpit")]);
    }
}

#[test]
fn a_stranger_at_cockpits_login_page_sees_no_qr_code() {
    let Some(sandbox) = host() else { return };
    // After a wrong password the stack goes on to our line: only our own proof can notice it.
    let recipe = sandbox.read("/etc/pam.d/cockpit");
    let weaker = recipe.replace("auth substack common-auth\n", "auth required pam_unix.so\n");
    assert_ne!(weaker, recipe);
    sandbox.pam("cockpit", &weaker);
    let before = sandbox.store_content();
    let mut page = log_in(&sandbox, "not the password");
    page.send("");
    let shown = page.failure();
    assert_eq!(shown.split(ENTER).nth(1), Some("\r\n401 Authentication failed\r\n"), "{shown}");
    assert_eq!(sandbox.store_content(), before);
    let _ = sandbox.log.wait(&["event=login result=denied reason=primary_factor user=alice service=cockpit"]);
}
