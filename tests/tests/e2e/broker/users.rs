//! The broker as users without root see it.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    broker::{DEVICE_QUESTION, ENROLS, TOKEN_QUESTION, as_user},
    enrol::recovery_codes,
    first_login::CODES,
    host::PAM_SUCCESS,
    users::PASSWORD,
};

fn standing(sandbox: &Sandbox, user: &str) -> String {
    let json = sandbox.run(&["qrtotp", "status", user, "--json"]).success().stdout;
    let at = json.find("\"standing\": \"").unwrap() + 13;
    json[at..].split('"').next().unwrap().to_owned()
}

#[test]
fn a_user_enrols_with_a_tokens_code_and_logs_in_with_the_app() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let (mut pty, phone) = sandbox.enrol_by_token("alice");
    let shown = pty.finish_enrolment(&sandbox, &phone);
    assert!(shown.contains('█') || shown.contains('▀'), "{shown}");
    let _ = sandbox.log.wait(&["event=recovery_issued", "reason=acknowledged", "user=alice"]);
    let _ = sandbox.log.wait(&[
        "qrtotpd",
        "event=enrollment_confirmed",
        "user=alice",
        "service=qrtotpd",
        "by=alice",
    ]);
    let _ = sandbox.log.wait(&["event=token_consumed", "user=alice"]);
    assert_eq!(sandbox.answer("alice", &phone.wait_for_next_code()), PAM_SUCCESS);
    let used = sandbox.token_state("alice");
    assert!(used.contains("consumed"), "{used}");
}

#[test]
fn a_user_enrols_with_the_password_where_first_login_lets_them() {
    let sandbox = Sandbox::with_broker(ENROLS);
    sandbox.keep_secret(PASSWORD);
    let _broker = sandbox.start_broker();
    let mut pty = sandbox.own("alice", &["enroll", "--label", "Alice's phone"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    let phone = pty.read_key(&sandbox);
    let shown = pty.finish_enrolment(&sandbox, &phone);
    assert!(!shown.contains(PASSWORD), "a password is not shown: {shown}");
    assert_eq!(standing(&sandbox, "alice"), "enrolled");
    let _ = sandbox.log.wait(&["event=enrollment_confirmed", "user=alice", "label=\"Alice's phone\""]);
}

#[test]
fn a_terminal_has_its_echo_back_after_an_interrupted_password() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let _broker = sandbox.start_broker();
    let script = ["sh", "-c", "trap : INT; qrtotp enroll; stty -a"];
    let mut pty = sandbox.pty_unrecorded(&[&as_user("alice")[..], &script].concat());
    pty.expect("assword: ");
    pty.send("half a pass\x03");
    let shown = pty.success();
    assert!(shown.contains(" echo ") && !shown.contains("half"), "{shown}");
}

#[test]
fn a_wrong_password_shows_no_qr_code_and_changes_nothing() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let _broker = sandbox.start_broker();
    for answer in ["wrong horse", ""] {
        let mut pty = sandbox.own("alice", &["enroll"]);
        pty.expect("assword: ");
        pty.send(answer);
        let shown = pty.failure();
        assert!(!shown.contains("Key: ") && shown.contains("needs your password"), "{shown}");
    }
    let _ = sandbox.log.wait(&["event=enrollment_refused", "reason=primary_factor ", "user=alice"]);
    assert!(!sandbox.exists("/var/lib/qrtotp/accounts/alice"));
}

#[test]
fn nobody_is_asked_for_a_password_that_would_not_be_enough() {
    for first_login in ["deny", "token"] {
        let sandbox = Sandbox::with_broker(&format!("[defaults]\nfirst_login = \"{first_login}\"\n"));
        let _broker = sandbox.start_broker();
        let shown = sandbox.own("alice", &["enroll"]).failure();
        assert!(!shown.contains("assword: ") && shown.contains("enrolment token"), "{first_login}: {shown}");
        let _ = sandbox.log.wait(&["event=enrollment_refused", "user=alice", "by=alice"]);
        assert_eq!(standing(&sandbox, "alice"), "unenrolled");
    }
}

#[test]
fn wrong_token_codes_show_no_qr_code_and_end() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let code = sandbox.token_code("alice");
    let mut pty = sandbox.own("alice", &["enroll"]);
    for _ in 0..3 {
        pty.expect(TOKEN_QUESTION);
        pty.send("AAAA-AAAA");
    }
    assert!(!pty.failure().contains("Key: "));
    let _ = sandbox.log.wait(&["event=token_code_refused", "user=alice"]);
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    pty.send(&code.to_lowercase().replace('-', ""));
    pty.read_key(&sandbox);
}

