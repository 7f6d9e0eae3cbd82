//! Three verifiers on real etcd, with members that die, hang or lose each other.

use std::{thread, time::Duration};

use qrtotp_tests::{
    clock,
    fleet::{CONFIG, Fleet, Host},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};
use rustix::process::Signal;

/// Longest time in PAM: the module's 3 s, and a little until a busy machine runs it again.
const LONGEST: Duration = Duration::from_millis(3100);

/// Logs alice in, in time.
fn answer_in_time(host: &Host, code: &str) -> i32 {
    let report = host.sandbox.login("alice").answer(code).run();
    let took = Duration::from_micros(report.value("took_us").parse().unwrap());
    assert!(took < LONGEST, "{took:?}");
    report.authenticate()
}

/// The results of one code at all hosts at the same time.
fn at_once(hosts: &[Host], code: &str) -> Vec<i32> {
    thread::scope(|scope| {
        let all: Vec<_> = hosts.iter().map(|host| scope.spawn(|| host.answer(code))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn one_code_at_three_hosts_through_three_verifiers_is_accepted_once() {
    let fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let host = |number: usize| fleet.host_at(&format!("web{number}"), "all", &[number]);
    let hosts: Vec<Host> = (0..3).map(host).collect();
    for code in [phone.code_of_step(phone.step() - 1), phone.code()] {
        let logged = at_once(&hosts, &code);
        let accepted = logged.iter().filter(|result| **result == PAM_SUCCESS).count();
        assert_eq!(accepted, 1, "{logged:?}");
        assert!(at_once(&hosts, &code).iter().all(|result| *result == PAM_AUTH_ERR), "it is used");
    }
}

#[test]
fn a_login_goes_on_when_the_leader_is_killed_or_hangs() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let leader = fleet.leader();
    fleet.stop(leader);
    assert_eq!(answer_in_time(&host, &phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    fleet.verifiers[leader].start_etcd();
    fleet.verifiers[leader].wait();
    let leader = fleet.leader();
    fleet.verifiers[leader].signal_etcd(Signal::STOP);
    let logged = answer_in_time(&host, &phone.code());
    fleet.verifiers[leader].signal_etcd(Signal::CONT);
    assert_eq!(logged, PAM_SUCCESS);
}

#[test]
fn a_revocation_that_one_verifier_acknowledged_holds_at_once_at_the_others() {
    let fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let hosts: Vec<Host> =
        [1, 2].map(|number| fleet.host_at(&format!("web{number}"), "all", &[number])).into();
    assert_eq!(hosts[0].answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    fleet.verifier().run(&["qrtotp", "fleet", "host", "revoke", "web1"]).success();
    assert_eq!(hosts[0].answer(&phone.code()), PAM_AUTH_ERR, "its host is revoked");
    let _ = fleet.verifiers[1].sandbox.log.wait(&["event=caller_refused reason=host_revoked", "by=web1"]);
    fleet.administer(&["revoke", "alice", "--all"], "").success();
    assert_eq!(hosts[1].answer(&phone.code()), PAM_AUTH_ERR);
    let log = &fleet.verifiers[2].sandbox.log;
    let _ = log.wait(&["event=login result=denied reason=revoked user=alice", "host=web2"]);
}

#[test]
fn rules_that_are_applied_at_one_verifier_are_those_of_all() {
    let fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let host = fleet.host_at("web1", "all", &[2]);
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    let rule = "\n[[rule]]\nname = \"closed\"\nuser = [\"alice\"]\nthen = \"deny\"\n";
    fleet.verifier().append(CONFIG, rule);
    fleet.administer(&["config", "apply"], "").success();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
    let log = &fleet.verifiers[2].sandbox.log;
    let _ = log.wait(&["event=login result=denied", "user=alice", "rule=closed"]);
}

#[test]
fn without_a_quorum_nobody_is_let_in_and_everybody_is_told_so_in_time() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    fleet.verifiers[1].stop_etcd();
    fleet.verifiers[2].stop_etcd();
    for _ in 0..2 {
        assert_eq!(answer_in_time(&host, &phone.code_of_step(phone.step() - 1)), PAM_AUTH_ERR);
    }
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=fleet_timeout user=alice"]);
    let _ = fleet.verifier().log.wait(&["event=store_unavailable reason=no_quorum", "host=web1"]);
    fleet.verifiers[1].start_etcd();
    fleet.verifiers[0].wait();
    let code = phone.code();
    let accepted = || (host.answer(&code) == PAM_SUCCESS).then_some(());
    clock::poll(Duration::from_secs(20), accepted).expect("it works again, and the code was not used up");
}

#[test]
fn a_verifier_whose_clock_is_off_decides_nothing_and_the_others_do() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let (only, all) = (fleet.host_at("web1", "all", &[0]), fleet.host("web2", "all"));
    fleet.restart_with_clock(0, "+60s");
    let log = &fleet.verifier().log;
    let logged = || log.lines().into_iter().find(|line| line.contains("store_unavailable reason=clock"));
    let logged = clock::poll(Duration::from_secs(30), logged).expect("it does not notice");
    assert!(logged.contains("s ahead of the others"), "{logged}");
    assert_eq!(answer_in_time(&only, &phone.code_of_step(phone.step() - 1)), PAM_AUTH_ERR);
    let _ = only.sandbox.log.wait(&["event=login result=denied reason=fleet_timeout user=alice"]);
    assert_eq!(answer_in_time(&all, &phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
}

#[test]
fn a_host_with_many_failures_raises_an_alert_and_disturbs_nobody_elsewhere() {
    let fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let (noisy, quiet) = (fleet.host("noisy", "all"), fleet.host("web1", "all"));
    let users: Vec<String> = (0..30).map(|number| format!("user{number}")).collect();
    for user in &users {
        noisy.sandbox.add_user(user);
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            users.iter().for_each(|user| assert_eq!(noisy.sandbox.answer(user, "000000"), PAM_AUTH_ERR))
        });
        assert_eq!(answer_in_time(&quiet, &phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
        assert_eq!(answer_in_time(&quiet, &phone.code()), PAM_SUCCESS);
    });
    let logged = |number: usize| {
        let lines = fleet.verifiers[number].sandbox.log.lines();
        lines.iter().any(|line| line.contains("event=host_noisy"))
    };
    clock::poll(Duration::from_secs(10), || (0..3).any(logged).then_some(())).expect("no alert");
    let list = fleet.verifier().run(&["qrtotp", "fleet", "host", "list"]).success().stdout;
    assert!(list.contains("NOISY"), "{list}");
}
