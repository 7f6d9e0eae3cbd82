//! Users who enrol while they log in: with a real client, from the picture on their screen.

use std::time::{Duration, Instant};

use qrtotp_tests::{
    Phone, Pty, Sandbox, clock,
    enrol::recovery_codes,
    first_login::{CHOICES, CODES, ENTER, INSIDE, RESUMED},
    screen::{Background, scan, scan_off},
    uri_of,
    users::PASSWORD,
};

fn host(service: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.password_and_enrolment(service);
    sandbox
}

fn ssh(sandbox: &Sandbox, before: &[&str], options: &[&str]) -> Pty {
    sandbox.ssh_to_enrol(before, "alice", &[&["PubkeyAuthentication=no"], options].concat(), "echo logged in")
}

/// The next login asks for a code and shows no picture.
fn a_code_is_enough_from_now_on(sandbox: &Sandbox, phone: &Phone, mut client: Pty) {
    client.give_password(PASSWORD);
    client.send(&phone.wait_for_next_code());
    client.expect(INSIDE);
    assert!(!client.success().contains('█'));
    let _ = sandbox.log.wait(&["event=login result=accepted reason=code"]);
}

#[test]
fn a_user_enrols_from_the_picture_of_their_first_ssh_login() {
    let sandbox = host("sshd");
    let _sshd = sandbox.start_sshd("");
    for options in [&[][..], &["-q"]] {
        let mut client = ssh(&sandbox, &[], options);
        client.at_the_picture();
        let uri = scan(&client.transcript(), Background::Dark).expect("the picture can be scanned");
        let small = scan_off(&client.transcript(), Background::Dark, "80x24");
        assert_eq!(small.as_ref(), Some(&uri), "80 by 24 is enough");
        assert!(uri.starts_with(&uri_of("alice", "")), "{uri}");
        let phone = client.enrol_by(&sandbox, &uri);
        client.expect(INSIDE);
        client.success();
        let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=sshd"]);
        let _ = sandbox.log.wait(&["event=recovery_issued reason=acknowledged"]);
        a_code_is_enough_from_now_on(&sandbox, &phone, ssh(&sandbox, &[], options));
        sandbox.run(&["rm", "-r", "/var/lib/qrtotp/accounts/alice"]).success();
    }
}

#[test]
fn a_client_in_a_plain_locale_enrols_by_ascii_picture_or_by_key() {
    let sandbox = host("sshd");
    let _sshd = sandbox.start_sshd("");
    let mut client = ssh(&sandbox, &["env", "LC_ALL=C"], &[]);
    let garbled = client.at_the_picture();
    assert!(garbled.contains("\\342") && garbled.is_ascii(), "OpenSSH escapes what the locale can't show");
    let last = client.transcript();
    let last = last.lines().last().unwrap();
    assert!(last.contains("a: plain ASCII picture") && last.contains("k: key as text"), "{last:?}");
    client.send("a");
    let seen = client.expect(CHOICES);
    let uri = scan(&seen, Background::Dark).expect("the ASCII picture can be scanned");
    client.send("k");
    let text = client.expect(CHOICES);
    let typed = text.lines().find(|line| line.starts_with("otpauth://")).unwrap();
    assert_eq!(Phone::scanned(typed.trim()).key, Phone::scanned(&uri).key);
    let phone = client.enrol_by(&sandbox, &uri);
    client.expect(INSIDE);
    client.success();
    a_code_is_enough_from_now_on(&sandbox, &phone, ssh(&sandbox, &["env", "LC_ALL=C"], &[]));
}

#[test]
fn a_user_with_a_key_to_which_the_token_is_bound_enrols_without_a_password() {
    let sandbox = host("sshd");
    sandbox.key_and_enrolment("sshd");
    sandbox.authorize_key("alice");
    sandbox.run(&["qrtotp", "token", "issue", "alice", "--keys-now"]).success();
    let _sshd = sandbox.start_sshd("AuthenticationMethods publickey,keyboard-interactive");
    let mut client = sandbox.ssh_to_enrol(&[], "alice", &["PasswordAuthentication=no"], "echo logged in");
    client.expect(ENTER);
    client.send("");
    client.expect(CHOICES);
    client.send("i");
    client.expect(CHOICES);
    let uri = scan(&client.transcript(), Background::Light).expect("inverted, for a light terminal");
    client.enrol_by(&sandbox, &uri);
    client.expect(INSIDE);
    client.success();
}

#[test]
fn without_the_key_the_key_and_code_stack_enrols_nobody() {
    let sandbox = host("sshd");
    sandbox.key_and_enrolment("sshd");
    let _sshd = sandbox.start_sshd("AuthenticationMethods keyboard-interactive");
    let mut client = ssh(&sandbox, &[], &[]);
    client.expect(ENTER);
    client.send("");
    assert!(!client.failure().contains(INSIDE));
    let _ = sandbox.log.wait(&["event=login result=denied reason=no_primary_factor user=alice"]);
}

