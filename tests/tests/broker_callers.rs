//! Whom the broker takes callers for: the kernel gives a uid, and only whose it is for sure is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Sandbox,
    broker::{DEVICE_QUESTION, ENROLS, as_user, frame},
    host::PAM_SUCCESS,
};
use std::time::Duration;

#[test]
fn accounts_that_can_not_log_in_are_refused() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let _ = sandbox.token_code("alice");
    for shell in ["/usr/sbin/nologin", "/bin/false", "/usr/bin/git-shell"] {
        let passwd = sandbox.read("/etc/passwd");
        let at = passwd.lines().find(|line| line.starts_with("alice:")).unwrap();
        let (start, _) = at.rsplit_once(':').unwrap();
        sandbox.overwrite("/etc/passwd", &passwd.replace(at, &format!("{start}:{shell}")));
        let output = sandbox.own_output("alice", &["enroll", "--qr", "none"]).exited(1);
        assert!(output.stderr.contains("no account on this host"), "{shell}: {output:?}");
    }
}

#[test]
fn a_uid_that_may_be_anybodys_is_refused() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let shell = "s|^nobody:.*|nobody:x:65534:65534::/:/bin/bash|";
    sandbox.run(&["sed", "-i", shell, "/etc/passwd"]).success();
    let argv = ["setpriv", "--reuid", "65534", "--clear-groups", "--", "qrtotp", "status"];
    let output = sandbox.run(&argv).exited(1);
    assert!(output.stderr.contains("not known on the broker's host"), "{output:?}");
}

/// A uid that is nobody's in a sandbox until a second line of a name has it.
const SECOND: &str = "9000";
const NO_ACCOUNT: &str = "no account on this host";

#[test]
fn a_second_uid_of_a_name_is_not_served_the_account_of_that_name() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    for name in ["alice", "mallory"] {
        let passwd = sandbox.read("/etc/passwd");
        let line = format!("{name}:x:{SECOND}:{SECOND}::/:/bin/bash\n");
        sandbox.append("/etc/passwd", &line);
        for arguments in [
            &["status"][..],
            &["device", "list"],
            &["enroll", "--qr", "none"],
            &["recovery", "regenerate"],
            &["revoke", "--all"],
        ] {
            let output = sandbox.own_output(SECOND, arguments).exited(1);
            let nothing = output.stdout.is_empty() && output.stderr.contains(NO_ACCOUNT);
            assert!(nothing, "{name}, {arguments:?}: {output:?}");
        }
        sandbox.overwrite("/etc/passwd", &passwd);
    }
    let _ = sandbox.log.wait(&["event=caller_refused reason=no_account", &format!("by={SECOND}")]);
    assert!(!sandbox.exists("/var/lib/qrtotp/accounts/mallory"));

    sandbox.append("/etc/passwd", &format!("alice:x:{SECOND}:{SECOND}::/:/bin/bash\n"));
    let code = phone.code();
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let fields = [text("alice"), text("tests"), text(""), vec![0], text(&code)].concat();
    let heard = sandbox.send_raw(SECOND, &frame(1, 3, &fields), Duration::ZERO);
    assert!(heard.contains(NO_ACCOUNT), "{heard}");
    // The first line's is alice, whom getpwnam(3) names: served as ever, and her code was not used up.
    let status = sandbox.own_output("alice", &["status"]).success().stdout;
    assert!(status.contains("alice") && status.contains("enrolled"), "{status}");
    let unlocks = sandbox.login("alice").answer(&code).under(&as_user("alice")).run();
    assert_eq!(unlocks.authenticate(), PAM_SUCCESS);
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(DEVICE_QUESTION);
}
