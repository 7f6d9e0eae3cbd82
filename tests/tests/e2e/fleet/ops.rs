//! Making and running a fleet, on real clusters of etcd.

use std::time::Duration;

use qrtotp_tests::{
    Phone, clock,
    fleet::Fleet,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    verifiers::fleet,
};

#[test]
fn three_verifiers_are_made_by_the_printed_steps_and_status_says_who_leads() {
    let all = fleet(3);
    all[1].wait();
    let status = all[1].fleet(&["status", "--json"]).success().stdout;
    for fact in
        ["\"verifier\":\"v2\"", "\"members\":[\"v1\",\"v2\",\"v3\"]", "\"decides\":true", "\"leader\":\"v"]
    {
        assert!(status.contains(fact), "{fact}: {status}");
    }
    let again = all[2].fleet(&["create-store"]);
    assert!(again.status.code() == Some(1) && again.stderr.contains("already"), "{again:?}");
    let init = all[0].fleet(&["init", "--name", "corp"]);
    assert!(init.status.code() == Some(1) && init.stderr.contains("nothing was changed"), "{init:?}");
    let open =
        "find /etc/qrtotp/verifier /etc/qrtotp/corp.bundle -perm /077; find /etc/qrtotp/etcd -perm /027";
    assert_eq!(all[1].sandbox.run(&["sh", "-c", open]).success().stdout, "", "only its owner reads a secret");
}

#[test]
fn status_says_that_a_majority_is_missing_and_a_command_does_not_wait_for_ever() {
    let mut all = fleet(3);
    all[0].wait();
    all[1].stop_etcd();
    all[0].wait();
    all[2].stop_etcd();
    let status = all[0].fleet(&["status"]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    assert!(status.stdout.contains("PROBLEM    etcd has no quorum"), "{status:?}");
    let list = all[0].administer(&["list"], "");
    assert!(!list.status.success() && list.stderr.contains("qrtotp fleet status"), "{list:?}");
}

#[test]
fn a_hosts_own_accounts_come_into_the_fleet_once_with_their_used_codes() {
    let all = fleet(1);
    let verifier = &all[0];
    let phone = Phone::random();
    let uri = format!("{}\n", phone.uri("alice"));
    verifier.sandbox.run_with_input(&["qrtotp", "import", "uri", "alice", "--unused"], &uri).success();
    let first = verifier.fleet(&["import"]).success().stdout;
    assert!(first.contains("1 of 1 accounts"), "{first}");
    let again = verifier.fleet(&["import"]);
    assert!(
        again.status.code() == Some(1) && again.stdout.contains("alice  is in the fleet already"),
        "{again:?}"
    );
    let list = verifier.administer(&["list"], "").success().stdout;
    assert!(list.contains("alice"), "{list}");
    let code = verifier.administer(&["verify", "alice"], &format!("{}\n", phone.code()));
    assert!(!code.status.success(), "the host may have accepted it: {code:?}");
    let _ = verifier.sandbox.log.wait(&["event=account_imported", "user=alice"]);
}

#[test]
fn after_a_restored_backup_the_journal_brings_back_a_revocation() {
    let mut all = fleet(1);
    let verifier = &mut all[0];
    let phone = Phone::random();
    verifier
        .administer(&["import", "uri", "alice", "--unused"], &format!("{}\n", phone.uri("alice")))
        .success();
    verifier.fleet(&["backup", "/root/corp.db"]).success();
    verifier.administer(&["revoke", "alice", "--all"], "").success();
    let runs = verifier.fleet(&["restore", "/root/corp.db"]);
    assert!(runs.status.code() == Some(1) && runs.stderr.contains("systemctl stop"), "{runs:?}");
    verifier.stop_etcd();
    verifier.fleet(&["restore", "/root/corp.db"]).success();
    verifier.start_etcd();
    verifier.wait();
    let accepted = verifier.fleet(&["accept-restore"]).success().stdout;
    assert!(accepted.contains("account alice  made again"), "{accepted}");
    let status = verifier.administer(&["status", "alice"], "").stdout;
    assert!(status.contains("revoked"), "{status}");
    assert!(verifier.fleet(&["status"]).success().stdout.contains("generation 2"));
}

#[test]
fn a_held_host_is_refused_until_it_is_released_and_a_revoked_one_for_ever() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let verifier = &fleet.verifiers[0];
    let first = phone.code_of_step(phone.step() - 1);
    verifier.fleet(&["host", "hold", "web1"]).success();
    assert_eq!(host.answer(&first), PAM_AUTH_ERR);
    assert!(verifier.fleet(&["host", "list"]).success().stdout.contains("\nweb1  held   all"));
    assert_eq!(verifier.fleet(&["host", "hold", "web1"]).status.code(), Some(1));
    verifier.fleet(&["host", "release", "web1"]).success();
    assert_eq!(host.answer(&first), PAM_SUCCESS, "the code was not used up");
    verifier.fleet(&["host", "revoke", "web1"]).success();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
    let release = verifier.fleet(&["host", "release", "web1"]);
    assert!(release.status.code() == Some(1) && release.stderr.contains("revoked"), "{release:?}");
}

