//! Logins that must never become an enrolment: by a user without the primary factor.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    first_login::{ENTER, INSIDE, RESUMED},
    host::{PAM_SUCCESS, SERVICE},
    users::PASSWORD,
};

/// A hand-written stack that continues after a wrong password.
const RUNS_ON: &str = "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n";
const ANSWERS: &[&str] = &["", "000000", "i", "a", "k", "n", "q", "skip", "0000-0000-0000-0000"];

fn host(service: &str, auth: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.make_store();
    sandbox.without_delays();
    sandbox.append("/etc/sudoers.d/tests", "Defaults passwd_tries=1\n");
    sandbox.enrolling(service, auth);
    sandbox
}

/// Bobby becomes alice.
fn su(sandbox: &Sandbox) -> Pty {
    sandbox.pty_unrecorded_as(Some("bobby"), &["su", "alice", "-c", "echo logged in"])
}

fn sudo(sandbox: &Sandbox) -> Pty {
    sandbox.pty_unrecorded_as(Some("alice"), &["sudo", "echo", INSIDE])
}

fn ssh(sandbox: &Sandbox) -> Pty {
    sandbox.ssh_to_enrol(&[], "alice", &["PubkeyAuthentication=no"], "echo logged in")
}

/// A user's only attempt: they get in nowhere and see nothing to scan.
fn stays_outside(mut program: Pty, password: Option<&str>, answer: &str) -> String {
    if let Some(password) = password {
        program.expect("assword");
        program.send(password);
    }
    program.expect(ENTER);
    program.send(answer);
    let shown = program.failure();
    assert!(!shown.contains(INSIDE), "{answer:?}: {shown}");
    assert!(
        !shown.contains('█') && !shown.contains("otpauth") && !shown.contains("QR"),
        "{answer:?}: {shown}"
    );
    shown
}

/// Alice enrols her device at this picture.
fn alice_finishes(sandbox: &Sandbox, mut program: Pty, phone: &Phone) {
    program.confirm(phone);
    program.expect(INSIDE);
    program.success();
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice"]);
}

#[test]
fn a_stranger_with_a_wrong_password_sees_no_picture_and_changes_nothing_whatever_they_answer() {
    let sandbox = host("su", RUNS_ON);
    let everywhere = |answer: &str| {
        let before = sandbox.store_content();
        stays_outside(su(&sandbox), Some("not the password"), answer);
        assert_eq!(sandbox.store_content(), before, "{answer:?}");
    };
    // Without an enrolment in progress.
    ANSWERS.iter().for_each(|answer| everywhere(answer));
    // Alice was at the picture, and her connection dropped: her phone has an unconfirmed key.
    let mut dropped = su(&sandbox);
    dropped.at_the_picture();
    let phone = dropped.take_key(&sandbox);
    drop(dropped);
    ANSWERS.iter().for_each(|answer| everywhere(answer));
    for code in [phone.code(), phone.previous_code(), phone.wrong_code()] {
        everywhere(&code);
    }
    let mut back = su(&sandbox);
    back.give_password(PASSWORD);
    back.send("");
    back.expect(RESUMED);
    alice_finishes(&sandbox, back, &phone);
}

#[test]
fn a_stranger_with_a_wrong_password_sees_no_picture_in_sshd_and_sudo_either() {
    let sandbox = host("sshd", RUNS_ON);
    sandbox.enrolling("sudo", RUNS_ON);
    let _sshd = sandbox.start_sshd("");
    let before = sandbox.store_content();
    for answer in ["", "k", "000000"] {
        for program in [ssh(&sandbox), sudo(&sandbox)] {
            stays_outside(program, Some("not the password"), answer);
        }
    }
    assert_eq!(sandbox.store_content(), before);
    let mut right = ssh(&sandbox);
    right.at_the_picture(); // the control: with the right password it is there
    let phone = right.take_key(&sandbox);
    alice_finishes(&sandbox, right, &phone);
}

