//! Users of a login host enrol and manage their devices there; a verifier is their broker.

use qrtotp_tests::{
    broker::{DEVICE_QUESTION, TOKEN_QUESTION},
    clock,
    fleet::{CONFIG, Fleet},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};
use std::time::Duration;

#[test]
fn a_user_enrols_at_one_host_with_a_tokens_code_and_logs_in_by_ssh_at_another() {
    let fleet = Fleet::new("");
    let (one, two) = (fleet.host("web1", "all"), fleet.host("web2", "all"));
    let _broker = one.start_broker();
    let (mut pty, phone) = one.enrol_by_token(&fleet.token_code("alice"));
    let shown = pty.finish_enrolment(&one.sandbox, &phone);
    assert!(shown.contains("alice@corp") && shown.contains("has a new device"), "{shown}");
    let printed =
        one.sandbox.log.wait(&["event=fleet_request result=accepted reason=done user=alice", "enroll"]);
    let attempt = printed.split("attempt ").nth(1).unwrap().trim_end_matches('"').trim();
    for event in ["token_shown", "enrollment_confirmed", "recovery_issued"] {
        let of_session = [&format!("event={event} "), "user=alice", "host=web1", attempt];
        let _ = fleet.verifier().log.wait(&of_session);
    }
    two.sandbox.password_and_code("sshd", "");
    let _sshd = two.sandbox.start_sshd("");
    let mut client = two.sandbox.ssh_at_the_code_prompt("alice", "echo in");
    client.send(&phone.wait_for_next_code());
    assert!(client.success().contains("in"));
    let _ = fleet.verifier().log.wait(&["event=login result=accepted reason=code user=alice", "host=web2"]);
}

#[test]
fn a_token_is_good_once_and_only_with_its_own_code() {
    let fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let none = host.sandbox.own("alice", &["enroll"]).failure();
    assert!(none.contains("ask for an enrolment token") && !none.contains("Key: "), "{none}");
    let code = fleet.token_code("alice");
    let mut pty = host.sandbox.own("alice", &["enroll"]);
    for _ in 0..3 {
        pty.expect(TOKEN_QUESTION);
        pty.send("AAAA-AAAA");
    }
    assert!(!pty.failure().contains("Key: "));
    let _ = fleet.verifier().log.wait(&["event=token_code_refused", "user=alice", "host=web1"]);
    let (mut pty, phone) = host.enrol_by_token(&code);
    pty.finish_enrolment(&host.sandbox, &phone);
    fleet.administer(&["revoke", "alice", "--all"], "").success();
    let again = host.sandbox.own("alice", &["enroll"]).failure();
    assert!(again.contains("already used") && !again.contains("Key: "), "{again}");
    let _ = host.sandbox.log.wait(&["event=fleet_request result=denied reason=refused", "enroll"]);
}

