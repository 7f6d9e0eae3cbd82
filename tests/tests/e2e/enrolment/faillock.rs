//! First logins over ssh on a host whose pam_faillock counts wrong passwords. Our own transactions must not
//! spoil its tally.

use qrtotp_tests::{Pty, Sandbox, first_login::INSIDE, sshd::Sshd, users::PASSWORD};

const WRONG: &str = "not the password";
/// A service that proves passwords without common-auth.
const BY_HAND: &str = "auth requisite pam_qrtotp.so\nauth required pam_faillock.so preauth deny=3\n\
                       auth required pam_unix.so nodelay\naccount required pam_unix.so\n";

/// The auth part of a stack that locks an account after three wrong passwords. `behind` are the lines between
/// the password and pam_faillock's line for a success.
fn counting(wrong: &str, behind: &str) -> String {
    format!(
        "auth required pam_faillock.so preauth deny=3\nauth [success=1 default=bad] pam_unix.so nodelay\n\
         auth [default={wrong}] pam_faillock.so authfail deny=3\n{behind}auth required pam_faillock.so authsucc deny=3\n"
    )
}

/// A host whose sshd has this auth part, without pam_faillock in its account part.
fn host(auth: &str) -> (Sandbox, Sshd) {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.enrolling("sshd", auth);
    let sshd = sandbox.start_sshd("");
    (sandbox, sshd)
}

fn ssh(sandbox: &Sandbox) -> Pty {
    sandbox.ssh_to_enrol(&[], "alice", &["PubkeyAuthentication=no"], "echo logged in")
}

fn mistypes_the_password(sandbox: &Sandbox) {
    let mut client = ssh(sandbox);
    client.expect("assword");
    client.send(WRONG);
    client.failure();
}

/// Wrong passwords that pam_faillock counts for alice.
fn tally(sandbox: &Sandbox) -> usize {
    let shown = sandbox.run(&["faillock", "--user", "alice"]).success().stdout;
    shown.lines().filter(|line| line.ends_with(" V")).count()
}

/// No picture follows the password and Enter.
fn is_refused(sandbox: &Sandbox, password: &str, reason: &str) {
    let (before, seen) = (sandbox.store_content(), sandbox.log.lines().len());
    let mut client = ssh(sandbox);
    client.give_password(password);
    client.send("");
    let shown = client.failure();
    assert!(!shown.contains('█') && !shown.contains(INSIDE), "{shown}");
    assert_eq!(sandbox.store_content(), before);
    let denied = format!("event=login result=denied reason={reason} user=alice service=sshd");
    let _ = sandbox.log.wait_after(seen, &[&denied]);
}

#[test]
fn a_wrong_password_is_counted_once_and_only_a_first_login_that_succeeds_clears_the_tally() {
    let (sandbox, _sshd) = host(&counting("die", "auth requisite pam_qrtotp.so\n"));
    mistypes_the_password(&sandbox);
    assert_eq!(tally(&sandbox), 1);
    let mut gives_up = ssh(&sandbox);
    gives_up.at_the_picture();
    gives_up.send("q");
    gives_up.failure();
    assert_eq!(tally(&sandbox), 1, "a refused login clears nothing");
    let mut enrols = ssh(&sandbox);
    enrols.at_the_picture();
    let phone = enrols.take_key(&sandbox);
    enrols.confirm(&phone);
    enrols.expect(INSIDE);
    enrols.success();
    assert_eq!(tally(&sandbox), 0);
}

#[test]
fn a_wrong_password_that_reaches_the_enrolment_is_counted_once() {
    let (sandbox, _sshd) = host(&counting("bad", "auth requisite pam_qrtotp.so\n"));
    for count in [1, 2] {
        is_refused(&sandbox, WRONG, "primary_factor");
        assert_eq!(tally(&sandbox), count);
    }
}

#[test]
fn a_locked_account_does_not_enrol_and_stays_locked() {
    for service in ["as shipped", "by hand"] {
        let (sandbox, _sshd) = host("@include common-auth\nauth required pam_qrtotp.so\n");
        sandbox.pam("common-auth", &counting("die", ""));
        if service == "by hand" {
            sandbox.pam("qrtotp", BY_HAND);
        }
        (0..3).for_each(|_| mistypes_the_password(&sandbox));
        is_refused(&sandbox, PASSWORD, "primary_factor");
        assert_eq!(tally(&sandbox), 3, "{service}");
    }
}
