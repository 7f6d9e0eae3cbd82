//! Logins at the hosts of a fleet.

use std::time::Duration;

use qrtotp_tests::{
    clock,
    fleet::{CONFIG, Fleet, UID},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

#[test]
fn one_enrolment_is_good_at_all_hosts_and_each_code_once_in_the_whole_fleet() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let (one, two) = (fleet.host("web1", "all"), fleet.host("web2", "all"));
    let first = phone.code_of_step(phone.step() - 1);
    assert_eq!(one.answer(&first), PAM_SUCCESS);
    assert_eq!(two.answer(&first), PAM_AUTH_ERR, "it was used at the other host");
    assert_eq!(two.answer(&phone.code()), PAM_SUCCESS);
    let accepted = one.sandbox.log.wait(&["event=login result=accepted reason=fleet user=alice", "attempt "]);
    let attempt = accepted.split("attempt ").nth(1).unwrap().trim_end_matches('"').trim();
    let _ = fleet.verifier().log.wait(&[
        "event=login result=accepted reason=code user=alice",
        "host=web1",
        attempt,
    ]);
    let _ = fleet.verifier().log.wait(&["result=denied reason=replayed_code user=alice", "host=web2"]);
    assert!(!one.sandbox.exists("/var/lib/qrtotp/accounts"), "a host keeps nothing");
}

#[test]
fn a_revocation_holds_at_the_next_login_at_any_host() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let (one, two) = (fleet.host("web1", "all"), fleet.host("web2", "all"));
    assert_eq!(one.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    fleet.administer(&["revoke", "alice", "--all"], "").success();
    for host in [&one, &two] {
        assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
    }
    let _ = fleet.verifier().log.wait(&["event=login result=denied reason=revoked user=alice", "host=web2"]);
}

#[test]
fn an_account_that_stays_local_needs_no_verifier() {
    let fleet = Fleet::new("");
    let mut host = fleet.stranger();
    host.sandbox.configure("[fleet]\nlocal = [\"alice\"]\n");
    let phone = host.sandbox.import("alice");
    host.sandbox.configure("[fleet]\nname = \"corp\"\nlocal = [\"alice\"]\n");
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
    assert_eq!(host.sandbox.answer("bobby", "123456"), PAM_AUTH_ERR);
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=fleet_key user=bobby", "fleet join"]);
    host.stop_relay();
}

#[test]
fn a_user_whom_the_fleet_does_not_know_is_asked_and_denied_like_everybody() {
    let fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    assert_eq!(host.sandbox.answer("bobby", "123456"), PAM_AUTH_ERR);
    assert_eq!(host.sandbox.answer("nosuchuser", "123456"), PAM_AUTH_ERR);
    let _ = fleet.verifier().log.wait(&["result=denied reason=not_enrolled user=bobby", "host=web1"]);
    let _ = fleet.verifier().log.wait(&["result=denied reason=unknown_user", "host=web1"]);
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=fleet user=?"]);
}

#[test]
fn a_uid_that_differs_from_the_records_is_denied() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    host.sandbox.delete_user("alice");
    host.sandbox.add_user_with_uid("alice", 4000);
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
    let _ =
        fleet.verifier().log.wait(&["event=login result=denied reason=uid_changed user=alice", "host=web1"]);
}

#[test]
fn what_a_host_says_about_a_login_makes_no_rule_easier() {
    let rules = "\n[[rule]]\nname = \"tests\"\nservice = [\"tests\"]\nthen = \"skip\"\n";
    let fleet = Fleet::new(rules);
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    assert_eq!(
        host.answer("000000"),
        PAM_AUTH_ERR,
        "a rule for the service that the host names skips no code"
    );
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
}

