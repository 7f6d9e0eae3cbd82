//! A flood of refused callers in the system log: the log shows it, and keeps room for the lines of others.

use std::time::Duration;

use qrtotp_tests::{
    Sandbox,
    broker::{Broker, PROGRAM, SOCKET, frame},
    clock,
};

/// A host with a broker that ends two seconds after its last caller, when its log is complete.
fn host() -> (Sandbox, Broker) {
    let sandbox = Sandbox::with_broker("");
    let argv = ["systemd-socket-activate", "-l", SOCKET, PROGRAM, "--idle-exit", "2"];
    let broker = sandbox.start_broker_with(&argv);
    sandbox.run(&["chmod", "666", SOCKET]).success();
    (sandbox, broker)
}

fn lines(sandbox: &Sandbox, texts: &[&str]) -> Vec<String> {
    let events = sandbox.log.events();
    events.into_iter().filter(|line| texts.iter().all(|text| line.contains(text))).collect()
}

/// How many callers were refused by a separate line, and how many were left out, once there are `all`.
fn counted(sandbox: &Sandbox, all: usize) -> (usize, usize) {
    let so_far = || {
        let left_out = lines(sandbox, &["event=lines_left_out"]).iter().map(|line| count(line)).sum();
        (lines(sandbox, &["event=caller_refused"]).len(), left_out)
    };
    clock::poll(Duration::from_secs(5), || (so_far().0 + so_far().1 >= all).then_some(()));
    so_far()
}

fn count(line: &str) -> usize {
    line.split(' ').find_map(|word| word.strip_prefix("count=")).unwrap().parse().unwrap()
}

#[test]
fn refusals_of_one_caller_are_logged_up_to_a_limit_and_then_counted_and_those_of_others_are_not_lost() {
    let (sandbox, mut broker) = host();
    let enroll = frame(1, 1, &[0; 2]);
    for _ in 0..50 {
        let heard = sandbox.send_raw("mallory", &enroll, Duration::ZERO);
        assert!(heard.contains("enrolment token"), "{heard:?}");
    }
    sandbox.own_output("alice", &["enroll", "--qr", "none"]).exited(1);
    let refused = "event=enrollment_refused reason=not_enrolled";
    let _ = sandbox.log.wait(&[refused, "user=alice", "by=alice"]);
    let by_mallory = lines(&sandbox, &[refused, "by=mallory"]).len();
    assert!((10..50).contains(&by_mallory), "{by_mallory}");
    assert!(broker.ended(Duration::from_secs(30)));
    let left_out = sandbox.log.wait(&["event=lines_left_out reason=refusals", "by=mallory"]);
    assert_eq!(count(&left_out), 50 - by_mallory, "{left_out}");
}

#[test]
fn a_flood_of_connections_is_in_the_log_and_does_not_fill_it() {
    let (sandbox, mut broker) = host();
    let (mut flood, got) = sandbox.flood("mallory", 1000);
    assert!(got > 900, "{got}");
    let _ = sandbox.log.wait(&["event=caller_refused", "reason=too_many_", "service=qrtotpd", "by=300"]);
    drop(flood.stdin.take());
    flood.wait().unwrap();
    assert!(broker.ended(Duration::from_secs(60)));
    let (refused, left_out) = counted(&sandbox, 905);
    assert!(refused <= 4 && left_out > 900, "{refused}, {left_out}");
}

#[test]
fn callers_who_are_nobodys_are_in_the_log_and_do_not_fill_it() {
    let (sandbox, mut broker) = host();
    let (mut strangers, got) = sandbox.strangers(300);
    assert_eq!(got, 300);
    let _ = sandbox.log.wait(&["event=caller_refused reason=no_account", "by=200"]);
    drop(strangers.stdin.take());
    strangers.wait().unwrap();
    assert!(broker.ended(Duration::from_secs(60)));
    let (refused, left_out) = counted(&sandbox, 300);
    assert_eq!(refused + left_out, 300);
    // One of each reason: no account, gone before they were looked up, and no place to wait in when looking
    // up takes long.
    assert!(refused <= 3, "{refused}");
}
