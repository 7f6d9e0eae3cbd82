//! Accounts whose lock another process holds: their own requests wait or are refused, all others go on.

use std::{
    fs::File,
    thread,
    time::{Duration, Instant},
};

use qrtotp_tests::{
    Sandbox,
    broker::{ENROLS, frame},
    clock,
    sandbox::STATE_DIR,
};

/// Takes the lock of a file or directory of the store, outside the broker, until it is dropped.
fn hold(sandbox: &Sandbox, path: &str) -> File {
    let held = File::open(sandbox.path(&format!("{STATE_DIR}/{path}"))).unwrap();
    held.lock().unwrap();
    held
}

/// A request to check a code for `user`. It changes the account's state, so it needs the lock.
fn check(user: &str, code: &str) -> Vec<u8> {
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    frame(1, 3, &[text(user), text("tests"), text(""), vec![0, 0], text(""), text(code)].concat())
}

#[test]
fn two_accounts_whose_locks_are_held_do_not_stall_a_third() {
    let sandbox = Sandbox::with_broker("");
    sandbox.add_user("carol");
    let owners = ["alice", "mallory"].map(|user| (user, sandbox.import(user)));
    let _broker = sandbox.start_broker();
    let _holders = owners.each_ref().map(|(user, _)| hold(&sandbox, &format!("accounts/{user}")));
    thread::scope(|scope| {
        // As many connections as the broker allows each of them.
        for (user, phone) in &owners {
            let request = check(user, &phone.wrong_code());
            for _ in 0..5 {
                let (sandbox, request) = (&sandbox, request.clone());
                scope.spawn(move || sandbox.send_raw(user, &request, Duration::ZERO));
            }
        }
        clock::pause(Duration::from_secs(1));
        let begun = Instant::now();
        assert!(sandbox.own_output("carol", &["status"]).success().stdout.contains("unenrolled"));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    });
}

#[test]
fn of_many_requests_for_one_account_whose_lock_is_held_two_wait_and_the_rest_are_refused_at_once() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let holder = hold(&sandbox, "accounts/alice");
    let request = check("alice", &phone.wrong_code());
    let begun = Instant::now();
    let (refused, waited): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let ask = || {
            let heard = sandbox.send_raw("alice", &request, Duration::ZERO);
            (begun.elapsed(), heard)
        };
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let asked = asking.into_iter().map(|thread| thread.join().unwrap());
        asked.partition(|(time, _)| *time < Duration::from_secs(3))
    });
    assert_eq!((refused.len(), waited.len()), (2, 2), "{refused:?}, {waited:?}");
    assert!(refused.iter().all(|(_, heard)| heard.contains("Try again")), "{refused:?}");
    let _ = sandbox.log.wait(&["event=login", "result=denied", "reason=store_busy", "user=alice"]);
    drop(holder);
    let heard = sandbox.send_raw("alice", &check("alice", &phone.code()), Duration::ZERO);
    assert!(heard.contains("0\0\u{1}\u{1}"), "served again: {heard:?}");
}

#[test]
fn a_password_whose_count_is_locked_does_not_keep_another_user_from_giving_theirs() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let _broker = sandbox.start_broker();
    for user in ["alice", "mallory"] {
        let mut pty = sandbox.own(user, &["enroll"]);
        pty.expect("assword: ");
        pty.send("wrong horse");
        pty.failure();
    }
    let held = hold(&sandbox, "primary/alice");
    let begun = Instant::now();
    sandbox.own("mallory", &["enroll"]).expect("assword: ");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(sandbox.own("alice", &["enroll"]).failure().contains("try again"));
    let _ = sandbox.log.wait(&["reason=store_busy", "user=alice"]);
    drop(held);
    sandbox.own("alice", &["enroll"]).expect("assword: ");
}
