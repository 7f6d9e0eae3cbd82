//! Endless connections by one user or by a crowd of uids: others are still served, and quickly.

use std::time::{Duration, Instant};

use qrtotp_tests::{Sandbox, broker::Storm};

/// Limit for the median of alice's commands, the start of a process included. Measured on two busy
/// processors: 20 ms without a storm, 100 ms in a crowd, and 1.3 s when the accepting thread waited for
/// admission.
const SOON: Duration = Duration::from_millis(500);

/// Alice is served quickly while another process connects thousands of times.
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
    // Enough to fill their shared places, and as many as a user with subordinate uids has.
    is_weathered(&sandbox, || sandbox.storm_of_strangers(200));
    is_weathered(&sandbox, || sandbox.storm_of_strangers(60_000));
}