#[test]
fn a_user_looks_after_the_own_devices_at_a_host() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let own = |arguments: &[&str]| host.sandbox.own_output("alice", arguments);
    assert!(own(&["status"]).success().stdout.contains("enrolled"));
    assert!(own(&["device", "list"]).success().stdout.contains("c-"));
    let rename = ["device", "rename", "--label", "my phone"];
    let mut pty = host.sandbox.own("alice", &rename);
    for _ in 0..3 {
        pty.expect(DEVICE_QUESTION);
        pty.send(&phone.wrong_code());
    }
    pty.failure();
    let mut pty = host.sandbox.own("alice", &["recovery", "regenerate"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.previous_code());
    let codes = pty.keep_recovery_codes(&host.sandbox);
    pty.success();
    let mut pty = host.sandbox.own("alice", &rename);
    pty.expect(DEVICE_QUESTION);
    pty.send(&codes[0]);
    pty.success();
    assert!(own(&["device", "list", "--json"]).success().stdout.contains("my phone"));
    let mut pty = host.sandbox.own("alice", &["enroll", "--label", "tablet"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.code());
    let second = pty.read_key(&host.sandbox);
    pty.send(&second.code());
    assert!(pty.success().contains("has a new device"));
    let list = fleet.administer(&["device", "list", "alice", "--json"], "").success().stdout;
    assert_eq!(list.matches("c-").count(), 2, "{list}");
    let _ = fleet.verifier().log.wait(&["event=device_proof result=denied", "user=alice", "host=web1"]);
    let mut pty = host.sandbox.own("alice", &["revoke", "--all"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&codes[1]);
    assert!(pty.success().contains("No device is left"));
    let _ = fleet.verifier().log.wait(&["event=credential_revoked", "user=alice", "by=alice", "host=web1"]);
    assert_eq!(host.answer(&codes[2]), PAM_AUTH_ERR);
    assert!(!host.sandbox.exists("/var/lib/qrtotp/accounts"), "a host keeps nothing");
}

#[test]
fn two_codes_in_a_row_measure_a_phones_clock_at_a_host() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let mut pty = host.sandbox.own("alice", &["resync"]);
    pty.expect("shows now: ");
    pty.send(&phone.previous_code());
    pty.expect("The next one");
    pty.send(&phone.code());
    assert!(pty.success().contains("Done: the clock of c-"));
    let _ = fleet.verifier().log.wait(&["event=credential_resynchronized", "user=alice", "host=web1"]);
}

#[test]
fn a_host_speaks_for_accounts_of_its_groups_only_and_not_once_it_is_revoked() {
    let fleet = Fleet::new("web = [\"bobby\"]\n");
    let _code = fleet.token_code("alice");
    let (web, all) = (fleet.host("web1", "web"), fleet.host("db1", "all"));
    let (_web, _all) = (web.start_broker(), all.start_broker());
    let refused = web.sandbox.own("alice", &["enroll"]).failure();
    assert!(refused.contains("does not let this host speak"), "{refused}");
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=host_group user=alice", "host=web1"]);
    let _ = web.sandbox.log.wait(&["event=fleet_request result=denied reason=fleet_refused user=alice"]);
    let mut pty = all.sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    fleet.verifier().run(&["qrtotp", "fleet", "host", "revoke", "db1"]).success();
    pty.send(&_code);
    let shown = pty.failure();
    assert!(!shown.contains("Key: "), "a session that had begun: {shown}");
    let refused = all.sandbox.own("alice", &["enroll"]).failure();
    assert!(refused.contains("does not let this host speak"), "{refused}");
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=host_revoked", "by=db1"]);
}

#[test]
fn a_user_who_hangs_up_ends_the_conversation_and_can_go_on_later() {
    let fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let code = fleet.token_code("alice");
    let (pty, phone) = host.enrol_by_token(&code);
    drop(pty);
    let _ = host.sandbox.log.wait(&["event=fleet_request result=denied reason=caller_gone user=alice"]);
    let ended = ["event=enrollment_abandoned reason=no_answer user=alice", "host=web1"];
    let _ = fleet.verifier().log.wait(&ended);
    let mut pty = host.sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    pty.send(&code);
    pty.expect("You were shown a QR code");
    pty.expect("Code: ");
    pty.finish_enrolment(&host.sandbox, &phone);
    let _ = fleet.verifier().log.wait(&["event=enrollment_confirmed", "user=alice", "host=web1"]);
}

#[test]
fn users_enrol_only_at_hosts_of_the_groups_that_the_verifiers_name() {
    let fleet = Fleet::new("web = [\"*\"]\n");
    let config = fleet.verifier().read(CONFIG);
    let named = config.replacen("[fleet]\n", "[fleet]\nself_service = [\"all\"]\n", 1);
    fleet.verifier().overwrite(CONFIG, &named);
    fleet.administer(&["config", "apply"], "").success();
    let _code = fleet.token_code("alice");
    let (web, all) = (fleet.host("web1", "web"), fleet.host("desk1", "all"));
    let (_web, _all) = (web.start_broker(), all.start_broker());
    let refused = web.sandbox.own("alice", &["enroll"]).failure();
    assert!(refused.contains("does not let this host speak"), "{refused}");
    let _ = web.sandbox.log.wait(&["event=fleet_request result=denied reason=fleet_refused", "self_service"]);
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=no_self_service", "host=web1"]);
    all.sandbox.own("alice", &["enroll"]).expect(TOKEN_QUESTION);
}

#[test]
fn a_verifier_that_is_killed_in_the_middle_leaves_nothing_half_and_another_one_goes_on() {
    let mut fleet = Fleet::of(3, "");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let code = fleet.token_code("alice");
    let (mut pty, phone) = host.enrol_by_token(&code);
    let has_shown = |number: &usize| {
        let lines = fleet.verifiers[*number].sandbox.log.lines();
        lines.iter().any(|line| line.contains("event=token_shown"))
    };
    let pinned = (0..3).find(has_shown).unwrap();
    fleet.stop(pinned);
    pty.send(&phone.code());
    let shown = pty.failure();
    assert!(shown.contains("the connection to the verifier was lost; start again"), "{shown}");
    let _ = host.sandbox.log.wait(&["event=fleet_request result=denied reason=fleet_lost", "enroll"]);
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR, "nobody confirmed it");
    let mut pty = host.sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    pty.send(&code);
    pty.expect("You were shown a QR code");
    pty.expect("Code: ");
    let shown = pty.finish_enrolment(&host.sandbox, &phone);
    assert!(!shown.contains("Key: "), "it is not shown again: {shown}");
    assert_eq!(host.answer(&phone.wait_for_next_code()), PAM_SUCCESS);
}

