//! After the theft of a verifier.

use std::time::Duration;

use qrtotp_tests::{
    clock,
    fleet::{ADDRESS, Fleet},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const BUNDLE: &str = "/root/corp.bundle";
/// Asks etcd of v1, whatever that shows, with the key of this verifier's member. OpenSSL 3.0 reads such keys
/// only without their public half.
const WITH_THE_STOLEN_KEY: &str = r"cd /etc/qrtotp/etcd
    { printf '\060\056\002\001\000\060\005\006\003\053\145\160\004\042\004\040'
      sed /-/d peer.key | base64 -d | tail -c +17 | head -c 32; } >/root/stolen.key
    printf 'GET /version HTTP/1.0\r\n\r\n' | timeout 5 openssl s_client -quiet -connect 10.97.0.1:2380 \
        -cert peer.pem -key /root/stolen.key -keyform DER 2>&1";

/// Gives the verifiers that are left the new keys and CAs, by the printed steps.
fn renew(fleet: &mut Fleet) {
    for number in [0, 1] {
        if number != 0 {
            let from = fleet.verifiers[0].sandbox.path(BUNDLE);
            fleet.verifiers[number].sandbox.install(&from, BUNDLE, 0o600);
        }
        fleet.stop(number);
        let name = fleet.verifiers[number].name.clone();
        fleet.verifiers[number].fleet(&["join-verifier", "--renew", "--name", &name, BUNDLE]).success();
    }
    for number in [0, 1] {
        fleet.verifiers[number].start_etcd();
        fleet.restart_one(number);
    }
    fleet.verifiers[0].wait();
}

#[test]
fn after_a_theft_the_thief_has_no_member_no_host_and_no_device_and_people_enrol_again() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    let dry =
        fleet.verifiers[0].fleet(&["compromise", "--verifier", "v3", "--bundle", BUNDLE]).success().stdout;
    assert!(dry.contains("would be revoked: 1 login hosts") && dry.contains("Nothing was changed"), "{dry}");
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS, "indeed nothing");
    fleet.verifiers[0].fleet(&["compromise", "--verifier", "v3", "--bundle", BUNDLE, "--yes"]).success();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR, "its host is revoked");
    renew(&mut fleet);
    let finish =
        || Some(fleet.verifiers[0].fleet(&["rotate", "key", "finish"])).filter(|done| done.status.success());
    clock::poll(Duration::from_secs(40), finish).expect("a verifier lacks the new key");
    let dry = fleet.verifiers[0].fleet(&["compromise", "--group", "all"]).success().stdout;
    assert!(dry.contains("alice"), "{dry}");
    let told =
        fleet.verifiers[0].sandbox.command(None, &["qrtotp", "fleet", "compromise", "--everyone", "--yes"]);
    let told = String::from_utf8({ told }.output().unwrap().stdout).unwrap();
    assert!(told.contains("alice") && told.contains(" code "), "{told}");
    fleet.join(&host, "web1", "all", ADDRESS).success();
    host.start_relay();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR, "the thief has its secret");
    let status = fleet.verifiers[1].fleet(&["status"]).stdout;
    assert!(status.contains("members v1 v2;") && !status.contains("v3"), "{status}");
}

#[test]
fn the_stolen_verifier_reaches_neither_the_others_etcd_nor_a_host_that_joined_again() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let reach = |fleet: &Fleet| fleet.verifiers[2].sandbox.run(&["sh", "-c", WITH_THE_STOLEN_KEY]);
    let before = reach(&fleet);
    assert!(before.stdout.contains("etcdserver"), "{before:?}");
    fleet.verifiers[0].fleet(&["compromise", "--verifier", "v3", "--bundle", BUNDLE, "--yes"]).success();
    renew(&mut fleet);
    let after = reach(&fleet);
    assert!(!after.stdout.contains("etcdserver") && after.stdout.contains("alert"), "{after:?}");
    let mut host = fleet.stranger();
    fleet.join(&host, "web1", "all", ADDRESS).success();
    // As if somebody had redirected the network.
    host.sandbox.overwrite("/etc/qrtotp/relay/verifiers", "10.97.0.3\n");
    host.start_relay();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
    let status = host.sandbox.run(&["qrtotp", "fleet", "status"]);
    assert!(
        status.status.code() == Some(1) && status.stdout.contains("invalid peer certificate"),
        "{status:?}"
    );
}