#[test]
fn a_stranger_neither_sees_nor_uses_up_a_token() {
    let sandbox = host("su", RUNS_ON);
    for more in [&[][..], &["--code"]] {
        sandbox.run(&[&["qrtotp", "token", "issue", "alice"], more].concat()).success();
        let before = sandbox.store_content();
        for answer in ANSWERS {
            stays_outside(su(&sandbox), Some("not the password"), answer);
        }
        assert_eq!(sandbox.store_content(), before);
        sandbox.run(&["qrtotp", "token", "revoke", "alice"]).success();
    }
}

#[test]
fn a_stack_in_which_nothing_proves_a_primary_factor_enrols_nobody() {
    let sandbox = host("su", "");
    let ours = "auth required pam_qrtotp.so\n";
    let permit = "auth required pam_permit.so\n";
    for auth in [
        format!("auth required pam_env.so\n{ours}"),
        format!("{ours}auth required pam_env.so\n"),
        format!("auth required pam_faillock.so preauth\n{ours}"),
        format!("{ours}{permit}"),
        format!("{permit}{ours}"),
        format!("auth sufficient pam_rootok.so\n{ours}{permit}"),
        format!("auth required pam_succeed_if.so uid >= 0 quiet\n{ours}"),
        ours.to_owned(),
    ] {
        sandbox.enrolling("su", &auth);
        let (before, seen) = (sandbox.store_content(), sandbox.log.lines().len());
        stays_outside(su(&sandbox), None, "");
        assert_eq!(sandbox.store_content(), before, "{auth}");
        let denied = "event=login result=denied reason=no_primary_factor user=alice";
        let _ = sandbox.log.wait_after(seen, &[denied, "put the password's module before it"]);
    }
    // An empty password proves nothing.
    let shadow = sandbox.read("/etc/shadow");
    let alice = shadow.lines().find(|line| line.starts_with("alice:")).unwrap();
    let hash = alice.split(':').nth(1).unwrap();
    sandbox.overwrite("/etc/shadow", &shadow.replace(alice, &alice.replace(hash, "")));
    sandbox.password_and_enrolment("su");
    stays_outside(su(&sandbox), None, "");
}

#[test]
fn a_stack_that_swallows_a_wrong_password_enrols_nobody() {
    let sandbox = host("su", "");
    let ours = "auth required pam_qrtotp.so\n";
    let others = ["auth required pam_permit.so\n", "auth required pam_faillock.so preauth\n"];
    for other in others {
        for unix in ["sufficient", "optional", "[success=ok default=ignore]", "[success=1 default=ignore]"] {
            let unix = format!("auth {unix} pam_unix.so nodelay\n");
            for auth in [
                format!("{unix}{other}{ours}"),
                format!("{other}{unix}{ours}"),
                format!("{unix}{ours}{other}"),
            ] {
                sandbox.enrolling("su", &auth);
                let before = sandbox.store_content();
                stays_outside(su(&sandbox), Some("not the password"), "");
                assert_eq!(sandbox.store_content(), before, "{auth}");
            }
        }
    }
    // The control: a hand-written equivalent of Debian's common-auth does not continue.
    sandbox.enrolling(
        "su",
        &format!(
            "auth [success=1 default=ignore] pam_unix.so nodelay\nauth requisite pam_deny.so\n\
             auth required pam_permit.so\n{ours}"
        ),
    );
    su(&sandbox).at_the_picture();
}

#[test]
fn sudo_without_its_account_part_or_a_callers_name_lets_nobody_in_by_the_password_alone() {
    let sandbox = host("sudo", "@include common-auth\nauth required pam_qrtotp.so\n");
    let sudoers = sandbox.read("/etc/sudoers.d/tests");
    for settings in [
        "!pam_acct_mgmt, !pam_ruser",
        "!pam_acct_mgmt, !pam_rhost",
        "!pam_acct_mgmt, !pam_session, !pam_setcred",
    ] {
        let defaults = format!("{sudoers}Defaults timestamp_timeout=15, {settings}\n");
        sandbox.overwrite("/etc/sudoers.d/tests", &defaults);
        // The second command would use the first one's time stamp.
        let commands = "sudo true; sudo -n echo logged in";
        let mut twice = sandbox.pty_unrecorded_as(Some("alice"), &["sh", "-c", commands]);
        let seen = sandbox.log.lines().len();
        twice.at_the_picture();
        twice.send("q");
        assert!(!twice.failure().contains(INSIDE), "{settings}");
        let denied = "event=login result=denied reason=given_up user=alice service=sudo";
        let _ = sandbox.log.wait_after(seen, &[denied]);
    }
}

