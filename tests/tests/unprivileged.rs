//! PAM applications that do not run as root, such as screen lockers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use qrtotp_tests::{Sandbox, host::PAM_AUTH_ERR};

/// Nobody waits for the broker for longer than 3 s; the start of a process takes its time, too.
const DEADLINE: Duration = Duration::from_secs(4);
/// Words that run what follows as alice.
const AS_ALICE: [&str; 6] = ["setpriv", "--reuid", "alice", "--regid", "alice", "--clear-groups"];

#[test]
fn without_a_broker_nobody_is_let_in_and_the_log_says_how_to_start_it() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let phone = sandbox.import("alice");
    let begun = Instant::now();
    let report = sandbox.login("alice").answer(&phone.code()).under(&AS_ALICE).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    let _ = sandbox.log.wait(&["event=login result=denied reason=broker user=alice", "qrtotpd.socket"]);
}

#[test]
fn nobody_is_asked_about_somebody_else() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.import("bobby");
    let report = sandbox.login("bobby").answer("123456").under(&AS_ALICE).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    assert!(report.messages(1).is_empty(), "{report:?}");
    let _ = sandbox.log.wait(&["event=login result=denied reason=not_own_account user=bobby"]);
}

#[test]
fn a_socket_that_never_answers_denies_within_the_deadline() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let phone = sandbox.import("alice");
    sandbox.run(&["install", "-d", "-m", "755", "/run/qrtotp"]).success();
    let silent = std::os::unix::net::UnixListener::bind(sandbox.path("/run/qrtotp/socket")).unwrap();
    sandbox.run(&["chmod", "666", "/run/qrtotp/socket"]).success();
    let begun = Instant::now();
    let report = sandbox.login("alice").answer(&phone.code()).under(&AS_ALICE).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    let took = begun.elapsed();
    assert!((Duration::from_secs(3)..DEADLINE).contains(&took), "{took:?}");
    let _ = sandbox.log.wait(&["event=login result=denied reason=broker user=alice"]);
    drop(silent);
}