#[test]
fn without_a_relay_or_a_verifier_users_read_that_and_root_is_sent_to_the_verifiers() {
    let fleet = Fleet::new("");
    let mut host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    host.stop_relay();
    let absent = host.sandbox.own("alice", &["enroll"]).failure();
    assert!(absent.contains("no verifier of the fleet can be reached"), "{absent}");
    let _ =
        host.sandbox.log.wait(&["event=fleet_request result=denied reason=fleet_timeout", "qrtotp-relay"]);
    let root = host.sandbox.run(&["qrtotp", "enroll", "alice", "--qr", "none"]);
    assert!(root.status.code() == Some(1) && root.stderr.contains("at a verifier"), "{root:?}");
    assert!(!host.sandbox.exists("/var/lib/qrtotp/accounts"), "nothing was made");
}

#[test]
fn of_two_hosts_at_which_a_token_is_typed_one_enrols_the_device() {
    let fleet = Fleet::new("");
    let (one, two) = (fleet.host("web1", "all"), fleet.host("web2", "all"));
    let (_one, _two) = (one.start_broker(), two.start_broker());
    let code = fleet.token_code("alice");
    let (mut first, phone) = one.enrol_by_token(&code);
    let mut second = two.sandbox.own("alice", &["enroll"]);
    second.expect(TOKEN_QUESTION);
    second.send(&code);
    second.expect("Code: ");
    first.finish_enrolment(&one.sandbox, &phone);
    second.send(&phone.code());
    let shown = second.failure();
    assert!(shown.contains("already used") && !shown.contains("Key: "), "{shown}");
    let _ = fleet.verifier().log.wait(&["event=enrollment_abandoned reason=token_consumed", "host=web2"]);
}

