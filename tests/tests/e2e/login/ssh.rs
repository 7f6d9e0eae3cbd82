//! Logins through a real sshd with its real client.

use qrtotp_tests::{Pty, Sandbox, users::PASSWORD};

const INSIDE: &str = "logged in";

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.password_and_code("sshd", "");
    sandbox
}

fn at_the_code_prompt(sandbox: &Sandbox) -> Pty {
    sandbox.ssh_at_the_code_prompt("alice", &format!("echo {INSIDE}"))
}

#[test]
fn ssh_asks_for_the_password_and_then_for_a_code() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("");
    let mut client = at_the_code_prompt(&sandbox);
    let code = phone.code();
    sandbox.keep_secret(&code);
    client.send(&code);
    client.expect(INSIDE);
    client.success();
    let _ = sandbox.log.wait(&[
        "event=login result=accepted",
        "user=alice service=sshd rhost=127.0.0.1",
        "credential=c-",
    ]);
}

#[test]
fn ssh_with_a_key_asks_for_a_code_and_for_no_password() {
    let sandbox = host();
    sandbox.key_and_code("sshd", "");
    sandbox.authorize_key("alice");
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("AuthenticationMethods publickey,keyboard-interactive");
    let mut client = sandbox.ssh_with("alice", &["PasswordAuthentication=no"], "echo logged in");
    let before = client.expect("Verification code: ");
    assert!(!before.contains("assword"), "{before}");
    client.send(&phone.code());
    client.expect(INSIDE);
    client.success();

    let mut without = sandbox.ssh_with("alice", &["PasswordAuthentication=no"], "echo logged in");
    without.expect("Verification code: ");
    without.send(&phone.wrong_code());
    assert!(!without.failure().contains(INSIDE), "a key alone must not be enough");
}

#[test]
fn a_wrong_code_and_a_used_code_are_refused_over_ssh() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("");
    let code = phone.code();
    for (typed, enters, reason) in [
        (phone.wrong_code(), false, "result=denied reason=wrong_code"),
        (code.clone(), true, "result=accepted"),
        (code, false, "result=denied reason=replayed_code"),
        (phone.previous_code(), false, "result=denied reason=replayed_code"),
    ] {
        let seen = sandbox.log.lines().len();
        let mut client = at_the_code_prompt(&sandbox);
        client.send(&typed);
        let (status, shown) = client.finish();
        assert_eq!((status.success(), shown.contains(INSIDE)), (enters, enters), "{reason}: {shown}");
        let _ = sandbox.log.wait_after(seen, &["event=login", reason]);
    }
}

#[test]
fn a_wrong_password_is_not_made_good_by_a_right_code() {
    let sandbox = host();
    sandbox.pam(
        "sshd",
        "auth required pam_unix.so\nauth required pam_qrtotp.so\naccount required pam_permit.so\n",
    );
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("");
    let mut client = sandbox.ssh("alice", "echo logged in");
    client.expect("assword: ");
    client.send("not the password");
    client.expect("Verification code: ");
    client.send(&phone.code());
    assert!(!client.failure().contains(INSIDE));
}

#[test]
fn unknown_unenrolled_and_enrolled_users_see_the_same() {
    let sandbox = host();
    sandbox.add_user("bobby");
    sandbox.import("alice");
    sandbox.key_and_code("sshd", "");
    let _sshd = sandbox.start_sshd("");
    let seen = ["alice", "bobby", "ghost"].map(|user| {
        let mut client = sandbox.ssh(user, "echo logged in");
        client.expect("Verification code: ");
        client.send("000000");
        client.failure().replace(user, "USER")
    });
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn a_password_sent_in_place_of_the_code_is_refused_uncounted_and_explained() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("PasswordAuthentication yes");
    // This method answers every question with the password.
    for _ in 0..8 {
        let options = ["PreferredAuthentications=password", "PubkeyAuthentication=no"];
        let mut client = sandbox.ssh_with("alice", &options, "echo logged in");
        client.expect("assword: ");
        client.send(PASSWORD);
        assert!(!client.failure().contains(INSIDE));
    }
    let _ = sandbox.log.wait(&["event=login result=denied", "KbdInteractiveAuthentication"]);
    // Eight counted failures would now mean a wait.
    let mut client = at_the_code_prompt(&sandbox);
    client.send(&phone.code());
    client.expect(INSIDE);
}

#[test]
fn forward_pass_splits_password_and_code_over_ssh() {
    let sandbox = host();
    sandbox.pam(
        "sshd",
        "auth required pam_qrtotp.so forward_pass\nauth required pam_unix.so use_first_pass\naccount required pam_permit.so\n",
    );
    sandbox.proves_passwords();
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("");
    let together = |text: &str| {
        let mut client = sandbox.ssh("alice", "echo logged in");
        client.expect("Password & verification code: ");
        client.send(text);
        let (status, shown) = client.finish();
        assert_eq!(status.success(), shown.contains(INSIDE));
        status.success()
    };
    assert!(!together(PASSWORD), "the password alone");
    assert!(!together(&format!("{PASSWORD}{}", phone.wrong_code())));
    assert!(together(&format!("{PASSWORD}{}", phone.previous_code())));
    assert!(!together(&format!("another password{}", phone.code())), "the code alone");
}

#[test]
fn the_log_says_what_may_explain_an_answer_that_was_refused() {
    let sandbox = host();
    sandbox.without_delays();
    let phone = sandbox.import("alice");
    let old = (phone.code_of_step(phone.step() - 2), "the code is right for a clock 240 s behind");
    let password = (PASSWORD.to_owned(), "KbdInteractiveAuthentication");
    let dummy = ("123456".to_owned(), "sshd refuses this user (PermitRootLogin");
    let (keyboard, by_password) = ("keyboard-interactive", "password");
    for (user, method, arguments, (answer, cause)) in [
        ("alice", keyboard, "", &old),
        ("alice", by_password, "", &password),
        ("root", keyboard, "", &dummy),
        ("root", by_password, "", &dummy),
        ("root", keyboard, "forward_pass", &dummy),
        ("root", by_password, "forward_pass", &dummy),
        ("bobby", keyboard, "", &dummy),
    ] {
        sandbox.key_and_code("sshd", arguments);
        let _sshd = sandbox.start_sshd("PasswordAuthentication yes\nPermitRootLogin no\nDenyUsers bobby");
        let seen = sandbox.log.lines().len();
        let method = format!("PreferredAuthentications={method}");
        let mut client = sandbox.ssh_with(user, &["PubkeyAuthentication=no", &method], "echo inside");
        client.expect(": ");
        client.send(answer);
        let _ = client.failure();
        let _ = sandbox.log.wait_after(seen, &["event=login result=denied", cause]);
    }
}
