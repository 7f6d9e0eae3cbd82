//! `first_login` at real logins: tokens, each state of them, and the grace period.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    first_login::{CHOICES, CODES, ENTER, INSIDE, RESUMED},
    shipped::OUTSIDE,
    users::PASSWORD,
};

const CODE_OF_TOKEN: &str = "One-time code from your administrator: ";

fn host(defaults: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("[defaults]\n{defaults}\n"));
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.make_store();
    sandbox.without_delays();
    sandbox.password_and_enrolment("su");
    sandbox
}

fn with_tokens() -> Sandbox {
    host("first_login = \"token\"")
}

fn su(sandbox: &Sandbox, user: &str) -> Pty {
    sandbox.pty_unrecorded_as(Some("keeper"), &["su", user, "-c", "echo logged in"])
}

/// A login after the password and Enter.
fn entered(sandbox: &Sandbox, user: &str) -> Pty {
    let mut su = su(sandbox, user);
    su.give_password(PASSWORD);
    su.send("");
    su
}

fn issue(sandbox: &Sandbox, more: &[&str]) {
    sandbox.run(&[&["qrtotp", "token", "issue", "alice"], more].concat()).success();
}

fn is_denied(sandbox: &Sandbox, reason: &str) {
    let seen = sandbox.log.lines().len();
    let shown = entered(sandbox, "alice").failure();
    assert!(!shown.contains(INSIDE) && !shown.contains('█'), "{reason}: {shown}");
    let denied = format!("event=login result=denied reason={reason} user=alice service=su");
    let _ = sandbox.log.wait_after(seen, &[&denied]);
}

#[test]
fn where_a_token_is_needed_only_a_live_one_enrols_and_an_ended_one_is_refused_by_name() {
    let sandbox = with_tokens();
    is_denied(&sandbox, "no_token");
    sandbox.let_token_run_out("alice");
    is_denied(&sandbox, "token_expired");
    sandbox.take_token_back("alice");
    is_denied(&sandbox, "token_revoked");
    issue(&sandbox, &[]);
    let mut su = entered(&sandbox, "alice");
    su.expect(CHOICES);
    let phone = su.take_key(&sandbox);
    su.confirm(&phone);
    su.expect(INSIDE);
    su.success();
    let _ = sandbox.log.wait(&["event=token_consumed user=alice service=su"]);
    // Its device is gone, and the token is used up: it gives no second one.
    sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
    is_denied(&sandbox, "token_consumed");
    assert!(sandbox.run(&["qrtotp", "token", "show", "alice"]).success().stdout.contains("consumed"));
    sandbox.let_token_run_out("alice");
    is_denied(&sandbox, "token_expired");
    sandbox.take_token_back("alice");
    is_denied(&sandbox, "token_revoked");
    let revoked = "detail=\"all devices of the account were revoked\"";
    let _ = sandbox.log.wait(&["reason=token_revoked user=alice service=su", revoked]);
    issue(&sandbox, &[]);
    entered(&sandbox, "alice").expect(CHOICES);
}

#[test]
fn a_revoked_account_without_a_token_is_denied_as_revoked() {
    let sandbox = with_tokens();
    sandbox.import("alice");
    sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
    is_denied(&sandbox, "revoked");
}

#[test]
fn a_token_is_shown_so_often_and_no_more() {
    let sandbox = with_tokens();
    issue(&sandbox, &[]);
    let mut su = entered(&sandbox, "alice");
    for _ in 0..2 {
        su.expect(CHOICES);
        su.send("n");
    }
    su.expect(CHOICES);
    drop(su);
    // The last QR code can still be confirmed; another one is refused.
    let mut su = entered(&sandbox, "alice");
    su.expect(RESUMED);
    su.send("n");
    assert!(!su.failure().contains('█'));
    let _ = sandbox.log.wait(&["event=login result=denied reason=token_shows_used_up user=alice"]);
}

#[test]
fn the_code_of_a_token_is_asked_for_before_the_picture() {
    let sandbox = with_tokens();
    // Shown once, to its owner.
    let issued = sandbox.pty_unrecorded(&["qrtotp", "token", "issue", "alice", "--code", "--json"]).success();
    let code = issued.split("\"code\": \"").nth(1).unwrap().split('"').next().unwrap();
    sandbox.keep_secret(code);
    let mut wrong = entered(&sandbox, "alice");
    for _ in 0..3 {
        wrong.expect(CODE_OF_TOKEN);
        wrong.send("0000-0000");
    }
    assert!(!wrong.failure().contains('█'));
    let refused =
        |line: &String| line.starts_with("event=token_code_refused reason=token_code_wrong user=alice");
    assert_eq!(sandbox.log.events().iter().filter(|line| refused(line)).count(), 3);
    let _ = sandbox.log.wait(&["event=enrollment_refused reason=token_code_wrong user=alice"]);
    let _ = sandbox.log.wait(&["event=login result=denied reason=token_code_wrong user=alice"]);
    let mut right = entered(&sandbox, "alice");
    right.expect(CODE_OF_TOKEN);
    assert!(!right.transcript().contains('█'));
    right.send(code);
    right.expect(CHOICES);
    let phone = right.take_key(&sandbox);
    right.confirm(&phone);
    right.expect(INSIDE);
    right.success();
}

