//! The mark that an enrolment is due lives as long as the attempt that it belongs to, and lets nobody in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    first_login::INSIDE,
    host::{Login, PAM_SUCCESS, Report, SERVICE},
    users::PASSWORD,
};

/// Alice has no device, Bobby has.
fn host(service: &str) -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"sshd\", \"sudo\", \"{SERVICE}\"]\n"
    ));
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.without_delays();
    sandbox.password_and_enrolment(service);
    let phone = sandbox.import("bobby");
    (sandbox, phone)
}

fn login<'a>(sandbox: &'a Sandbox, phases: &str, more: &[&str], answers: &[&str]) -> Login<'a> {
    let login = sandbox.login("alice").arguments(&[&["--phases", phases], more].concat());
    answers.iter().fold(login, |login, answer| login.answer(answer))
}

fn code(report: &Report, call: &str) -> i32 {
    report.value(call).parse().unwrap()
}

fn shows_no_picture(report: &Report) {
    assert!(report.messages(2).is_empty() && !report.text().contains('█'), "{}", report.text());
}

#[test]
fn the_mark_of_one_user_is_not_the_next_ones_on_the_same_handle() {
    let (sandbox, phone) = host(SERVICE);
    let two = ["--user", "bobby"];
    let before = sandbox.store_content();
    // The next one has not given a password and a code of their own.
    let report = login(&sandbox, "aumo", &two, &[PASSWORD, ""]).run();
    assert_eq!(code(&report, "authenticate"), PAM_SUCCESS, "{}", report.text());
    assert!(code(&report, "acct_mgmt") != PAM_SUCCESS && code(&report, "open_session") != PAM_SUCCESS);
    shows_no_picture(&report);
    // Alice has given a password, and nobody stopped this application: that is all that is noted.
    sandbox.run(&["sh", "-c", "rm /var/lib/qrtotp/due/*-alice"]).success();
    assert_eq!(sandbox.store_content(), before);
    let _ = sandbox.log.wait(&["event=login result=denied reason=user_changed"]);
    // The next one has: nothing is due for them.
    let report = login(&sandbox, "auamo", &two, &[PASSWORD, "", PASSWORD, &phone.code()]).run();
    assert!(report.text().contains("user=bobby"), "{}", report.text());
    assert_eq!(code(&report, "acct_mgmt"), PAM_SUCCESS, "{}", report.text());
    assert_eq!(code(&report, "open_session"), PAM_SUCCESS, "{}", report.text());
    shows_no_picture(&report);
}

#[test]
fn a_mark_in_the_environment_alone_bars_and_never_lets_in() {
    let (sandbox, phone) = host(SERVICE);
    let mark = ["--putenv", "PAM_QRTOTP_ENROLLMENT=due"];
    let before = sandbox.store_content();
    let report = login(&sandbox, "mo", &mark, &[]).run();
    assert!(code(&report, "acct_mgmt") != PAM_SUCCESS && code(&report, "open_session") != PAM_SUCCESS);
    assert_eq!(sandbox.store_content(), before);
    // An attempt begins without it.
    let bobby = sandbox.login("bobby").arguments(&["--phases", "amo", "--strict"]).arguments(&mark);
    let report = bobby.answer(PASSWORD).answer(&phone.code()).run();
    assert_eq!(code(&report, "open_session"), PAM_SUCCESS, "{}", report.text());
}

#[test]
fn only_a_key_that_the_application_names_is_evidence() {
    let (sandbox, _) = host(SERVICE);
    sandbox.key_and_enrolment(SERVICE);
    for (info, enrols) in [
        ("password\nkeyboard-interactive/pam", false),
        ("password publickey ssh-ed25519 AAAA", false),
        ("publickeys ssh-ed25519 AAAA", false),
        ("", false),
        ("password\npublickey ssh-ed25519 AAAA", true),
    ] {
        let variable = format!("SSH_AUTH_INFO_0={info}");
        let report = login(&sandbox, "am", &["--strict", "--putenv", &variable], &["", "q"]).run();
        assert_eq!(report.authenticate() == PAM_SUCCESS, enrols, "{info:?}: {}", report.text());
        assert_eq!(report.text().contains('█'), enrols, "{info:?}");
    }
}

#[test]
fn without_a_conversation_in_the_account_part_nobody_enrols_and_the_log_says_why() {
    let (sandbox, _) = host(SERVICE);
    for phases in ["armo", "anmo"] {
        let seen = sandbox.log.lines().len();
        let report = login(&sandbox, phases, &[], &[PASSWORD, ""]).run();
        assert_eq!(report.authenticate(), PAM_SUCCESS);
        assert!(code(&report, "acct_mgmt") != PAM_SUCCESS, "{}", report.text());
        assert!(code(&report, "open_session") != PAM_SUCCESS, "{}", report.text());
        let _ = sandbox.log.wait_after(seen, &["event=login result=denied reason=no_answer user=alice"]);
    }
    let status = sandbox.run(&["qrtotp", "status", "alice", "--json"]).success().stdout;
    assert!(status.contains("\"standing\": \"unenrolled\""), "{status}");
}

