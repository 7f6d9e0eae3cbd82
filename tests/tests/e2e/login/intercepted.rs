//! A code that two people gave: new places must give two codes for a day.

use super::rules::{INSIDE, addresses, ssh};
use qrtotp_tests::{Sandbox, users::PASSWORD};

const HOME: &str = "192.0.2.7";
const PHISHER: &str = "203.0.113.9";
const NEW: &str = "10.20.0.5";

#[test]
fn after_an_owner_s_code_came_from_elsewhere_too_ssh_asks_new_places_for_two_and_the_admin_is_told() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.password_and_code("sshd", "");
    let phone = sandbox.import("alice");
    sandbox.configure("[verify]\nwindow_ahead = 1\n");
    addresses(
        &sandbox,
        &[HOME, PHISHER, NEW].map(|address| address.to_owned() + "/32").each_ref().map(String::as_str),
    );
    let _sshd = sandbox.start_sshd("");
    let login = |from: &str, code: &str| {
        let mut client = ssh(&sandbox, "alice", from);
        client.expect("assword: ");
        client.send(PASSWORD);
        client.expect("Verification code: ");
        client.send(code);
        client
    };
    phone.wait_for_seconds_left(15);
    let [stolen, now, next] = [0, 1, 2].map(|steps| phone.code_of_step(phone.step() - 1 + steps));
    login(PHISHER, &stolen).success();
    assert!(!login(HOME, &stolen).failure().contains(INSIDE), "the phisher was faster");
    let _ = sandbox.log.wait(&[
        "<81>",
        "event=anomaly severity=alert reason=intercepted user=alice service=sshd rhost=192.0.2.7",
        "seq=",
        "for a day, places that are not familiar must give two codes",
    ]);
    let output = sandbox.run(&["qrtotp", "config", "explain", "--user", "alice"]).success().stdout;
    assert!(
        output.contains("two codes at new places until 20") && output.contains("qrtotp unlock"),
        "{output}"
    );
    let status = sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(
        status.contains("A code was given at two places: new places need two codes until 20"),
        "{status}"
    );
    let mut client = login(NEW, &now);
    client.expect("A code of yours was given at two places");
    client.expect("Two codes in a row");
    client.send(&format!("{now} {next}"));
    client.expect(INSIDE);
    client.success();
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    let output = sandbox.run(&["qrtotp", "config", "explain", "--user", "alice"]).success().stdout;
    assert!(!output.contains("two codes at new places"), "{output}");
}
