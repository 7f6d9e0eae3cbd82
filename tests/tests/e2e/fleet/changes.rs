//! Changes of a fleet's verifiers: growth, clocks, etcd's upkeep.

use std::time::Duration;

use qrtotp_tests::{
    Phone, clock,
    fleet::Fleet,
    host::PAM_SUCCESS,
    verifiers::{Verifier, address, fleet_among, hosts, old_etcd},
};

/// Lets the host with this number become one more verifier, by the printed steps.
fn add(all: &mut [Verifier], number: usize) {
    let (new, bundle) = (format!("v{number}={}", address(number)), format!("/root/v{number}.bundle"));
    all[0].fleet(&["add-verifier", &new, &bundle]).success();
    let (first, rest) = all.split_at_mut(1);
    let joining = &mut rest[number - 2];
    joining.sandbox.install(&first[0].sandbox.path(&bundle), &bundle, 0o600);
    joining.fleet(&["join-verifier", "--name", &format!("v{number}"), &bundle]).success();
    joining.start_etcd();
    let votes = || Some(first[0].fleet(&["add-verifier", &new])).filter(|done| done.status.success());
    clock::poll(Duration::from_secs(60), votes).expect("it never votes");
    joining.wait();
    for other in &rest[..number - 2] {
        other.fleet(&["add-verifier", &new]).success();
    }
}

#[test]
fn a_fleet_of_one_grows_to_three_and_then_bears_the_loss_of_the_first() {
    let mut all = hosts(3);
    all[0].fleet(&["init", "--name", "corp"]).success();
    all[0].start_etcd();
    all[0].fleet(&["create-store"]).success();
    let alone = all[0].fleet(&["add-verifier", "v2=10.97.0.2", "/root/x"]);
    assert!(alone.status.code() == Some(1) && alone.stderr.contains("--own"), "{alone:?}");
    all[0].fleet(&["add-verifier", "v2=10.97.0.2", "--own", "10.97.0.1"]).success();
    all[0].stop_etcd();
    all[0].start_etcd();
    all[0].wait();
    add(&mut all, 2);
    add(&mut all, 3);
    for verifier in &all {
        let status = verifier.fleet(&["status", "--json"]).success().stdout;
        assert!(status.contains("\"members\":[\"v1\",\"v2\",\"v3\"]"), "{status}");
        let file = verifier.sandbox.read("/etc/qrtotp/etcd/etcd.yml");
        assert_eq!(file.matches("https://10.97.0.").count(), 5, "{file}");
    }
    all[0].stop_etcd();
    all[2].wait();
    all[1].wait();
}

#[test]
fn three_verifiers_grow_to_five_keep_their_accounts_and_then_bear_the_loss_of_two() {
    let mut all = fleet_among(3, hosts(5));
    let uri = format!("{}\n", Phone::random().uri("alice"));
    all[0].administer(&["import", "uri", "alice"], &uri).success();
    add(&mut all, 4);
    add(&mut all, 5);
    all[0].stop_etcd();
    all[1].stop_etcd();
    for verifier in &all[2..] {
        verifier.wait();
        assert!(verifier.administer(&["list"], "").success().stdout.contains("alice"));
    }
}

#[test]
fn a_verifier_whose_clock_is_some_seconds_off_is_named_in_its_log_and_by_status() {
    let mut fleet = Fleet::of(3, "");
    let fine = || Some(fleet.verifiers[0].fleet(&["status"]).stdout.contains(" s ago, clock +0 s\n"));
    assert_eq!(clock::poll(Duration::from_secs(20), || fine().filter(|is_told| *is_told)), Some(true));
    fleet.restart_with_clock(1, "+5s");
    let named = || {
        let status = fleet.verifiers[0].fleet(&["status"]).stdout;
        (status.contains("PROBLEM    the clock of verifier v2 is ")
            && status.contains(" s ahead of the others'"))
        .then_some(())
    };
    clock::poll(Duration::from_secs(60), named).expect("status does not name it");
    let _ = fleet.verifiers[1]
        .sandbox
        .log
        .wait(&["event=store_unavailable reason=clock", "ahead of the others'"]);
}

#[test]
fn an_etcd_with_known_faults_is_refused_with_the_version_to_install() {
    let mut all = hosts(1);
    all[0].sandbox.install(&old_etcd(), "/usr/local/bin/etcd", 0o755);
    all[0].fleet(&["init", "--name", "corp"]).success();
    all[0].start_etcd();
    let refused = || Some(all[0].fleet(&["create-store"])).filter(|made| made.stderr.contains("3.5.14"));
    let refused = clock::poll(Duration::from_secs(90), refused).expect("Debian 12's etcd is not refused");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(refused.stderr.contains("etcd 3.4.23 has known faults in its replication"), "{refused:?}");
    let status = all[0].fleet(&["status"]);
    assert!(status.status.code() == Some(1) && status.stdout.contains("3.5.14 or later"), "{status:?}");
}

#[test]
fn defrag_gives_space_back_one_verifier_at_a_time_and_not_while_another_one_is_away() {
    let mut fleet = Fleet::of(3, "");
    let _ = fleet.import("alice");
    let done = fleet.verifiers[1].fleet(&["defrag"]).success().stdout;
    assert!(done.starts_with("etcd's database had "), "{done}");
    fleet.verifiers[1].wait();
    fleet.verifiers[2].fleet(&["defrag"]).success();
    fleet.stop(0);
    let away = || {
        let refused = fleet.verifiers[1].fleet(&["defrag"]);
        refused.stderr.contains("verifier v1 is away").then_some(refused)
    };
    let refused = clock::poll(Duration::from_secs(60), away).expect("it is not refused");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn a_full_database_is_emptied_by_the_steps_of_the_documentation() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    for verifier in &mut fleet.verifiers {
        verifier.stop_etcd();
        verifier
            .sandbox
            .run(&[
                "sed",
                "-i",
                "s/^quota-backend-bytes:.*/quota-backend-bytes: 4000000/",
                "/etc/qrtotp/etcd/etcd.yml",
            ])
            .success();
        verifier.start_etcd();
    }
    fleet.verifiers.iter().for_each(Verifier::wait);
    let ec = "cd /etc/qrtotp/etcd
              ec() { etcdctl --endpoints https://127.0.0.1:2379 --cacert ca.pem --cert peer.pem --key peer.key \"$@\"; }";
    let sh = |script: &str| fleet.verifiers[0].sandbox.run(&["sh", "-c", &format!("{ec}\n{script}")]);
    let value = "head -c 100000 /dev/zero | tr '\\0' x | ec put junk";
    let is_full = || Some(sh(value)).filter(|put| put.stderr.contains("database space exceeded"));
    clock::poll(Duration::from_secs(60), is_full).expect("it never fills");
    let status = fleet.verifiers[1].fleet(&["status"]);
    assert!(status.status.code() == Some(1) && status.stdout.contains("Out of space"), "{status:?}");
    // The steps.
    sh("ec compact \"$(ec endpoint status -w fields | sed -n 's/^\"Revision\" : //p')\"").success();
    for verifier in &fleet.verifiers {
        verifier.fleet(&["defrag"]).success();
        let has_quorum = || verifier.fleet(&["status", "--json"]).stdout.contains("\"members\":[\"v1\"");
        clock::poll(Duration::from_secs(30), || has_quorum().then_some(())).expect("it does not come back");
    }
    sh("ec alarm disarm").success();
    fleet.verifiers.iter().for_each(Verifier::wait);
    let host = fleet.host("web1", "all");
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
}
