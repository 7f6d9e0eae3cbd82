//! The shipped stacks of conf/pam.d enrol users while they log in, but only after the first factor.

use qrtotp_tests::{
    Pty, Sandbox,
    first_login::{CHOICES, ENTER, INSIDE},
    screen::{Background, scan},
    shipped::OUTSIDE,
    users::PASSWORD,
};

/// A host with one shipped stack and the shipped configuration, except for `first_login`.
fn host(stack: &str, service: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ship("qrtotp.toml", "/etc/qrtotp/qrtotp.toml");
    let shipped = sandbox.read("/etc/qrtotp/qrtotp.toml");
    let (deny, enroll) = ("\n#first_login = \"deny\"", "\nfirst_login = \"enroll\"");
    assert!(shipped.contains(deny), "{shipped}");
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml", &shipped.replace(deny, enroll));
    sandbox.apply_configuration().success();
    sandbox.ship("pam.d/qrtotp", "/etc/pam.d/qrtotp");
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.make_store();
    sandbox.ship(&format!("pam.d/{stack}"), &format!("/etc/pam.d/{service}"));
    sandbox
}

/// From the question for the code to the picture and in; the next login takes the app's code and shows no
/// picture.
fn enrols(sandbox: &Sandbox, service: &str, at_the_code: impl Fn() -> Pty) {
    let mut client = at_the_code();
    client.send("");
    client.expect(CHOICES);
    let uri = scan(&client.transcript(), Background::Dark).expect("the picture can be scanned");
    let phone = client.enrol_by(sandbox, &uri);
    client.expect(INSIDE);
    client.success();
    let _ = sandbox
        .log
        .wait(&[&format!("event=login result=accepted reason=enrolled user=alice service={service}")]);
    let mut next = at_the_code();
    next.send(&phone.wait_for_next_code());
    next.expect(INSIDE);
    assert!(!next.success().contains('█'));
    let _ =
        sandbox.log.wait(&[&format!("event=login result=accepted reason=code user=alice service={service}")]);
}

/// The same for a stack that asks for the password: before it is right, no question leads to a picture.
fn enrols_after_the_password(sandbox: &Sandbox, service: &str, knock: impl Fn() -> Pty) {
    let mut wrong = knock();
    wrong.expect("assword");
    wrong.send("not the password");
    let heard = wrong.expect_one(&[&OUTSIDE[..], &[ENTER]].concat());
    assert!(heard < OUTSIDE.len(), "{}", wrong.transcript());
    enrols(sandbox, service, || {
        let mut client = knock();
        client.give_password(PASSWORD);
        client
    });
}

fn ssh(sandbox: &Sandbox, options: &[&str]) -> Pty {
    sandbox.ssh_to_enrol(&[], "alice", options, "echo logged in")
}

#[test]
fn the_stack_for_password_and_code_enrols_over_ssh() {
    let sandbox = host("sshd-password-and-code", "sshd");
    sandbox.ship_sshd_config(false);
    let _sshd = sandbox.start_debians_sshd();
    enrols_after_the_password(&sandbox, "sshd", || ssh(&sandbox, &["PubkeyAuthentication=no"]));
}

#[test]
fn the_stack_for_key_and_code_enrols_over_ssh_whoever_has_the_key() {
    let sandbox = host("sshd-key-and-code", "sshd");
    sandbox.authorize_key("alice");
    sandbox.ship_sshd_config(true);
    sandbox.run(&["qrtotp", "token", "issue", "alice", "--keys-now"]).success();
    let _sshd = sandbox.start_debians_sshd();
    let without_key = ssh(&sandbox, &["PubkeyAuthentication=no"]).failure();
    assert!(!without_key.contains("Verification code"), "{without_key}");
    enrols(&sandbox, "sshd", || {
        let mut client = ssh(&sandbox, &[]);
        let before = client.expect(ENTER);
        assert!(!before.contains("assword"), "{before}");
        client
    });
}

#[test]
fn the_stack_for_sudo_enrols_in_sudo() {
    let sandbox = host("sudo-code", "sudo");
    let sudo = || sandbox.pty_unrecorded_as(Some("alice"), &["sudo", "echo", INSIDE]);
    enrols_after_the_password(&sandbox, "sudo", sudo);
}

#[test]
fn the_stack_for_su_enrols_in_su() {
    let sandbox = host("su-code", "su");
    let su = || sandbox.pty_unrecorded_as(Some("bobby"), &["su", "alice", "-c", "echo logged in"]);
    enrols_after_the_password(&sandbox, "su", su);
}

#[test]
fn the_stack_for_both_in_one_field_enrols_by_the_password_alone_and_then_takes_both() {
    let sandbox = host("forward-pass", "sshd");
    sandbox.ship_sshd_config(false);
    let _sshd = sandbox.start_debians_sshd();
    let knock = |text: &str| {
        let mut client = ssh(&sandbox, &["PubkeyAuthentication=no"]);
        client.expect("Password & verification code: ");
        client.send(text);
        client
    };
    let shown = knock("not the password").failure();
    assert!(!shown.contains('█') && !shown.contains(INSIDE), "{shown}");
    let mut client = knock(PASSWORD);
    client.expect(CHOICES);
    let uri = scan(&client.transcript(), Background::Dark).expect("the picture can be scanned");
    let phone = client.enrol_by(&sandbox, &uri);
    client.expect(INSIDE);
    client.success();
    let wrong = knock(&format!("wrong{}", phone.wait_for_next_code())).failure();
    assert!(!wrong.contains(INSIDE), "{wrong}");
    let mut next = knock(&format!("{PASSWORD}{}", phone.code()));
    next.expect(INSIDE);
    next.success();
    let _ = sandbox.log.wait(&["event=login result=denied reason=primary_factor user=alice service=sshd"]);
}
