//! A process with a user's uid learns nothing about that user's password from the broker, unless the password
//! opens everything.

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

/// The output for alice after this answer, and its delay.
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
    let at_the_end = Duration::from_millis(1950)..Duration::from_millis(2600);
    for (shown, time) in [wrong, right] {
        assert!(at_the_end.contains(&time), "{time:?}: {shown}");
    }
}

#[test]
fn nothing_that_modules_say_is_shown() {
    let (sandbox, _broker) = host(
        "auth optional pam_echo.so before\nauth requisite pam_unix.so nodelay\n\
         auth optional pam_echo.so behind\naccount required pam_permit.so\n",
    );
    let wrong = answered(&sandbox, "wrong horse").0;
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    let right = pty.expect("Code: ");
    for shown in [wrong, right] {
        assert!(!shown.contains("before") && !shown.contains("behind"), "{shown}");
    }
}

#[test]
fn an_account_part_that_asks_a_question_is_refused() {
    let (sandbox, _broker) = host("auth required pam_unix.so nodelay\naccount required pam_misbehaves.so\n");
    let module = artefacts::compile("pam_misbehaves.c", "pam_misbehaves.so", &["-shared", "-fPIC", "-lpam"]);
    sandbox.install(&module, &format!("{}/pam_misbehaves.so", sandbox.security_directory()), 0o644);
    let wrong = answered(&sandbox, "wrong horse").0;
    // The question alone would reveal that the password was right.
    assert_eq!(answered(&sandbox, PASSWORD).0, wrong);
    let _ = sandbox.log.wait(&["reason=account_refused", "user=alice"]);
}
