//! The primary factor that the broker has checked: guesses at it, and misbehaving modules.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use qrtotp_tests::{
    Sandbox, artefacts,
    broker::{Broker, ENROLS, PROGRAM, SOCKET, frame},
    clock,
    users::PASSWORD,
};

/// Ten wrong passwords in a row disable it, and no earlier one has to wait. No module in the stack counts or
/// waits.
const RULES: &str = "[throttle]\nfree_failures = 20\ndisable_after = 10\n";

fn host() -> (Sandbox, Broker) {
    let sandbox = Sandbox::with_broker(&format!("{ENROLS}{RULES}"));
    sandbox.keep_secret(PASSWORD);
    sandbox.pam("qrtotp", "auth required pam_unix.so nodelay\naccount required pam_unix.so\n");
    let broker = sandbox.start_broker();
    (sandbox, broker)
}

/// Answers the question for the password; returns the command's output at its end.
fn guess(sandbox: &Sandbox, password: &str) -> String {
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(password);
    pty.failure()
}

#[test]
fn wrong_passwords_count_whatever_becomes_of_caller_and_broker_and_end_it_until_unlocked() {
    let (sandbox, broker) = host();
    for _ in 0..3 {
        guess(&sandbox, "wrong horse");
    }
    drop(broker);
    let _broker = sandbox.start_broker();
    let (request, answer) = (frame(1, 1, &[0; 2]), frame(1, 16, b"\x00\x0bwrong horse"));
    for failures in 4..10 {
        sandbox.answer_and_leave("alice", &request, &answer);
        let _ = sandbox.log.wait(&["reason=primary_factor ", "user=alice", &format!("failures={failures}")]);
        clock::pause(Duration::from_secs(2)); // a check holds one of the user's two places for that long
    }
    guess(&sandbox, "wrong horse");
    let _ = sandbox.log.wait(&["event=throttle_engaged", "reason=primary_factor_disabled", "failures=10"]);
    let shown = sandbox.own("alice", &["enroll"]).failure();
    assert!(!shown.contains("assword: ") && shown.contains("too many wrong passwords"), "{shown}");
    let _ = sandbox.log.wait(&["event=enrollment_refused", "reason=primary_factor_disabled", "user=alice"]);
    sandbox.own("mallory", &["enroll"]).expect("assword: ");
    assert!(!sandbox.exists("/var/lib/qrtotp/accounts/alice"), "no record is made by guessing");
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    let phone = pty.read_key(&sandbox);
    pty.finish_enrolment(&sandbox, &phone);
}

#[test]
fn a_right_password_makes_the_wrong_ones_forgotten() {
    let (sandbox, _broker) = host();
    for _ in 0..2 {
        for failures in 1..8 {
            guess(&sandbox, "wrong horse");
            let _ = sandbox.log.wait(&["reason=primary_factor ", &format!("failures={failures}")]);
        }
        let mut pty = sandbox.own("alice", &["enroll"]);
        pty.expect("assword: ");
        pty.send(PASSWORD);
        let _ = pty.read_key(&sandbox);
        pty.send("q");
        pty.failure();
    }
}

#[test]
fn guesses_at_the_same_time_all_count() {
    let (sandbox, _broker) = host();
    let mut people: Vec<_> = (0..2).map(|_| sandbox.own("alice", &["enroll"])).collect();
    people.iter_mut().for_each(|pty| drop(pty.expect("assword: ")));
    people.iter_mut().for_each(|pty| pty.send("wrong horse"));
    people.iter_mut().for_each(|pty| drop(pty.failure()));
    guess(&sandbox, "wrong horse");
    let _ = sandbox.log.wait(&["reason=primary_factor ", "failures=3"]);
}

#[test]
fn a_wait_is_told_before_a_password_is_asked_for() {
    let (sandbox, _broker) = host();
    sandbox.configure(&format!("{ENROLS}[throttle]\nfree_failures = 1\n"));
    // 1, 2, 4, 8 seconds: the last one is longer than a slow machine takes to start a command.
    for wait in [1, 2, 4, 0] {
        guess(&sandbox, "wrong horse");
        clock::pause(Duration::from_millis(wait * 1000 + 200));
    }
    let shown = sandbox.own("alice", &["enroll"]).failure();
    assert!(!shown.contains("assword: ") && shown.contains("try again in "), "{shown}");
    let _ = sandbox.log.wait(&["reason=primary_factor_throttled", "user=alice", "failures=4", "wait="]);
}

#[test]
fn without_a_file_of_its_own_or_with_one_of_others_the_service_proves_nothing() {
    let (sandbox, _broker) = host();
    let refused = |detail: &str| {
        let shown = sandbox.own("alice", &["enroll"]).failure();
        assert!(!shown.contains("assword: ") && shown.contains("needs your password"), "{shown}");
        let _ = sandbox.log.wait(&["reason=primary_factor_unavailable", detail]);
    };
    sandbox.run(&["chmod", "666", "/etc/pam.d/qrtotp"]).success();
    refused("others may write to");
    sandbox.run(&["chmod", "644", "/etc/pam.d/qrtotp"]).success();
    sandbox.run(&["chown", "mallory", "/etc/pam.d/qrtotp"]).success();
    refused("does not belong to root");
    sandbox.run(&["chown", "root", "/etc/pam.d/qrtotp"]).success();
    // libpam uses `other` now, which would succeed.
    sandbox.run(&["mv", "/etc/pam.d/qrtotp", "/etc/pam.d/other"]).success();
    sandbox.run(&["chown", "root", "/etc/pam.d/other"]).success();
    refused("does not exist");
}

