//! Refusals take a fixed time, whatever the account's standing.

use std::sync::Mutex;

use qrtotp_tests::{
    Sandbox,
    host::{PAM_SUCCESS, SERVICE},
    users::PASSWORD,
};

/// A measurement.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Logins of each kind.
    pub each: usize,
    /// How many run at a time.
    pub at_once: usize,
    /// Largest difference of the medians, in milliseconds.
    pub apart: u64,
}

/// The median times of the refusals of each kind, in milliseconds, are fixed and alike.
pub(super) fn are_alike(kinds: &[(&str, String)], size: Size, took: impl Fn(&str, &str) -> u64 + Sync) {
    let times: Vec<Mutex<Vec<u64>>> = kinds.iter().map(|_| Mutex::default()).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..size.at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= size.each * kinds.len() {
                        return;
                    }
                    let kind = number % kinds.len(); // in turn, so that all meet the same load
                    let (user, typed) = &kinds[kind];
                    let taken = took(user, typed);
                    times[kind].lock().unwrap().push(taken);
                }
            });
        }
    });
    let median = |mut times: Vec<u64>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let medians: Vec<u64> = times.into_iter().map(|times| median(times.into_inner().unwrap())).collect();
    println!("medians in ms: {medians:?}");
    let (fastest, slowest) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*fastest >= 2000 && slowest - fastest <= size.apart, "{medians:?}");
}

/// Accounts of each kind, and their passwords: enrolled, un-enrolled, revoked, barred by the account part,
/// unknown.
const KINDS: [(&str, &str); 7] = [
    ("alice", PASSWORD),
    ("alice", "wrong password"),
    ("bobby", "wrong password"),
    ("carol", PASSWORD),
    ("dave", PASSWORD),
    ("dave", "wrong password"),
    ("nobody-here", PASSWORD),
];

fn after_enter(size: Size) {
    let sandbox = Sandbox::new();
    let services = format!("[enroll]\nservices = [\"{SERVICE}\"]\n");
    sandbox.configure(&format!("[defaults]\nfirst_login = \"enroll\"\n{services}"));
    for user in ["alice", "bobby", "carol", "dave"] {
        sandbox.add_user(user);
    }
    for user in ["alice", "carol"] {
        let _ = sandbox.import(user);
    }
    sandbox.run(&["qrtotp", "revoke", "carol", "--all"]).success();
    sandbox.run(&["chage", "-E", "1", "dave"]).success();
    sandbox.without_delays();
    sandbox.enrolling(SERVICE, "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n");
    let kinds = KINDS.map(|(user, typed)| (user, typed.to_owned()));
    are_alike(&kinds, size, |user, typed| {
        let report = sandbox.login(user).arguments(&["--answer", typed, "--answer", ""]).run();
        assert_ne!(report.authenticate(), PAM_SUCCESS, "{user}: {}", report.text());
        report.value("took_ms").parse().unwrap()
    });
    for reason in ["malformed", "primary_factor", "revoked", "account_refused", "unknown_user"] {
        let _ = sandbox.log.wait(&[&format!("event=login result=denied reason={reason} ")]);
    }
}

#[test]
fn the_time_of_a_refusal_after_enter_tells_nothing_of_the_account() {
    after_enter(Size { each: 60, at_once: 25, apart: 5 });
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof refusals`"]
fn the_times_of_two_hundred_refusals_after_enter_tell_nothing_of_the_account() {
    after_enter(Size { each: 200, at_once: 25, apart: 5 });
}
