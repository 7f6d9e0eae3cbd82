//! Rules with `remember` in a fleet: an earlier code counts at the other hosts of the group.

use qrtotp_tests::{
    fleet::{Fleet, Host},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const HOME: &str = "198.51.100.7";
const RULES: &str = "web = [\"*\"]\n\
    [[rule]]\nname = \"home\"\nfrom = [\"198.51.100.0/24\", \"127.0.0.0/24\"]\nthen = \"code\"\nremember = \"1h\"\n";

/// A host that asks the verifiers first.
fn host(fleet: &Fleet, name: &str, group: &str) -> Host {
    let host = fleet.host(name, group);
    host.sandbox.append("/etc/qrtotp/qrtotp.toml", "remember = true\n");
    host.sandbox.run(&["qrtotp", "config", "apply"]).success();
    host
}

/// Whether alice gets in from there without a question.
fn is_remembered(host: &Host, address: &str) -> bool {
    let report = host.sandbox.login("alice").arguments(&["--rhost", address]).run();
    assert_eq!(report.authenticate() == PAM_SUCCESS, report.messages(1).is_empty(), "{}", report.text());
    report.authenticate() == PAM_SUCCESS
}

fn gives_code(host: &Host, address: &str, code: &str) -> i32 {
    host.sandbox.login("alice").arguments(&["--rhost", address]).answer(code).run().authenticate()
}

#[test]
fn after_a_code_at_one_host_no_other_host_of_the_group_asks_from_that_address() {
    let fleet = Fleet::new(RULES);
    let phone = fleet.import("alice");
    let (one, two, other) =
        (host(&fleet, "web1", "web"), host(&fleet, "web2", "web"), host(&fleet, "db1", "all"));
    assert!(!is_remembered(&one, HOME));
    assert_eq!(gives_code(&one, HOME, &phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    assert!(is_remembered(&one, HOME) && is_remembered(&two, HOME));
    let _ = fleet.verifier().log.wait(&["result=accepted reason=remembered user=alice", "host=web2"]);
    assert!(!is_remembered(&two, "198.51.100.8") && !is_remembered(&other, HOME));
    fleet.administer(&["unlock", "alice"], "").success();
    assert!(!is_remembered(&two, HOME), "an administrator's unlock ends it");
    assert_eq!(gives_code(&two, HOME, &phone.code()), PAM_SUCCESS);
    fleet.administer(&["revoke", "alice", "--all"], "").success();
    assert!(!is_remembered(&two, HOME), "a revocation ends it");
}

#[test]
fn a_loopback_address_an_absent_one_and_a_stricter_rule_are_never_remembered() {
    let fleet = Fleet::new(&format!(
        "{RULES}[[rule]]\nname = \"local\"\nfrom = [\"local\"]\nthen = \"code\"\nremember = \"1h\"\n\
         [[rule]]\nname = \"twice\"\nuser = [\"bobby\"]\nthen = \"two-codes\"\n"
    ));
    let phone = fleet.import("alice");
    let one = host(&fleet, "web1", "web");
    assert_eq!(gives_code(&one, "127.0.0.1", &phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    assert!(!is_remembered(&one, "127.0.0.1"));
    assert_eq!(one.answer(&phone.code()), PAM_SUCCESS);
    assert_eq!(one.sandbox.login("alice").run().authenticate(), PAM_AUTH_ERR);
    let asked = one.sandbox.login("bobby").arguments(&["--rhost", HOME]).run();
    assert_eq!(asked.messages(1).len(), 1, "{}", asked.text());
}