#[test]
fn a_verifier_that_is_lost_after_the_first_code_leaves_the_device_and_users_get_recovery_codes_later() {
    let mut fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let (mut pty, phone) = host.enrol_by_token(&fleet.token_code("alice"));
    pty.send(&phone.code());
    pty.expect("or skip: ");
    fleet.restart();
    pty.send("skip");
    assert!(pty.failure().contains("`qrtotp status` shows what was kept"));
    assert!(
        host.sandbox.own_output("alice", &["status"]).success().stdout.contains("alice (uid 3000): enrolled")
    );
    let mut pty = host.sandbox.own("alice", &["recovery", "regenerate"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.wait_for_next_code());
    pty.keep_recovery_codes(&host.sandbox);
    pty.success();
}

#[test]
fn recovery_codes_that_were_not_confirmed_are_made_by_the_command_that_is_named() {
    let fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let (mut pty, phone) = host.enrol_by_token(&fleet.token_code("alice"));
    pty.send(&phone.code());
    for _ in 0..3 {
        pty.expect("or skip: ");
        pty.send("none");
    }
    let shown = pty.success();
    assert!(shown.contains("not valid; `qrtotp recovery regenerate` makes new ones"), "{shown}");
}

#[test]
fn a_user_with_four_open_requests_can_still_read_the_status() {
    let fleet = Fleet::new("");
    let _phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let mut open: Vec<_> = (0..4).map(|_| host.sandbox.own("alice", &["recovery", "regenerate"])).collect();
    for pty in &mut open {
        pty.expect(DEVICE_QUESTION);
    }
    host.sandbox.own_output("alice", &["status"]).success();
    assert!(host.sandbox.own("alice", &["resync"]).failure().contains("too many connections of yours"));
}

#[test]
fn a_record_that_is_damaged_is_reported_and_no_other_verifier_asked_in_vain() {
    let fleet = Fleet::new("");
    let _phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let _broker = host.start_broker();
    let etcdctl = |arguments: &str| {
        let ec = "cd /etc/qrtotp/etcd; etcdctl --endpoints https://127.0.0.1:2379 --cacert ca.pem --cert peer.pem \
                  --key peer.key";
        fleet.verifier().run(&["sh", "-c", &format!("{ec} {arguments}")]).success();
    };
    etcdctl("put /qrtotp/1/a/alice/r junk");
    let refused = host.sandbox.own_output("alice", &["status"]);
    assert!(refused.stderr.contains("ask your administrator"), "{refused:?}");
    assert_eq!(host.answer("123456"), PAM_AUTH_ERR);
    let printed = ["event=store_unavailable reason=record_damaged", "a/alice/r is damaged", "host=web1"];
    let _ =
        host.sandbox.log.wait(&["event=login result=denied reason=fleet_refused", "a/alice/r is damaged"]);
    // A verifier writes its lines once the host has its answer.
    let reports = || {
        let is_report = |line: &String| printed.iter().all(|text| line.contains(text));
        fleet.verifier().log.lines().into_iter().filter(is_report).count()
    };
    clock::poll(Duration::from_secs(10), || (reports() >= 2).then_some(())).expect("not reported");
    assert_eq!(reports(), 2, "once for each request");
    // As docs/FLEET-OPERATIONS.md says.
    etcdctl("del --prefix /qrtotp/1/a/alice/");
    let phone = fleet.import("alice");
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
}

#[test]
fn root_of_a_host_is_sent_to_the_verifiers_with_each_command_about_an_account_of_the_fleet() {
    let fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    let commands: [&[&str]; 5] =
        [&["status"], &["device", "list"], &["revoke", "--all", "--yes"], &["unlock"], &["token", "revoke"]];
    let tell = |argv: &[&str]| host.sandbox.run(&[&["qrtotp"], argv, &["alice"]].concat());
    let without_store = tell(commands[0]);
    assert!(without_store.stderr.contains("the fleet's accounts are at its verifiers"), "{without_store:?}");
    host.sandbox.run(&["qrtotp", "init"]).success();
    for command in commands {
        let printed = tell(command);
        assert!(
            printed.status.code() == Some(1) && printed.stderr.contains("run the command at a verifier"),
            "{printed:?}"
        );
    }
}
