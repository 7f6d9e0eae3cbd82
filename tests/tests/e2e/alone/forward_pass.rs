//! Password and code in one field: what the message and the time of a refusal reveal.

use std::sync::Mutex;

use qrtotp_tests::{Phone, Pty, Sandbox, first_login::INSIDE, host::SERVICE, users::PASSWORD};

const STACK: &str =
    "auth required pam_qrtotp.so forward_pass\nauth required pam_unix.so use_first_pass nodelay\n";
/// Logins of each kind, and how many run at a time.
const EACH: usize = 200;
const AT_ONCE: usize = 25;
/// Largest difference of the medians, in milliseconds.
const APART: u64 = 5;

fn host(service: &str) -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n");
    for user in ["alice", "bobby"] {
        sandbox.add_user(user);
    }
    let phone = sandbox.import("alice");
    sandbox.without_delays();
    sandbox.enrolling(service, STACK);
    (sandbox, phone)
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn the_time_of_a_refusal_tells_neither_which_part_was_wrong_nor_whose_account_it_is() {
    let (sandbox, phone) = host(SERVICE);
    let right = phone.code();
    // A right code with a wrong password is not used up.
    let kinds = [
        ("alice", "wrong password000000".to_owned()),
        ("alice", format!("wrong password{right}")),
        ("alice", format!("{PASSWORD}000000")),
        ("bobby", format!("{PASSWORD}000000")),
        ("bobby", PASSWORD.to_owned()),
        ("nobody-here", format!("{PASSWORD}000000")),
    ];
    let times: Vec<Mutex<Vec<u64>>> = kinds.iter().map(|_| Mutex::default()).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= EACH * kinds.len() {
                        return;
                    }
                    let kind = number % kinds.len(); // in turn, so that all meet the same load
                    let (user, typed) = &kinds[kind];
                    let report = sandbox.login(user).arguments(&["--answer", typed]).run();
                    assert_eq!(report.authenticate(), 7, "{user}");
                    times[kind].lock().unwrap().push(report.value("took_ms").parse().unwrap());
                }
            });
        }
    });
    let medians: Vec<u64> = times.into_iter().map(|times| median(times.into_inner().unwrap())).collect();
    println!("medians in ms: {medians:?}");
    let (fastest, slowest) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*fastest >= 2000 && slowest - fastest <= APART, "{medians:?}");
    assert!(!sandbox.log.events().iter().any(|line| line.contains("result=accepted")));
}

fn ssh(sandbox: &Sandbox, typed: &str) -> Pty {
    let mut client = sandbox.ssh_with("alice", &["PubkeyAuthentication=no"], "echo logged in");
    client.expect("Password & verification code: ");
    client.send(typed);
    client
}

#[test]
fn through_sshd_a_code_counts_only_behind_the_right_password() {
    let (sandbox, phone) = host("sshd");
    let _sshd = sandbox.start_sshd("");
    let code = phone.code();
    for typed in [format!("wrong{code}"), format!("{PASSWORD}x{code}"), code.clone(), PASSWORD.to_owned()] {
        assert!(!ssh(&sandbox, &typed).failure().contains(INSIDE), "{typed}");
    }
    let unlocked = sandbox.run(&["qrtotp", "unlock", "alice"]).success().stdout;
    assert!(
        unlocked.contains("alice: 0 failures"),
        "a stranger adds nothing to the owner's count: {unlocked}"
    );
    let mut right = ssh(&sandbox, &format!("{PASSWORD}{code}"));
    right.expect(INSIDE);
    right.success();
    assert!(!ssh(&sandbox, &format!("{PASSWORD}{code}")).failure().contains(INSIDE), "it is used up");
    let accepted = sandbox.log.events().iter().filter(|line| line.contains("result=accepted")).count();
    assert_eq!(accepted, 1);
}
