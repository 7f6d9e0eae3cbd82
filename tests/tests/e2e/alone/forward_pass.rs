//! Password and code in one field: what the message and the time of a refusal reveal.

use super::refusal_times::{Size, are_alike};
use std::time::Instant;

use qrtotp_tests::{Phone, Pty, Sandbox, first_login::INSIDE, host::SERVICE, users::PASSWORD};

const STACK: &str =
    "auth required pam_qrtotp.so forward_pass\nauth required pam_unix.so use_first_pass nodelay\n";
const IN_PAM: Size = Size { each: 200, at_once: 25, apart: 5 };
/// Clients of ssh need the cores themselves, and their time is in the figures.
const IN_SSHD: Size = Size { each: 25, at_once: 6, apart: 20 };

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

/// Refusals of each kind.
fn kinds(phone: &Phone) -> [(&'static str, String); 6] {
    let right = phone.code();
    // A right code with a wrong password is not used up.
    [
        ("alice", "wrong password000000".to_owned()),
        ("alice", format!("wrong password{right}")),
        ("alice", format!("{PASSWORD}000000")),
        ("bobby", format!("{PASSWORD}000000")),
        ("bobby", PASSWORD.to_owned()),
        ("nobody-here", format!("{PASSWORD}000000")),
    ]
}

#[test]
fn the_time_of_a_refusal_tells_neither_which_part_was_wrong_nor_whose_account_it_is() {
    let (sandbox, phone) = host(SERVICE);
    are_alike(&kinds(&phone), IN_PAM, |user, typed| {
        let report = sandbox.login(user).arguments(&["--answer", typed]).run();
        assert_eq!(report.authenticate(), 7, "{user}");
        report.value("took_ms").parse().unwrap()
    });
    assert!(!sandbox.log.events().iter().any(|line| line.contains("result=accepted")));
}

fn through_sshd(size: Size) {
    let (sandbox, phone) = host("sshd");
    let _sshd = sandbox.start_sshd("MaxStartups 100");
    are_alike(&kinds(&phone), size, |user, typed| {
        let mut client = ssh(&sandbox, user, typed);
        let start = Instant::now();
        client.expect("Permission denied");
        start.elapsed().as_millis().try_into().unwrap()
    });
}

#[test]
fn through_sshd_the_time_of_a_refusal_tells_nothing_either() {
    through_sshd(IN_SSHD);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof refusals`"]
fn through_sshd_the_times_of_two_hundred_refusals_of_each_kind_tell_nothing_either() {
    through_sshd(Size { each: 200, at_once: 4, apart: 5 });
}

/// A client that was given this text.
fn ssh(sandbox: &Sandbox, user: &str, typed: &str) -> Pty {
    let mut client = sandbox.ssh_with(user, &["PubkeyAuthentication=no"], "echo logged in");
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
        assert!(!ssh(&sandbox, "alice", &typed).failure().contains(INSIDE), "{typed}");
    }
    let unlocked = sandbox.run(&["qrtotp", "unlock", "alice"]).success().stdout;
    assert!(
        unlocked.contains("alice: 0 failures"),
        "a stranger adds nothing to the owner's count: {unlocked}"
    );
    let mut right = ssh(&sandbox, "alice", &format!("{PASSWORD}{code}"));
    right.expect(INSIDE);
    right.success();
    assert!(
        !ssh(&sandbox, "alice", &format!("{PASSWORD}{code}")).failure().contains(INSIDE),
        "it is used up"
    );
    let accepted = sandbox.log.events().iter().filter(|line| line.contains("result=accepted")).count();
    assert_eq!(accepted, 1);
}