#[test]
fn ssh_by_the_method_password_is_denied_and_the_log_names_keyboard_interactive() {
    let sandbox = host("sshd", "@include common-auth\nauth required pam_qrtotp.so\n");
    let _sshd = sandbox.start_sshd("PasswordAuthentication yes\nKbdInteractiveAuthentication no");
    let before = sandbox.store_content();
    let options = ["PreferredAuthentications=password", "PubkeyAuthentication=no"];
    let mut client = sandbox.ssh_with("alice", &options, "echo logged in");
    client.expect("assword: ");
    client.send(PASSWORD);
    assert!(!client.failure().contains(INSIDE));
    assert_eq!(sandbox.store_content(), before);
    let denied = "event=login result=denied reason=password_repeated user=alice";
    let _ = sandbox.log.wait(&[denied, "KbdInteractiveAuthentication"]);
}

#[test]
fn a_client_without_questions_and_a_host_with_one_question_enrol_nobody() {
    let auth = "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n";
    let sandbox = host("sshd", auth);
    let services = format!("[enroll]\nservices = [\"sshd\", \"{SERVICE}\"]\n");
    sandbox.configure(&format!("[defaults]\nfirst_login = \"enroll\"\n{services}"));
    sandbox.enrolling(SERVICE, auth);
    let _sshd = sandbox.start_sshd("");
    let before = sandbox.store_content();
    let options = ["BatchMode=yes", "PubkeyAuthentication=no"];
    assert!(!sandbox.ssh_with("alice", &options, "echo logged in").failure().contains(INSIDE));
    let report = sandbox.login("alice").arguments(&["--answer", PASSWORD]).run();
    assert_ne!(report.authenticate(), PAM_SUCCESS, "{}", report.text());
    let _ = sandbox.log.wait(&["event=login result=denied reason=no_answer user=alice"]);
    assert_eq!(sandbox.store_content(), before);
}

#[test]
fn a_denial_that_can_be_led_around_and_a_second_line_of_ours_do_not_make_a_wrong_password_right() {
    let sandbox = host("su", "");
    let (permit, deny) = ("auth required pam_permit.so\n", "auth requisite pam_deny.so\n");
    let unix = "auth sufficient pam_unix.so nodelay\n";
    let anybody = "pam_succeed_if.so uid >= 0 quiet\n";
    let ours = |control: &str| format!("auth {control} pam_qrtotp.so\n");
    for auth in [
        format!("{permit}{unix}auth [success=1 default=ignore] {anybody}{deny}{}", ours("required")),
        format!("{permit}{unix}auth [default=1] pam_debug.so auth=auth_err\n{deny}{}", ours("required")),
        format!(
            "{permit}{unix}auth [default=1] pam_userdb.so db=/none use_first_pass\n{deny}{}",
            ours("required")
        ),
        format!(
            "auth required pam_unix.so nodelay\nauth [default = reset] pam_deny.so\n{permit}{}",
            ours("required")
        ),
        format!("{permit}auth sufficient pam_exec.so expose_authtok /bin/false\n{}", ours("required")),
    ] {
        sandbox.enrolling("su", &auth);
        let before = sandbox.store_content();
        stays_outside(su(&sandbox), Some("not the password"), "");
        assert_eq!(sandbox.store_content(), before, "{auth}");
    }
    // This stack requires nothing to be right. Still no user enrols in it.
    sandbox.enrolling("su", &format!("{permit}{}{unix}{}", ours("optional"), ours("optional")));
    let before = sandbox.store_content();
    let mut program = su(&sandbox);
    // Our own message names the password as well, without the colon.
    for (question, answer) in [(ENTER, ""), ("assword: ", "not the password"), (ENTER, "")] {
        program.expect(question);
        program.send(answer);
    }
    let (_, shown) = program.finish();
    assert!(!shown.contains('█') && !shown.contains("otpauth") && !shown.contains("QR"), "{shown}");
    assert_eq!(sandbox.store_content(), before);
}