#[test]
fn people_see_their_own_status_and_never_a_secret() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let text = sandbox.own_output("alice", &["status"]).success().stdout;
    assert!(text.contains("alice") && text.contains("enrolled") && !text.contains("keeper"), "{text}");
    let json = sandbox.own_output("alice", &["status", "--json", "alice"]).success().stdout;
    assert_eq!(json, sandbox.run(&["qrtotp", "status", "alice", "--json"]).success().stdout);
    assert!(!json.contains(&phone.key));
    assert!(sandbox.own_output("mallory", &["status"]).success().stdout.contains("unenrolled"));
    assert!(!sandbox.exists("/var/lib/qrtotp/accounts/mallory"), "looking makes no record");
}

#[test]
fn a_second_device_needs_a_code_of_the_first() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let first = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let mut pty = sandbox.own("alice", &["enroll"]);
    for _ in 0..3 {
        pty.expect(DEVICE_QUESTION);
        pty.send(&first.wrong_code());
    }
    let shown = pty.failure();
    assert!(!shown.contains("Key: ") && !shown.contains("assword: "), "{shown}");
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&first.code());
    let second = pty.read_key(&sandbox);
    pty.finish_enrolment(&sandbox, &second);
    let json = sandbox.run(&["qrtotp", "status", "alice", "--json"]).success().stdout;
    assert_eq!(json.matches("\"id\": \"c-").count(), 2, "{json}");
    let _ = sandbox.log.wait(&["event=device_proof", "result=denied", "user=alice", "by=alice"]);
}

#[test]
fn ones_own_device_and_recovery_codes_change_only_with_a_code() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    for arguments in [&["recovery", "regenerate"][..], &["revoke"], &["revoke", "--all"]] {
        let mut pty = sandbox.own("alice", arguments);
        pty.expect(DEVICE_QUESTION);
        pty.send("");
        pty.expect(DEVICE_QUESTION);
        pty.send("q");
        pty.expect(DEVICE_QUESTION);
        pty.send(&phone.wrong_code());
        pty.failure();
    }
    let mut pty = sandbox.own("alice", &["recovery", "regenerate"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.previous_code());
    let codes = pty.keep_recovery_codes(&sandbox);
    pty.success();
    let _ = sandbox.log.wait(&["event=recovery_regenerated", "reason=acknowledged", "user=alice"]);
    let mut pty = sandbox.own("alice", &["revoke"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&codes[3]);
    assert!(pty.success().contains("No device is left"));
    assert_eq!(standing(&sandbox, "alice"), "revoked");
    let _ = sandbox.log.wait(&["event=credential_revoked", "user=alice", "service=qrtotpd", "by=alice"]);
    // Revoked is not unenrolled: the password alone does not restore the device.
    sandbox.configure(ENROLS);
    assert!(!sandbox.own("alice", &["enroll"]).failure().contains("assword: "));
    // Nor does it if the account belonged to another user.
    let passwd = sandbox.read("/etc/passwd").replace("alice:x:", "alice:x:9");
    sandbox.overwrite("/etc/passwd", &passwd);
    let shown = sandbox.own("alice", &["enroll"]).failure();
    assert!(!shown.contains("assword: ") && shown.contains("former user"), "{shown}");
}

#[test]
fn recovery_codes_that_nobody_has_written_down_are_worth_nothing() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let old = sandbox.new_recovery_codes("alice");
    let _broker = sandbox.start_broker();
    let mut pty = sandbox.own("alice", &["recovery", "regenerate"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.code());
    for _ in 0..3 {
        pty.expect(CODES);
        pty.send("0000-0000-0000-0000");
    }
    let shown = pty.failure();
    let new = recovery_codes(&shown);
    assert!(shown.contains("none of them") && shown.contains("the old ones stay"), "{shown}");
    assert_ne!(sandbox.answer("alice", &new[0]), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &old[0]), PAM_SUCCESS);
}

