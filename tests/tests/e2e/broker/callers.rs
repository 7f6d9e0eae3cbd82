//! The broker's identification of callers: the kernel gives a uid, and only an unambiguous uid is served.

use qrtotp_tests::{
    Sandbox,
    broker::{DEVICE_QUESTION, ENROLS, SOCKET, as_user, frame},
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

/// A uid without an account in the sandbox, until a second line of a name has it.
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
    let fields = [text("alice"), text("tests"), text(""), vec![0, 0], text(""), text(&code)].concat();
    let heard = sandbox.send_raw(SECOND, &frame(1, 3, &fields), Duration::ZERO);
    assert!(heard.contains(NO_ACCOUNT), "{heard}");
    // The first line's uid is alice, as getpwnam(3) says: she is served as before, and her code was not used
    // up.
    let status = sandbox.own_output("alice", &["status"]).success().stdout;
    assert!(status.contains("alice") && status.contains("enrolled"), "{status}");
    let unlocks = sandbox.login("alice").answer(&code).under(&as_user("alice")).run();
    assert_eq!(unlocks.authenticate(), PAM_SUCCESS);
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(DEVICE_QUESTION);
}

/// uid 0 without capabilities, as in a sandboxed daemon.
const POWERLESS: [&str; 5] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"];
/// A rootful container: uid 0 of the host in namespaces of its own, with a container's usual capabilities.
const CONTAINER: [&str; 8] = [
    "unshare",
    "--mount",
    "--pid",
    "--uts",
    "--ipc",
    "--fork",
    "setpriv",
    "--bounding-set=-all,+chown,+dac_override,+fowner,+kill,+setgid,+setuid,+sys_chroot",
];

#[test]
fn uid_0_reaches_no_account_but_its_own() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    for arguments in [
        &["recovery", "regenerate", "alice"][..],
        &["enroll", "alice", "--qr", "none"],
        &["device", "rename", "alice", "--label", "mine"],
        &["revoke", "alice", "--all"],
        &["resync", "alice"],
        &["device", "list", "alice"],
        &["status", "alice"],
    ] {
        for caller in [&POWERLESS[..], &CONTAINER] {
            let command = [caller, &["qrtotp", "--socket", SOCKET], arguments].concat();
            let output = sandbox.run(&command).exited(1);
            assert!(output.stdout.is_empty() && output.stderr.contains("your own account"), "{output:?}");
        }
    }
    // A hand-written caller that names an account: in the form of an earlier protocol, in which root could,
    // and in the present one.
    for (kind, more) in [(1, &[0, 0][..]), (2, &[0]), (4, &[]), (5, &[2]), (6, &[0])] {
        let heard =
            sandbox.send_raw("root", &frame(1, kind, &[b"\0\x05alice", more].concat()), Duration::ZERO);
        assert!(!heard.contains("alice"), "{kind}: {heard}");
    }
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let fields = [text("alice"), text("tests"), text(""), vec![0, 0], text(""), text(&phone.code())].concat();
    let heard = sandbox.send_raw("root", &frame(1, 3, &fields), Duration::ZERO);
    assert!(heard.contains("your own account"), "{heard}");
    let devices = sandbox.run(&["qrtotp", "device", "list", "alice"]).success().stdout;
    assert_eq!(devices.matches("c-").count(), 1, "{devices}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "nothing was changed or used up");
}

#[test]
fn uid_0_proves_its_own_account_like_anybody() {
    let sandbox = Sandbox::with_broker("[throttle]\nfree_failures = 20\n");
    let phone = sandbox.import("root");
    let _broker = sandbox.start_broker();
    let through_broker = |arguments: &[&str]| {
        sandbox.pty_unrecorded(&[&POWERLESS[..], &["qrtotp", "--socket", SOCKET], arguments].concat())
    };
    for arguments in [&["recovery", "regenerate"][..], &["enroll"], &["revoke", "--all"]] {
        let mut pty = through_broker(arguments);
        for _ in 0..3 {
            pty.expect(DEVICE_QUESTION);
            pty.send(&phone.wrong_code());
        }
        pty.failure();
    }
    let mut pty = through_broker(&["revoke"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.code());
    assert!(pty.success().contains("No device is left"));
}