#[test]
fn a_service_that_does_not_ask_for_exactly_one_hidden_answer_proves_nothing() {
    let (sandbox, _broker) = host();
    install_misbehaving_module(&sandbox);
    for (auth, reason, detail) in [
        ("pam_permit.so", "primary_factor_unavailable", "without asking for a password"),
        ("pam_rootok.so", "primary_factor_unavailable", "without asking for a password"),
        ("pam_misbehaves.so twice", "primary_factor_unavailable", "asks for more than one password"),
        ("pam_misbehaves.so visible", "primary_factor_unavailable", "asks for more than one password"),
        ("pam_deny.so", "primary_factor ", ""),
        ("pam_is_not_there.so", "primary_factor ", ""),
        ("pam_unix.so nodelay\n@include nowhere", "primary_factor", ""),
    ] {
        sandbox.pam("qrtotp", &format!("auth required {auth}\naccount required pam_permit.so\n"));
        let seen = sandbox.log.lines().len();
        let shown = guess(&sandbox, PASSWORD);
        assert!(!shown.contains("Key: ") && shown.contains("needs your password"), "{auth}: {shown}");
        let _ = sandbox.log.wait_after(seen, &[&format!("reason={reason}"), "user=alice", detail]);
    }
    assert!(!sandbox.exists("/var/lib/qrtotp/accounts/alice"));
}

#[test]
fn the_shipped_service_proves_passwords_to_the_broker_expired_ones_too() {
    let (sandbox, _broker) = host();
    sandbox.ship("pam.d/qrtotp", "/etc/pam.d/qrtotp");
    assert!(guess(&sandbox, "wrong horse").contains("needs your password"));
    sandbox.run(&["chage", "-d", "0", "alice"]).success();
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    let phone = pty.read_key(&sandbox);
    pty.finish_enrolment(&sandbox, &phone);
}

/// The module searches for it by this name.
#[test]
fn the_broker_exports_the_function_by_which_the_module_knows_its_transactions() {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(artefacts::broker()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line.ends_with(" T qrtotpd_is_inner_transaction")), "{text}");
}

fn install_misbehaving_module(sandbox: &Sandbox) {
    let module = artefacts::compile("pam_misbehaves.c", "pam_misbehaves.so", &["-shared", "-fPIC", "-lpam"]);
    sandbox.install(&module, &format!("{}/pam_misbehaves.so", sandbox.security_directory()), 0o644);
}

/// A broker with a module that misbehaves after the question for the password.
fn misbehaving(how: &str) -> (Sandbox, Broker) {
    let sandbox = Sandbox::with_broker(ENROLS);
    install_misbehaving_module(&sandbox);
    sandbox
        .pam("qrtotp", &format!("auth required pam_misbehaves.so {how}\naccount required pam_permit.so\n"));
    let broker = sandbox.start_broker_with(&[PROGRAM, "--listen", SOCKET, "--pam-time", "4"]);
    (sandbox, broker)
}

/// No process that the modules started is left.
fn assert_nothing_is_left(sandbox: &Sandbox) {
    // In brackets, so that pgrep's own command line does not match.
    let left = || sandbox.run(&["pgrep", "-f", "[l]eft-behind|[-]-primary-factor"]).status.success();
    assert!(clock::poll(Duration::from_secs(5), || (!left()).then_some(())).is_some());
}

#[test]
fn a_module_that_hangs_denies_in_time_holds_up_nobody_and_leaves_nothing() {
    let (sandbox, broker) = misbehaving("hang");
    let begun = Instant::now();
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send("anything");
    for _ in 0..3 {
        assert!(sandbox.own_output("alice", &["status"]).success().stdout.contains("alice"));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "others are served meanwhile");
    assert!(pty.failure().contains("needs your password"));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let _ = sandbox.log.wait(&["reason=primary_factor_unavailable", "user=alice", "too slow"]);
    assert_nothing_is_left(&sandbox);
    // A broker that is killed during the check has counted the guess, and leaves no child behind.
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send("anything");
    let counted = || sandbox.read("/var/lib/qrtotp/primary/alice").starts_with("qrtotp-primary-1 2 ");
    assert!(clock::poll(Duration::from_secs(5), || counted().then_some(())).is_some());
    drop(broker);
    pty.failure();
    let left = || sandbox.run(&["pgrep", "-f", "[-]-primary-factor"]).status.success();
    assert!(clock::poll(Duration::from_secs(5), || (!left()).then_some(())).is_some());
    assert!(counted(), "a killed broker takes nothing back");
}

#[test]
fn a_module_that_crashes_denies_and_the_broker_lives_on() {
    let (sandbox, mut broker) = misbehaving("crash");
    for _ in 0..2 {
        let mut pty = sandbox.own("alice", &["enroll"]);
        pty.expect("assword: ");
        pty.send("anything");
        assert!(pty.failure().contains("needs your password"));
    }
    let _ = sandbox.log.wait(&["reason=primary_factor_unavailable", "user=alice", "connection was closed"]);
    assert!(sandbox.own_output("alice", &["status"]).success().stdout.contains("alice"));
    assert!(!broker.ended(Duration::from_millis(100)));
}

#[test]
fn what_a_module_leaves_running_ends_with_its_check() {
    let (sandbox, _broker) = misbehaving("leave");
    assert!(
        guess(&sandbox, "").contains("needs your password"),
        "nothing is no password, whatever a module says"
    );
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send("anything");
    let _ = pty.read_key(&sandbox);
    assert_nothing_is_left(&sandbox);
}