#[test]
fn of_two_who_redeem_one_token_at_once_one_succeeds() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let code = sandbox.token_code("alice");
    let mut people: Vec<(Pty, Phone)> = (0..2)
        .map(|_| {
            let mut pty = sandbox.own("alice", &["enroll"]);
            pty.expect(TOKEN_QUESTION);
            pty.send(&code);
            if pty.expect_one(&["A second factor for", "You were shown a QR code"]) == 1 {
                // The second enrolment is asked for the first one's code, and wants its own QR code.
                pty.expect("Code: ");
                pty.send("n");
            }
            let phone = pty.read_key(&sandbox);
            (pty, phone)
        })
        .collect();
    people[0].1.wait_for_seconds_left(8);
    for (pty, phone) in &mut people {
        let code = phone.code();
        sandbox.keep_secret(&code);
        pty.send(&code);
        if pty.expect_one(&[CODES, "qrtotp: "]) == 0 {
            pty.send("skip");
        }
    }
    let won: Vec<bool> = people.iter_mut().map(|(pty, _)| pty.finish().0.success()).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let json = sandbox.run(&["qrtotp", "status", "alice", "--json"]).success().stdout;
    assert_eq!(json.matches("\"id\": \"c-").count(), 1, "{json}");
}

#[test]
fn a_broker_that_is_killed_leaves_nothing_half_and_the_qr_code_can_still_be_confirmed() {
    let sandbox = Sandbox::with_broker("");
    let mut broker = sandbox.start_broker();
    let code = sandbox.token_code("alice");
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    pty.send(&code);
    let phone = pty.read_key(&sandbox);
    broker.kill();
    pty.send(&phone.code());
    assert!(pty.failure().contains("the broker ended the connection"));
    assert!(sandbox.token_state("alice").contains("waits for its first code until"));
    assert_eq!(standing(&sandbox, "alice"), "unenrolled");
    assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "nobody confirmed it");
    let _broker = sandbox.start_broker();
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    pty.send(&code);
    pty.expect("You were shown a QR code");
    pty.expect("Code: ");
    let shown = pty.finish_enrolment(&sandbox, &phone);
    assert!(!shown.contains("Key: "), "it is not shown again: {shown}");
    assert_eq!(standing(&sandbox, "alice"), "enrolled");
}

#[test]
fn a_screen_locker_without_root_gets_its_own_users_code_judged_once() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let broker = sandbox.start_broker();
    let unlock = |user, answer: &str| {
        let login = sandbox.login(user).answer(answer).under(&as_user("alice"));
        login.run().authenticate()
    };
    assert_ne!(unlock("alice", &phone.wrong_code()), PAM_SUCCESS);
    assert_eq!(unlock("alice", &phone.previous_code()), PAM_SUCCESS);
    assert_ne!(unlock("alice", &phone.previous_code()), PAM_SUCCESS, "twice");
    assert_ne!(unlock("keeper", &phone.code()), PAM_SUCCESS, "somebody else");
    let accepted =
        ["qrtotpd", "event=login", "result=accepted", "user=alice", "service=qrtotpd:tests", "by=alice"];
    let _ = sandbox.log.wait(&accepted);
    drop(broker);
    assert_ne!(unlock("alice", &phone.code()), PAM_SUCCESS, "nobody to ask");
}

#[test]
fn an_application_with_two_uids_or_for_a_second_name_of_a_uid_is_denied() {
    let sandbox = Sandbox::with_broker("");
    let alice = sandbox.import("alice");
    let mallory = sandbox.import("mallory");
    let _broker = sandbox.start_broker();
    let two_uids = ["setpriv", "--ruid", "alice", "--euid", "mallory", "--clear-groups", "--"];
    let report = sandbox.login("alice").answer(&mallory.code()).under(&two_uids).run();
    assert_ne!(report.authenticate(), PAM_SUCCESS, "mallory's code for alice");
    let passwd = sandbox.read("/etc/passwd");
    let line = passwd.lines().find(|line| line.starts_with("alice:")).unwrap();
    sandbox.append("/etc/passwd", &format!("{}\n", line.replacen("alice", "second", 1)));
    let report = sandbox.login("second").answer(&alice.code()).under(&as_user("alice")).run();
    assert_ne!(report.authenticate(), PAM_SUCCESS, "alice's code for the second name of her uid");
    let _ = sandbox.log.wait(&["event=login result=denied reason=broker user=second"]);
    let report = sandbox.login("alice").answer(&alice.code()).under(&as_user("alice")).run();
    assert_eq!(report.authenticate(), PAM_SUCCESS);
}
