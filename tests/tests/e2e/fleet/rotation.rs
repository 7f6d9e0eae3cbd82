//! A new CA and a new key for a fleet.

use std::time::Duration;

use qrtotp_tests::{
    Output, clock,
    fleet::{ADDRESS, Fleet},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    verifiers::Verifier,
};

/// Repeats a command on a verifier until it succeeds: a relay's report may be under way.
fn until(verifier: &Verifier, arguments: &[&str]) -> Output {
    let mut last = None;
    let done = || {
        let output = verifier.fleet(arguments);
        if output.status.success() {
            Some(output)
        } else {
            last = Some(output);
            None
        }
    };
    let done = clock::poll(Duration::from_secs(90), done);
    done.unwrap_or_else(|| panic!("the step is refused for ever: {last:?}"))
}

#[test]
fn the_ca_changes_while_logins_go_on_and_hosts_get_the_new_one_with_their_certificate() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    fleet.verifiers[0].fleet(&["rotate", "ca", "begin", "/root/new.ca"]).success();
    let early = fleet.verifiers[0].fleet(&["rotate", "ca", "use"]);
    assert!(early.status.code() == Some(1) && early.stderr.contains("1 verifiers lack"), "{early:?}");
    fleet.restart();
    let lacks = || {
        fleet.verifiers[0].fleet(&["status"]).stdout.contains("1 hosts and 0 verifiers lack").then_some(())
    };
    clock::poll(Duration::from_secs(20), lacks).expect("status does not name the host");
    host.start_relay(); // which fetches a certificate, as it does each day
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    until(&fleet.verifiers[0], &["rotate", "ca", "use"]);
    fleet.restart();
    let early = fleet.verifiers[0].fleet(&["rotate", "ca", "finish"]);
    assert!(early.status.code() == Some(1) && early.stderr.contains("still use the former CA"), "{early:?}");
    host.start_relay();
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
    until(&fleet.verifiers[0], &["rotate", "ca", "finish"]);
    fleet.restart();
    let status = host.sandbox.run(&["qrtotp", "fleet", "status"]).success().stdout;
    assert!(status.contains(" ok"), "{status}");
    assert!(!until(&fleet.verifiers[0], &["status"]).stdout.contains("changing"));
}

#[test]
fn a_host_that_slept_through_a_change_of_the_ca_is_cut_off_by_force_only_and_can_join_again() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    host.stop_relay();
    let steps: [&[&str]; 3] = [&["begin", "/root/new.ca"], &["use", "--force"], &["finish", "--force"]];
    for step in steps {
        fleet.verifiers[0].fleet(&[&["rotate", "ca"], step].concat()).success();
        fleet.restart();
    }
    host.start_relay();
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_AUTH_ERR);
    fleet.verifiers[0].fleet(&["host", "revoke", "web1"]).success();
    fleet.join(&host, "web1", "all", ADDRESS).success();
    host.start_relay();
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
}

#[test]
fn three_verifiers_change_their_ca_one_after_the_other_and_a_host_reaches_each_of_them() {
    let mut fleet = Fleet::of(3, "");
    let (phone, mut host) = (fleet.import("alice"), fleet.host("web1", "all"));
    let file = "/root/new.ca";
    fleet.verifiers[0].fleet(&["rotate", "ca", "begin", file]).success();
    for verifier in &fleet.verifiers[1..] {
        verifier.sandbox.install(&fleet.verifiers[0].sandbox.path(file), file, 0o600);
        verifier.fleet(&["rotate", "ca", "add", file]).success();
    }
    (0..3).for_each(|number| fleet.restart_one(number));
    for (step, ago) in [("use", 1), ("finish", 0)] {
        host.start_relay();
        assert_eq!(host.answer(&phone.code_of_step(phone.step() - ago)), PAM_SUCCESS, "before {step}");
        for number in 0..3 {
            until(&fleet.verifiers[number], &["rotate", "ca", step]);
            fleet.restart_one(number);
        }
    }
    let status = host.sandbox.run(&["qrtotp", "fleet", "status"]).success().stdout;
    assert_eq!(status.matches("  ok, ").count(), 3, "{status}");
}
