//! Break-glass codes of a login host.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// A login host of a fleet whose verifiers nobody reaches: not even its relay runs.
fn alone() -> Sandbox {
    let host = Sandbox::new();
    host.stack("");
    host.add_user("alice");
    host.add_user("bobby");
    host.configure("[fleet]\nname = \"corp\"\n");
    host.run(&["sh", "-c", "umask 077; head -c 32 /dev/urandom >/etc/qrtotp/verdict.key"]).success();
    host
}

/// The codes that a command prints for a person.
fn codes(host: &Sandbox, argv: &[&str]) -> Vec<String> {
    let output = host.command(None, argv).output().unwrap(); // not searched for secrets
    let printed = String::from_utf8(output.stdout).unwrap();
    let is_code = |line: &&str| line.len() == 19 && line.bytes().filter(|byte| *byte == b'-').count() == 3;
    let codes: Vec<String> = printed.lines().map(str::trim).filter(is_code).map(str::to_owned).collect();
    codes.iter().for_each(|code| host.keep_secret(code));
    codes
}

const FOR_ALICE: [&str; 4] = ["qrtotp", "fleet", "offline-codes", "alice"];

#[test]
fn a_break_glass_code_lets_its_account_in_once_while_no_verifier_answers() {
    let host = alone();
    let codes = codes(&host, &FOR_ALICE);
    assert_eq!(codes.len(), 5);
    assert_eq!(host.answer("bobby", &codes[0]), PAM_AUTH_ERR, "it is alice's");
    assert_eq!(host.answer("alice", &codes[0]), PAM_SUCCESS);
    let _ = host.log.wait(&["event=login result=accepted reason=offline_code user=alice"]);
    assert_eq!(host.answer("alice", &codes[0]), PAM_AUTH_ERR, "it was used");
    let _ = host.log.wait(&["event=login result=denied reason=wrong_code user=alice"]);
    assert_eq!(host.answer("alice", &codes[1]), PAM_SUCCESS);
}

#[test]
fn without_a_break_glass_code_the_user_is_denied_and_told_the_way_out() {
    let host = alone();
    assert_eq!(codes(&host, &FOR_ALICE).len(), 5);
    let printed = host.login("alice").answer("123456").run();
    assert_eq!(printed.authenticate(), PAM_AUTH_ERR);
    assert!(printed.text().contains("Use a break-glass code"), "{}", printed.text());
    let _ = host.log.wait(&["event=login result=denied reason=fleet_timeout user=alice", "break-glass"]);
}

#[test]
fn a_host_leaves_only_if_somebody_has_a_device_in_its_own_store() {
    let host = alone();
    let refused = host.run(&["qrtotp", "fleet", "leave"]);
    assert!(refused.status.code() == Some(1) && refused.stderr.contains("--force"), "{refused:?}");
    host.configure("[fleet]\nname = \"corp\"\nlocal = [\"alice\"]\n");
    let phone = host.import("alice");
    let left = host.run(&["qrtotp", "fleet", "leave"]).success().stdout;
    assert!(left.contains("1 enrolled accounts"), "{left}");
    assert!(!host.exists("/etc/qrtotp/verdict.key"));
    assert_eq!(host.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn recovery_codes_and_devices_of_the_time_before_the_fleet_are_worth_nothing() {
    let host = alone();
    host.configure("");
    let phone = host.import("alice");
    let recovery = &codes(&host, &["qrtotp", "recovery", "regenerate", "alice"])[0];
    host.configure("[fleet]\nname = \"corp\"\n");
    assert_eq!(host.answer("alice", recovery), PAM_AUTH_ERR);
    assert_eq!(host.answer("alice", &phone.code()), PAM_AUTH_ERR);
    let code = &codes(&host, &FOR_ALICE)[0];
    host.run(&["qrtotp", "fleet", "offline-codes", "--remove", "alice"]).success();
    assert_eq!(host.answer("alice", code), PAM_AUTH_ERR, "they were removed");
}