#[test]
fn where_no_password_is_asked_for_the_code_of_a_token_typed_at_the_first_question_enrols() {
    let sandbox = with_tokens();
    sandbox.enrolling("su", "auth required pam_qrtotp.so\n");
    let issued = sandbox.pty_unrecorded(&["qrtotp", "token", "issue", "alice", "--code", "--json"]).success();
    let code = issued.split("\"code\": \"").nth(1).unwrap().split('"').next().unwrap();
    sandbox.keep_secret(code);
    let answer = |text: &str| {
        let mut su = su(&sandbox, "alice");
        su.expect(ENTER);
        su.send(text);
        su
    };
    for wrong in ["", "0000-AAAA"] {
        let shown = answer(wrong).failure();
        assert!(!shown.contains('█') && shown.contains("ask your administrator to let you enrol"), "{shown}");
    }
    let _ = sandbox.log.wait(&["event=login result=denied reason=token_code_wrong user=alice service=su"]);
    let mut right = answer(code);
    right.expect(CHOICES);
    let phone = right.take_key(&sandbox);
    right.confirm(&phone);
    right.expect(INSIDE);
    right.success();
}

/// Whether this dialogue, after a right code, enrolled the user.
fn enrolled(dialogue: &mut Pty) -> bool {
    let enrolled = dialogue.expect_one(&[CODES, "uthentication failure", "ermission denied"]) == 0;
    if enrolled {
        dialogue.send("skip");
        dialogue.expect(INSIDE);
    }
    enrolled
}

#[test]
fn of_two_people_who_redeem_one_token_at_once_one_succeeds() {
    let sandbox = with_tokens();
    for _ in 0..5 {
        issue(&sandbox, &[]);
        let mut first = entered(&sandbox, "alice");
        first.expect(CHOICES);
        let phone = first.take_key(&sandbox);
        let mut second = entered(&sandbox, "alice");
        second.expect(RESUMED);
        phone.wait_for_seconds_left(10);
        let code = phone.code();
        first.send(&code);
        second.send(&code);
        let outcome = [enrolled(&mut first), enrolled(&mut second)];
        assert!(outcome[0] != outcome[1], "{outcome:?}");
        let denied = "event=login result=denied reason=token_consumed user=alice";
        let _ = sandbox.log.wait(&[denied]);
        let status = sandbox.run(&["qrtotp", "status", "alice", "--json"]).success().stdout;
        assert_eq!(status.matches("\"id\": \"c-").count(), 1, "{status}");
        sandbox.run(&["rm", "-r", "/var/lib/qrtotp/accounts/alice"]).success();
    }
}

#[test]
fn whoever_takes_a_fresh_picture_ends_the_one_before_it() {
    let sandbox = with_tokens();
    issue(&sandbox, &[]);
    let mut first = entered(&sandbox, "alice");
    first.expect(CHOICES);
    let old = first.take_key(&sandbox);
    let mut second = entered(&sandbox, "alice");
    second.expect(RESUMED);
    second.send("n");
    second.expect(CHOICES);
    let new = second.take_key(&sandbox);
    old.wait_for_seconds_left(15);
    first.send(&old.code());
    assert!(!enrolled(&mut first));
    let _ = sandbox.log.wait(&["event=login result=denied reason=token_shown_again user=alice"]);
    second.send(&new.code());
    assert!(enrolled(&mut second));
}

/// The date this many days from today, in the sandbox's UTC.
fn day(sandbox: &Sandbox, from_today: i32) -> String {
    let date = format!("{from_today} days");
    sandbox.run(&["date", "-u", "-d", &date, "+%F"]).success().stdout.trim().to_owned()
}

/// A login after the password.
fn with_password(sandbox: &Sandbox, service: &str, user: &str) -> Pty {
    let mut client = match service {
        "sshd" => sandbox.ssh_to_enrol(&[], user, &["PubkeyAuthentication=no"], "echo logged in"),
        "sudo" => sandbox.pty_unrecorded_as(Some(user), &["sudo", "echo", INSIDE]),
        _ => su(sandbox, user),
    };
    client.expect("assword");
    client.send(PASSWORD);
    client
}

#[test]
fn in_the_days_of_grace_people_without_a_device_get_in_and_are_told_each_time_how_many_are_left() {
    let sandbox = host("");
    sandbox.password_and_enrolment("sshd");
    sandbox.password_and_enrolment("sudo");
    let phone: Phone = sandbox.import("bobby");
    let _sshd = sandbox.start_sshd("");
    let services = ["sshd", "su", "sudo"];
    for (days, expected) in [(-1, None), (0, Some("Today is the last day")), (6, Some("7 days are left"))] {
        let until = day(&sandbox, days);
        sandbox.configure(&format!("[defaults]\nfirst_login = \"allow\"\nallow_until = \"{until}\"\n"));
        let Some(expected) = expected else {
            for service in services {
                let mut client = with_password(&sandbox, service, "alice");
                client.expect("Verification code: ");
                client.send("");
                let heard = client.expect_one(&[&OUTSIDE[..], &[INSIDE]].concat());
                assert!(heard < OUTSIDE.len(), "{service}: {}", client.transcript());
                let denied = "event=login result=denied reason=grace_over user=alice service=";
                let _ = sandbox.log.wait(&[&format!("{denied}{service}")]);
            }
            continue;
        };
        // Every login shows it again.
        for service in services.repeat(2) {
            let seen = sandbox.log.lines().len();
            let mut client = with_password(&sandbox, service, "alice");
            client.expect(INSIDE);
            let shown = client.success();
            assert!(!shown.contains("Verification code"), "{service}: {shown}");
            // sudo asks modules to be silent (PAM_SILENT), and lets in nevertheless.
            assert_eq!(shown.contains(expected), service != "sudo", "{service}: {shown}");
            let ignored = "event=login result=ignored reason=grace_period user=alice service=";
            let _ = sandbox.log.wait_after(seen, &[&format!("{ignored}{service}")]);
        }
    }
    let mut client = with_password(&sandbox, "sshd", "bobby");
    client.expect("Verification code: ");
    client.send(&phone.code());
    client.expect(INSIDE);
}
