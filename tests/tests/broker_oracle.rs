//! What whoever has a user's uid can learn about that user's password from the broker: nothing, unless it opens everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use qrtotp_tests::{
    Sandbox, artefacts,
    broker::{Broker, ENROLS},
    users::PASSWORD,
};

fn host(stack: &str) -> (Sandbox, Broker) {
    let sandbox = Sandbox::with_broker(ENROLS);
    sandbox.keep_secret(PASSWORD);
    sandbox.pam("qrtotp", stack);
    let broker = sandbox.start_broker();
    (sandbox, broker)
}

/// What alice is shown after this answer, and how long it takes.
fn answered(sandbox: &Sandbox, password: &str) -> (String, Duration) {
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    let begun = Instant::now();
    pty.send(password);
    let shown = pty.failure();
    (shown, begun.elapsed())
}

#[test]
fn a_right_password_of_an_expired_account_is_answered_like_a_wrong_one_and_the_log_tells_them_apart() {
    let (sandbox, _broker) = host("auth required pam_unix.so\naccount required pam_unix.so\n");
    sandbox.run(&["chage", "-E", "0", "alice"]).success();
    let wrong = answered(&sandbox, "wrong horse");
    let _ = sandbox.log.wait(&["event=enrollment_refused reason=primary_factor user=alice", "failures=1"]);
    let right = answered(&sandbox, PASSWORD);
    let _ = sandbox.log.wait(&[
        "event=enrollment_refused reason=account_refused user=alice",
        "failures=2",
        "detail=\"the account part of the PAM service qrtotp: User account has expired\"",
    ]);
    assert_eq!(right.0, wrong.0);
    // pam_unix asks libpam for two seconds, of which libpam takes half off at most.
    for (shown, time) in [wrong, right] {
        assert!(time > Duration::from_millis(950), "{time:?}: {shown}");
    }
}

#[test]
fn what_modules_say_after_the_password_is_shown_only_once_it_opened_everything() {
    let stack = |account: &str| {
        format!(
            "auth optional pam_echo.so before\nauth requisite pam_unix.so nodelay\n\
             auth optional pam_echo.so welcome\naccount required {account}\n"
        )
    };
    let (sandbox, _broker) = host(&stack("pam_deny.so"));
    let wrong = answered(&sandbox, "wrong horse").0;
    assert!(wrong.contains("before"), "{wrong}");
    assert_eq!(answered(&sandbox, PASSWORD).0, wrong);
    sandbox.pam("qrtotp", &stack("pam_permit.so"));
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    pty.expect("welcome");
    pty.read_key(&sandbox);
}

#[test]
fn an_account_part_that_asks_a_question_is_refused() {
    let (sandbox, _broker) = host("auth required pam_unix.so nodelay\naccount required pam_misbehaves.so\n");
    let module = artefacts::compile("pam_misbehaves.c", "pam_misbehaves.so", &["-shared", "-fPIC", "-lpam"]);
    sandbox.install(&module, &format!("{}/pam_misbehaves.so", sandbox.security_directory()), 0o644);
    let wrong = answered(&sandbox, "wrong horse").0;
    // The question alone would say that the password was right.
    assert_eq!(answered(&sandbox, PASSWORD).0, wrong);
    let _ = sandbox.log.wait(&["reason=account_refused", "user=alice"]);
}