#[test]
fn nobody_enrols_at_a_login_whatever_the_policy_says_and_a_tokens_code_stays_unused() {
    let fleet = Fleet::new(
        "\n[enroll]\nservices = [\"tests\"]\n[[rule]]\nname = \"new\"\nthen = \"code\"\nfirst_login = \"token\"\n",
    );
    let host = fleet.host("web1", "all");
    let broker = host.start_broker();
    let code = fleet.token_code("alice");
    host.sandbox.keep_secret(&code);
    let said = |answer: &str| {
        let report = host.sandbox.login("alice").answer(answer).run();
        assert_eq!(report.authenticate(), PAM_AUTH_ERR);
        report.text().lines().filter(|line| line.starts_with("message")).collect::<String>()
    };
    assert_eq!(said(&code), said("123456"), "the words of a wrong code");
    let is_usual = |line: &&String| line.contains("event=login result=denied reason=not_enrolled user=alice");
    let log = &fleet.verifier().log;
    let both = || (log.lines().iter().filter(is_usual).count() == 2).then_some(());
    clock::poll(Duration::from_secs(10), both).expect("the token's code was looked at");
    let (_pty, _phone) = host.enrol_by_token(&code);
    drop(broker);
}

#[test]
fn a_verifier_refuses_a_policy_with_which_users_enrol_at_a_login() {
    let fleet = Fleet::new("");
    let before = fleet.verifier().read(CONFIG);
    for lines in [
        "[defaults]\nfirst_login = \"enroll\"\n",
        "[[rule]]\nname = \"a\"\nthen = \"code\"\nfirst_login = \"enroll\"\n",
    ] {
        let text = format!("{before}\n{lines}");
        fleet.verifier().overwrite(CONFIG, &text);
        let place = format!("{CONFIG}, line {}: first_login = \"enroll\" does not", text.lines().count());
        for command in ["check", "apply"] {
            let refused = fleet.administer(&["config", command], "");
            assert!(!refused.status.success() && refused.stderr.contains(&place), "{place}: {refused:?}");
            assert!(refused.stderr.contains("qrtotp token issue"), "{refused:?}");
        }
    }
    fleet.verifier().overwrite(CONFIG, &before);
    fleet.administer(&["config", "check"], "").success();
}

#[test]
fn each_answer_of_a_user_whom_the_verifier_remembers_has_one_line_there() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    phone.wait_for_seconds_left(10);
    for (code, answer) in [
        (phone.previous_code(), PAM_SUCCESS),
        (phone.wrong_code(), PAM_AUTH_ERR),
        (phone.previous_code(), PAM_AUTH_ERR),
        (phone.code(), PAM_SUCCESS),
    ] {
        assert_eq!(host.answer(&code), answer);
    }
    let _ = fleet.verifier().log.wait(&["event=login result=accepted", " seq=4 "]);
    let lines = fleet.verifier().log.lines();
    let reason = |line: &String| Some(line.split_once("event=login ")?.1.split(' ').nth(1)?.to_owned());
    let reasons: Vec<String> = lines.iter().filter_map(reason).collect();
    assert_eq!(reasons, ["reason=code", "reason=wrong_code", "reason=replayed_code", "reason=code"]);
    // A revocation holds at once, whatever the verifier remembers.
    phone.wait_for_next_code();
    fleet.administer(&["revoke", "alice", "--all"], "").success();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
}

#[test]
fn the_audit_log_of_a_verifier_has_its_lines_as_proven_and_look_alikes_of_the_module_as_forged() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    let login = fleet.verifier().log.wait(&["event=login result=accepted", "host=web1"]);
    let module = login.replace("event=login", "pam_qrtotp(sshd:auth): event=login");
    let lines = fleet.verifier().log.lines();
    fleet.verifier().overwrite("/tmp/lines", "");
    fleet.verifier().overwrite("/tmp/forged", &format!("{}\n{module}\n", lines.join("\n")));
    let verify = format!(
        "setpriv --reuid {UID} --clear-groups qrtotp --config /etc/qrtotp/verifier/qrtotp.toml audit verify"
    );
    let steps = format!(
        "qrtotp audit --event login; journalctl -o json >/tmp/j; chmod 644 /tmp/j; {verify} --file /tmp/j; \
         mv /etc/qrtotp/verifier /tmp/away; echo away; qrtotp audit --event login; mv /tmp/away /etc/qrtotp/verifier"
    );
    let said = fleet.verifier().in_journal_with(UID, &["sh", "-c", &steps]).success().stdout;
    let (here, away) = said.split_once("away\n").unwrap();
    let forged = |text: &str| text.lines().filter(|line| line.contains("FORGED by")).count();
    assert_eq!((forged(here), forged(away)), (1, 2), "{said}");
    assert!(here.contains("Nothing was changed") && here.contains("1 look-alikes"), "{said}");
}