#[test]
fn a_silent_application_gets_the_question_and_no_messages() {
    let (sandbox, _) = host(SERVICE);
    for (arguments, messages) in [(&["--silent"][..], 0), (&[], 1)] {
        let answers = [PASSWORD, "", "q"];
        let report = login(&sandbox, "am", arguments, &answers).run();
        assert_eq!(report.messages(2).len(), 1, "{}", report.text());
        assert!(report.messages(2)[0].contains('█'));
        assert_eq!(report.messages(4).len(), messages, "{}", report.text());
    }
}

#[test]
fn after_a_code_and_at_sshd_after_a_key_the_other_parts_open_nothing() {
    let (sandbox, phone) = host(SERVICE);
    let opened = |login: Login<'_>| {
        let strace = ["strace", "-y", "-e", "trace=%file,%desc", "-o", "/tmp/strace"];
        let report = login.under(&strace).run();
        assert_eq!(code(&report, "open_session"), PAM_SUCCESS, "{}", report.text());
        let calls = sandbox.read("/tmp/strace");
        let after = calls.split_once("authenticate=0").map_or(calls.as_str(), |(_, after)| after);
        let (begun, _) = after.split_once("open_session=0").unwrap();
        begun.contains("/etc/qrtotp") || begun.contains("/var/lib/qrtotp")
    };
    let bobby = sandbox.login("bobby").arguments(&["--phases", "amo", "--strict"]);
    assert!(!opened(bobby.answer(PASSWORD).answer(&phone.code())));
    let alice = || sandbox.login("alice").arguments(&["--phases", "mo", "--strict"]);
    assert!(!opened(alice().arguments(&["--putenv", "SSH_AUTH_INFO_0="])));
    assert!(opened(alice()), "the control: somebody else's account part looks for what is owed");
}

#[test]
fn a_job_that_nobody_was_asked_for_goes_on_and_where_nobody_can_be_looked_up_roots_alone() {
    let (sandbox, _) = host(SERVICE);
    let job = |user: &str, phases: &str, call: &str| {
        code(&sandbox.login(user).arguments(&["--phases", phases]).run(), call)
    };
    assert_eq!(job("alice", "o", "open_session"), PAM_SUCCESS);
    assert_eq!(job("alice", "mo", "acct_mgmt"), PAM_SUCCESS);
    sandbox.run(&["mv", "/etc/qrtotp/seal.key", "/root/seal.key"]).success();
    for (phases, call) in [("o", "open_session"), ("mo", "acct_mgmt")] {
        assert_eq!(job("root", phases, call), PAM_SUCCESS, "{call}");
        assert_ne!(job("alice", phases, call), PAM_SUCCESS, "{call}");
    }
}

fn ssh(sandbox: &Sandbox, methods: &str) -> Pty {
    let methods = format!("PreferredAuthentications={methods}");
    sandbox.ssh_to_enrol(&[], "alice", &[&methods], "echo logged in")
}

#[test]
fn a_key_after_a_failed_password_on_the_same_connection_meets_no_stale_mark() {
    let (sandbox, _) = host("sshd");
    sandbox.authorize_key("alice");
    let _sshd = sandbox.start_sshd("PasswordAuthentication yes");
    for arguments in ["", "try_first_pass", "use_first_pass", "echo_code"] {
        for unix in ["requisite", "required"] {
            let ours = format!("pam_qrtotp.so {arguments}");
            sandbox.enrolling("sshd", &format!("auth {unix} pam_unix.so nodelay\nauth required {ours}\n"));
            for password in [PASSWORD, "not the password"] {
                let before = sandbox.store_content();
                let mut client = ssh(&sandbox, "password,publickey");
                client.expect("assword: ");
                client.send(password);
                // A key alone is enough for this sshd: its own decision, without our auth part.
                client.expect(INSIDE);
                assert!(!client.success().contains('█'));
                assert_eq!(sandbox.store_content(), before, "{unix} {arguments} {password}");
            }
        }
    }
}

#[test]
fn a_key_after_a_given_up_enrolment_on_the_same_connection_does_not_make_up_for_it() {
    let (sandbox, _) = host("sshd");
    sandbox.authorize_key("alice");
    let _sshd = sandbox.start_sshd("");
    let mut client = ssh(&sandbox, "keyboard-interactive,publickey");
    client.at_the_picture();
    client.send("q");
    assert!(!client.failure().contains(INSIDE), "sshd asked the account part, and that said no");
    let mut client = ssh(&sandbox, "publickey");
    client.expect(INSIDE);
}