#[test]
fn a_user_enrols_in_sudo_and_somebody_in_su() {
    let sandbox = host("sudo");
    sandbox.password_and_enrolment("su");
    sandbox.add_user("bobby");
    for (user, argv) in [
        ("alice", ["sudo", "echo", "logged in"].as_slice()),
        ("bobby", ["su", "bobby", "-c", "echo logged in"].as_slice()),
    ] {
        let mut program = sandbox.pty_unrecorded_as(Some("alice"), argv);
        program.at_the_picture();
        let uri = scan_off(&program.transcript(), Background::Dark, "80x24").expect("it can be scanned");
        let phone = program.enrol_by(&sandbox, &uri);
        program.expect(INSIDE);
        program.success();
        let enrolled = format!("event=login result=accepted reason=enrolled user={user}");
        let _ = sandbox.log.wait(&[&enrolled]);
        if user == "bobby" {
            a_code_is_enough_from_now_on(&sandbox, &phone, sandbox.pty_unrecorded_as(Some("alice"), argv));
        }
    }
}

#[test]
fn a_user_enrols_at_the_console() {
    let sandbox = host("login");
    let mut console = sandbox.pty_unrecorded(&["login", "alice"]);
    console.at_the_picture();
    let uri = scan_off(&console.transcript(), Background::Dark, "80x24").expect("it can be scanned");
    console.enrol_by(&sandbox, &uri);
    console.expect("$");
    console.send("echo logged  in; exit");
    console.expect(INSIDE);
    console.success();
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=login"]);
}

#[test]
fn a_dropped_login_is_resumed_without_the_picture() {
    let sandbox = host("sshd");
    let _sshd = sandbox.start_sshd("");
    let (mut client, start) = (ssh(&sandbox, &[], &[]), Instant::now());
    client.at_the_picture();
    let uri = scan(&client.transcript(), Background::Dark).expect("it can be scanned");
    // sshd's own LoginGraceTime is 120 s. Then its processes for this connection are gone, which the client
    // notices at the next key.
    let closed = || {
        clock::pause(Duration::from_secs(1)); // no need to poll faster
        (!sandbox.run(&["pgrep", "--full", "^sshd(-session|-auth)?: alice"]).status.success()).then_some(())
    };
    clock::poll(Duration::from_secs(150), closed).expect("sshd waits for ever");
    assert!(start.elapsed() > Duration::from_secs(110), "{:?}", start.elapsed());
    client.send(&Phone::scanned(&uri).code());
    assert!(!client.failure().contains(INSIDE));
    let mut client = ssh(&sandbox, &[], &[]);
    client.give_password(PASSWORD);
    client.send("");
    let shown = client.expect(RESUMED);
    assert!(!shown.contains('█') && shown.contains("If you scanned it"), "{shown}");
    client.enrol_by(&sandbox, &uri);
    client.expect(INSIDE);
    client.success();
    let _ = sandbox.log.wait(&["event=enrollment_resumed", "user=alice"]);
}

#[test]
fn recovery_codes_that_nobody_confirmed_are_replaced_at_the_next_login() {
    let sandbox = host("sshd");
    let _sshd = sandbox.start_sshd("");
    let mut client = ssh(&sandbox, &[], &[]);
    client.at_the_picture();
    let phone = Phone::scanned(&scan(&client.transcript(), Background::Dark).unwrap());
    phone.wait_for_seconds_left(10);
    client.send(&phone.code());
    let lost = recovery_codes(&client.expect(CODES));
    drop(client); // the window is closed
    let _ = sandbox.log.wait(&["Connection closed by authenticating user alice"]);
    let mut next = ssh(&sandbox, &[], &[]);
    next.give_password(PASSWORD);
    next.send(&phone.wait_for_next_code());
    let shown = next.expect(CODES);
    assert!(shown.contains("never confirmed"), "{shown}");
    let codes = recovery_codes(&shown);
    assert!(codes.len() == 10 && codes.iter().all(|code| !lost.contains(code)));
    next.send("skip");
    next.expect(INSIDE);
    next.success();
    let _ = sandbox.log.wait(&["event=recovery_issued reason=skipped"]);
    for (code, enters) in [(&lost[0], false), (&codes[0], true)] {
        let mut client = ssh(&sandbox, &[], &[]);
        client.give_password(PASSWORD);
        client.send(code);
        let (status, _) = client.finish();
        assert_eq!(status.success(), enters);
    }
}

#[test]
fn three_wrong_codes_or_giving_up_end_the_login_and_leave_the_account_as_it_was() {
    let sandbox = host("sshd");
    let _sshd = sandbox.start_sshd("");
    for answers in [&["000000", "000000", "000000"][..], &["q"]] {
        let mut client = ssh(&sandbox, &[], &[]);
        client.at_the_picture();
        for (i, answer) in answers.iter().enumerate() {
            if i > 0 {
                client.expect(CHOICES);
            }
            client.send(answer);
        }
        assert!(!client.failure().contains(INSIDE));
    }
    let _ = sandbox.log.wait(&["event=login result=denied reason=wrong_code user=alice"]);
    let _ = sandbox.log.wait(&["event=login result=denied reason=given_up user=alice"]);
    let status = sandbox.run(&["qrtotp", "status", "alice"]).success();
    assert!(!status.stdout.contains("c-"), "{}", status.stdout);
}
