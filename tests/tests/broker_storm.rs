//! Connections without end, by one user or by a crowd of uids: others are served meanwhile, and soon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use qrtotp_tests::{Sandbox, broker::Storm};

/// How long half of alice's commands may take at most, the start of a process included. Measured on two busy
/// processors: 20 ms when it is quiet, 100 ms in a crowd, and 1.3 s where the door waited for a place in the
/// lobby.
const SOON: Duration = Duration::from_millis(500);

/// Alice is served soon while somebody connects thousands of times.
fn is_weathered(sandbox: &Sandbox, start: impl Fn() -> Storm) {
    let storm = start();
    let (begun, mut times) = (Instant::now(), Vec::new());
    while times.len() < 15 || begun.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        assert!(sandbox.own_output("alice", &["status"]).success().stdout.contains("alice"));
        times.push(asked.elapsed());
    }
    times.sort();
    let connections = storm.over();
    assert!(connections > 2000, "no storm: {connections}");
    assert!(times[times.len() / 2] < SOON, "{connections} connections, and {times:?}");
}

#[test]
fn one_users_connections_without_end_hold_up_nobody() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    is_weathered(&sandbox, || sandbox.storm("mallory"));
    is_weathered(&sandbox, || sandbox.storm("nobody"));
}

#[test]
fn a_crowd_of_uids_that_are_nobodys_holds_up_nobody() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    // As few as fill what they share, and as many as a user with subordinate uids has.
    is_weathered(&sandbox, || sandbox.storm_of_strangers(200));
    is_weathered(&sandbox, || sandbox.storm_of_strangers(60_000));
}