#[test]
fn a_restored_backup_lets_nobody_in_until_it_is_accepted() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    fleet.verifiers[0].fleet(&["backup", "/root/corp.db"]).success();
    let first = phone.code_of_step(phone.step() - 1);
    assert_eq!(host.answer(&first), PAM_SUCCESS);
    clock::pause(Duration::from_secs(7)); // a verifier keeps what it has seen every 5 s
    fleet.stop(0);
    fleet.verifiers[0].fleet(&["restore", "/root/corp.db"]).success();
    fleet.verifiers[0].start_etcd();
    fleet.restart();
    let status = || {
        Some(fleet.verifiers[0].fleet(&["status"]))
            .filter(|printed| printed.stdout.contains("accept-restore"))
    };
    let printed = clock::poll(Duration::from_secs(20), status).expect("the restore is not noticed");
    assert_eq!(printed.status.code(), Some(1), "{printed:?}");
    assert_eq!(host.answer(&first), PAM_AUTH_ERR, "its use is not in the backup");
    fleet.verifiers[0].fleet(&["accept-restore"]).success();
    fleet.verifiers[0].wait();
    assert_eq!(host.answer(&first), PAM_AUTH_ERR, "it may have been used");
    let _ = fleet.verifier().log.wait(&["event=restore_accepted"]);
}

#[test]
fn a_break_glass_code_is_no_code_while_a_verifier_answers() {
    let mut fleet = Fleet::new("");
    let _ = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let made = host.sandbox.command(None, &["qrtotp", "fleet", "offline-codes", "alice"]).output().unwrap();
    let printed = String::from_utf8(made.stdout).unwrap();
    let code = printed.lines().map(str::trim).find(|line| line.len() == 19).unwrap();
    assert_eq!(host.answer(code), PAM_AUTH_ERR);
    fleet.stop(0);
    assert_eq!(host.answer(code), PAM_SUCCESS);
    assert_eq!(host.answer(code), PAM_AUTH_ERR);
}

#[test]
fn a_lost_verifier_is_replaced_while_the_others_go_on() {
    let mut all = fleet(3);
    all[2].stop_etcd();
    let lost =
        "rm -r /etc/qrtotp/verifier /etc/qrtotp/etcd /var/lib/qrtotp-verifier /var/lib/qrtotp-etcd/data";
    all[2].sandbox.run(&["sh", "-c", lost]).success();
    let etcdctl = "cd /etc/qrtotp/etcd; etcdctl --endpoints https://127.0.0.1:2379 --cacert ca.pem --cert peer.pem --key peer.key";
    let replace = format!(
        "e() {{ ({etcdctl} \"$@\"); }}; e member remove $(e member list | sed -n 's/,.* v3,.*//p')
         until e member add v3 --peer-urls https://10.97.0.3:2380; do sleep 1; done"
    );
    all[0].sandbox.run(&["sh", "-ec", &replace]).success();
    let bundle = "/root/corp.bundle";
    all[0].fleet(&["bundle", bundle]).success();
    all[2].sandbox.install(&all[0].sandbox.path(bundle), bundle, 0o600);
    all[2].fleet(&["join-verifier", "--name", "v3", bundle]).success();
    all[2].start_etcd();
    all[2].wait();
    all[0].stop_etcd();
    all[2].wait();
}

#[test]
fn a_new_fleet_key_seals_everything_only_once_every_verifier_uses_it() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let old = fleet.verifiers[0].sandbox.read("/etc/qrtotp/verifier/fleet.keys");
    let begun = fleet.verifiers[0].fleet(&["rotate", "key", "begin", "/root/new.key"]).success().stdout;
    let key = begun.split("rotate key use ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    fleet.verifiers[0].fleet(&["rotate", "key", "use", &key]).success();
    let early = fleet.verifiers[0].fleet(&["rotate", "key", "finish"]);
    assert!(early.status.code() == Some(1) && early.stderr.contains("v1 seal with another key"), "{early:?}");
    fleet.restart();
    let finish =
        || Some(fleet.verifiers[0].fleet(&["rotate", "key", "finish"])).filter(|done| done.status.success());
    clock::poll(Duration::from_secs(20), finish).expect("the verifier does not use the new key");
    let new = fleet.verifiers[0].sandbox.read("/root/new.key");
    fleet.verifiers[0].sandbox.overwrite("/etc/qrtotp/verifier/fleet.keys", &new);
    assert_ne!(new, old);
    fleet.restart();
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS, "nothing needs the old key");
}
