//! Break-glass codes that were used while no verifier answered: the verifiers are told later.

use std::{process::Stdio, time::Duration};

use qrtotp_tests::{
    clock,
    fleet::{Fleet, Host},
    host::PAM_SUCCESS,
};

/// Makes break-glass codes for alice; one of them.
fn code(host: &Host) -> String {
    let made = host.sandbox.command(None, &["qrtotp", "fleet", "offline-codes", "alice"]).output().unwrap();
    let printed = String::from_utf8(made.stdout).unwrap();
    let code = printed.lines().map(str::trim).find(|line| line.len() == 19).unwrap();
    host.sandbox.keep_secret(code);
    code.to_owned()
}

fn come_back(fleet: &mut Fleet) {
    fleet.verifiers[0].start_etcd();
    fleet.restart();
    fleet.verifiers[0].wait();
}

#[test]
fn a_used_break_glass_code_is_told_to_the_verifiers_within_ten_seconds_of_their_return() {
    let mut fleet = Fleet::new("");
    let _ = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let code = code(&host);
    fleet.stop(0);
    assert_eq!(host.answer(&code), PAM_SUCCESS);
    assert!(host.sandbox.exists("/run/relay/unanswered"), "qrtotp-offline-report.path sees nothing");
    // As qrtotp-offline-report.service does it.
    let service = "until sleep 3; qrtotp fleet report-offline; do touch /tmp/failed; sleep 2; done";
    let mut service =
        host.sandbox.command(None, &["sh", "-c", service]).stdout(Stdio::null()).spawn().unwrap();
    let failed = || host.sandbox.exists("/tmp/failed").then_some(());
    clock::poll(Duration::from_secs(30), failed).expect("it should fail while no verifier is there");
    come_back(&mut fleet);
    let printed =
        || fleet.verifiers[0].fleet(&["status"]).stdout.contains("code of alice used at web1").then_some(());
    clock::poll(Duration::from_secs(10), printed).expect("the verifiers are not told");
    let line = ["event=recovery_used reason=offline_code user=alice", "by=web1", "left=4", "seq="];
    let _ = fleet.verifier().log.wait(&line);
    assert!(service.wait().unwrap().success());
}

#[test]
fn a_used_code_is_told_once_and_a_host_of_other_groups_tells_nothing() {
    let mut fleet = Fleet::new("web = [\"bobby\"]\n");
    let _ = fleet.import("alice");
    let (host, web) = (fleet.host("db1", "all"), fleet.host("web1", "web"));
    let codes = [&host, &web].map(code);
    fleet.stop(0);
    assert_eq!([host.answer(&codes[0]), web.answer(&codes[1])], [PAM_SUCCESS; 2]);
    come_back(&mut fleet);
    let report = |host: &Host| host.sandbox.run(&["qrtotp", "fleet", "report-offline"]);
    let first = || Some(report(&host)).filter(|done| done.status.success());
    let printed = clock::poll(Duration::from_secs(20), first).unwrap().stdout;
    assert_eq!(printed, "Told the verifiers of 1 used break-glass codes.\n");
    assert_eq!(report(&host).success().stdout, "", "they know it");
    let refused = || Some(report(&web)).filter(|done| done.status.code() == Some(1));
    let refused = clock::poll(Duration::from_secs(20), refused).expect("it is taken");
    assert!(refused.stderr.contains("none of this host's groups"), "{refused:?}");
    let status = fleet.verifiers[0].fleet(&["status", "--json"]).success().stdout;
    assert_eq!(status.matches("\"account\":\"alice\"").count(), 1, "{status}");
}
