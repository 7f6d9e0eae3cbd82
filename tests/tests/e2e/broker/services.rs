//! Services that do not run as root and are listed in `[broker.services]`: the broker verifies the codes of
//! their users.

use std::time::Duration;

use qrtotp_tests::{
    Sandbox,
    broker::frame,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, Report, SERVICE},
    users::PASSWORD,
};

const LISTED: &str = "[broker.services]\nportal = [\"tests\"]\n";
const AS_PORTAL: [&str; 6] = ["setpriv", "--reuid", "portal", "--regid", "portal", "--clear-groups"];

/// A host with a broker, and the account of a service, without logins.
fn host(configuration: &str) -> Sandbox {
    let sandbox = Sandbox::with_broker(configuration);
    sandbox.append("/etc/passwd", "portal:x:2900:2900::/nonexistent:/usr/sbin/nologin\n");
    sandbox.append("/etc/group", "portal:x:2900:\n");
    sandbox
}

fn login(sandbox: &Sandbox, user: &str, answer: &str) -> Report {
    sandbox.login(user).answer(answer).under(&AS_PORTAL).run()
}

#[test]
fn a_listed_service_has_a_code_verified_once_and_hears_only_yes_or_no() {
    let sandbox = host(LISTED);
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let code = phone.code();
    for (user, answer, expected, reason) in [
        ("alice", phone.wrong_code(), PAM_AUTH_ERR, "wrong_code user=alice"),
        ("alice", code.clone(), PAM_SUCCESS, "code user=alice"),
        ("alice", code.clone(), PAM_AUTH_ERR, "replayed_code user=alice"),
        ("mallory", "123456".into(), PAM_AUTH_ERR, "not_enrolled user=mallory"),
        ("nobody-at-all", "123456".into(), PAM_AUTH_ERR, "unknown_user user=?"),
    ] {
        let report = login(&sandbox, user, &answer);
        assert_eq!(report.authenticate(), expected, "{reason}");
        assert_eq!(report.messages(1), ["Verification code: "], "the same question for all");
        assert!(report.messages(3).is_empty() && report.messages(4).is_empty(), "{report:?}");
        let _ = sandbox.log.wait(&[
            "event=login ",
            &format!("reason={reason} service=qrtotpd:tests"),
            "by=portal",
            " audience=portal",
        ]);
    }
}

#[test]
fn a_recovery_code_is_accepted_and_nothing_is_told_of_those_that_are_left() {
    let sandbox = host(LISTED);
    let enrolment = sandbox.enroll("alice", &[]);
    let _broker = sandbox.start_broker();
    let report = login(&sandbox, "alice", &enrolment.recovery_codes[0]);
    assert_eq!(report.authenticate(), PAM_SUCCESS);
    assert!(report.messages(3).is_empty() && report.messages(4).is_empty(), "{report:?}");
}

#[test]
fn a_service_that_is_not_listed_or_names_another_pam_service_uses_up_no_code() {
    let sandbox = host("[broker.services]\nportal = [\"other-tests\"]\nmallory = [\"other-tests\"]\n");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    assert_eq!(login(&sandbox, "alice", &phone.code()).authenticate(), PAM_AUTH_ERR);
    sandbox.configure("");
    assert_eq!(login(&sandbox, "alice", &phone.code()).authenticate(), PAM_AUTH_ERR, "listed no longer");
    let _ = sandbox.log.wait(&["event=caller_refused reason=no_account"]);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "to root");
}

#[test]
fn a_service_is_never_served_for_uid_0() {
    let sandbox = host(LISTED);
    let phone = sandbox.import("root");
    let _broker = sandbox.start_broker();
    assert_eq!(login(&sandbox, "root", &phone.code()).authenticate(), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["result=denied reason=root_refused user=root", "audience=portal"]);
    assert_eq!(sandbox.answer("root", &phone.code()), PAM_SUCCESS, "the code was not used up");
}

#[test]
fn nothing_lets_in_to_a_service_without_a_code() {
    for defaults in ["require = \"nothing\"", "first_login = \"allow\"\nallow_until = \"2099-01-01\""] {
        let sandbox = host(&format!("{LISTED}[defaults]\n{defaults}\n"));
        // The guard refuses `require = "nothing"`.
        let _ = sandbox.run(&["qrtotp", "config", "apply", "--force", "a test"]);
        sandbox.stack("nullok");
        let _broker = sandbox.start_broker();
        assert_eq!(login(&sandbox, "alice", "123456").authenticate(), PAM_AUTH_ERR, "{defaults}");
    }
}

#[test]
fn nobody_enrols_at_a_service() {
    let sandbox =
        host(&format!("{LISTED}[enroll]\nservices = [\"tests\"]\n[defaults]\nfirst_login = \"enroll\"\n"));
    sandbox.stack("forward_pass");
    let _broker = sandbox.start_broker();
    for answer in ["", PASSWORD] {
        let report = login(&sandbox, "alice", answer);
        assert_eq!(report.authenticate(), PAM_AUTH_ERR);
        assert_eq!(report.messages(1).len() + report.messages(2).len(), 1, "{report:?}");
    }
}

#[test]
fn password_and_code_in_one_field_need_no_other_module() {
    let sandbox = host(LISTED);
    let phone = sandbox.import("alice");
    sandbox.enrolling(SERVICE, "auth required pam_qrtotp.so forward_pass\n");
    let _broker = sandbox.start_broker();
    phone.wait_for_seconds_left(10);
    let code = phone.code();
    for (answer, expected) in [
        (format!("wrong{code}"), PAM_AUTH_ERR),
        (format!("{PASSWORD}{code}"), PAM_SUCCESS),
        (format!("{PASSWORD}{code}"), PAM_AUTH_ERR),
    ] {
        assert_eq!(login(&sandbox, "alice", &answer).authenticate(), expected, "{answer}");
    }
}

#[test]
fn a_service_without_a_shell_can_do_nothing_else() {
    let sandbox = host(LISTED);
    let _broker = sandbox.start_broker();
    for kind in [1, 2, 4, 6, 8] {
        let body: &[u8] = if kind == 1 {
            &[0; 2]
        } else if matches!(kind, 2 | 6) {
            &[0]
        } else {
            &[]
        };
        let heard = sandbox.send_raw("portal", &frame(1, kind, body), Duration::ZERO);
        assert!(heard.contains("no account on this host that could log in"), "{kind}: {heard:?}");
    }
}

#[test]
fn fifty_users_of_a_service_at_once_are_all_served() {
    let sandbox = host(LISTED);
    let _broker = sandbox.start_broker();
    let login = sandbox.login("nobody-at-all").answer("123456").arguments(&["--processes", "50", "--quiet"]);
    assert_eq!(login.under(&AS_PORTAL).run().count(PAM_AUTH_ERR), 50);
    let precheck = |line: &String| line.contains("reason=broker") || line.contains("event=caller_refused");
    assert_eq!(sandbox.log.events().iter().find(|line| precheck(line)), None);
}

#[test]
fn a_portal_has_codes_verified_by_a_command() {
    let sandbox = host("[broker.services]\nportal = [\"portal\"]\n");
    let phone = sandbox.import("alice");
    let broker = sandbox.start_broker();
    let ask = |line: &str| {
        let argv = [&AS_PORTAL[..], &["qrtotp", "verify", "--stdin-json"]].concat();
        sandbox.run_with_input(&argv, line)
    };
    let verify = |user: &str, code: &str| {
        sandbox.keep_secret(code);
        ask(&format!("{{\"user\":\"{user}\",\"service\":\"portal\",\"code\":\"{code}\"}}\n"))
    };
    let (yes, no) = ("{\"version\":1,\"accepted\":true}\n", "{\"version\":1,\"accepted\":false}\n");
    assert_eq!(verify("alice", &phone.wrong_code()).exited(1).stdout, no);
    let with_id = |id: &str, code: &str| {
        ask(&format!("{{\"user\":\"alice\",\"service\":\"portal\",\"code\":\"{code}\",\"id\":\"{id}\"}}\n"))
            .stdout
    };
    let code = phone.previous_code();
    assert_eq!([with_id("r-1", &code), with_id("r-1", &code)], [yes, yes], "the same request again");
    assert_eq!([with_id("r-2", &code), with_id("r-1", &phone.wrong_code())], [no, no], "another request");
    assert_eq!(verify("alice", &phone.code()).exited(0).stdout, yes);
    assert_eq!(verify("alice", &phone.code()).exited(1).stdout, no, "it is used up");
    assert_eq!(verify("mallory", "271828").exited(1).stdout, no);
    let _ = sandbox
        .log
        .wait(&["reason=not_enrolled user=mallory service=qrtotpd:portal by=portal", " audience=portal"]);
    for line in ["", "123456\n", "{}\n", "{\"user\":\"alice\",\"service\":\"portal\",\"code\":123456}\n"] {
        let output = ask(line).exited(2);
        assert!(output.stdout.is_empty() && !output.stderr.contains("123456}"), "{output:?}");
    }
    assert!(ask(&format!("{{\"user\":\"{}\"", "a".repeat(5000))).exited(2).stdout.is_empty());
    let output = ask("{\"user\":\"alice\",\"service\":\"sshd\",\"code\":\"123456\"}\n").exited(2);
    assert!(output.stdout.is_empty() && output.stderr.contains("[broker.services]"), "{output:?}");
    drop(broker);
    assert!(verify("alice", &phone.previous_code()).exited(2).stderr.contains("qrtotpd.socket"));
}

#[test]
fn a_configuration_that_can_not_be_used_refuses_a_service_and_the_log_says_why() {
    let sandbox = host(LISTED);
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml.applied", "what");
    let argv = [&AS_PORTAL[..], &["qrtotp", "verify", "--stdin-json"]].concat();
    let line = format!("{{\"user\":\"alice\",\"service\":\"tests\",\"code\":\"{}\"}}\n", phone.code());
    assert!(sandbox.run_with_input(&argv, &line).exited(2).stdout.is_empty());
    let _ = sandbox.log.wait(&["event=configuration_refused reason=policy_damaged", "qrtotp config apply"]);
}

#[test]
fn a_service_with_three_hundred_wrong_codes_gets_no_for_everybody() {
    let sandbox = host(&format!("[throttle]\nfree_failures = 20\n{LISTED}"));
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let refuse = |user: &str, times: &str| {
        let refused = sandbox.login(user).answer("271828").arguments(&["--repeat", times, "--quiet"]);
        assert_eq!(refused.under(&AS_PORTAL).run().count(PAM_AUTH_ERR).to_string(), times);
    };
    refuse("nobody-at-all", "300");
    refuse("mallory", "300");
    phone.wait_for_seconds_left(10);
    let uncounted = "what is right for no account is no wrong code of one";
    assert_eq!(login(&sandbox, "alice", &phone.previous_code()).authenticate(), PAM_SUCCESS, "{uncounted}");
    for user in (0..15).map(|number| format!("user{number}")) {
        sandbox.add_user(&user);
        sandbox.import(&user);
        refuse(&user, "20");
    }
    phone.wait_for_seconds_left(5);
    assert_eq!(login(&sandbox, "alice", &phone.code()).authenticate(), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "the code was not looked at");
}
