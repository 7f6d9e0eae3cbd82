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

/// The output of `qrtotp fleet compromise`, which shows codes.
fn compromise(fleet: &Fleet, arguments: &[&str]) -> String {
    let argv = [&["qrtotp", "fleet", "compromise"], arguments].concat();
    let output = fleet.verifier().command(None, &argv).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn after_a_theft_the_thief_has_no_member_no_host_and_no_device_and_people_enrol_again() {
    let mut fleet = Fleet::of(3, "");
    let (phone, mut host) = (fleet.import("alice"), fleet.host("web1", "all"));
    let stolen = ["--verifier", "v3", "--bundle", BUNDLE];
    let dry = compromise(&fleet, &stolen);
    assert!(dry.contains("would be revoked: 1 login hosts") && dry.contains("Nothing was changed"), "{dry}");
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS, "indeed nothing");
    let _ = compromise(&fleet, &[&stolen[..], &["--yes"]].concat());
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR, "its host is revoked");
    renew(&mut fleet);
    let sealed =
        || Some(fleet.verifiers[0].fleet(&["rotate", "key", "finish"])).filter(|done| done.status.success());
    clock::poll(Duration::from_secs(40), sealed).expect("a verifier lacks the new key");
    let printed = compromise(&fleet, &["--everyone", "--yes"]);
    assert!(printed.contains("alice") && printed.contains(" code "), "{printed}");
    fleet.join(&host, "web1", "all", ADDRESS).success();
    host.start_relay();
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR, "the thief has its secret");
    let status = fleet.verifiers[1].fleet(&["status"]).stdout;
    assert!(status.contains("members v1 v2;") && !status.contains("v3"), "{status}");
}

#[test]
fn devices_are_revoked_group_by_group_and_also_of_users_that_the_verifier_does_not_know() {
    let fleet = Fleet::new("web = [\"alice\"]\n");
    fleet.verifier().add_user("carol");
    let _ = (fleet.import("alice"), fleet.import("carol"));
    fleet.verifier().run(&["userdel", "carol"]).success();
    let dry = compromise(&fleet, &["--group", "web"]);
    assert!(dry.contains("alice") && !dry.contains("carol"), "{dry}");
    let is_revoked = |user: &str| fleet.administer(&["status", user], "").stdout.contains("revoked");
    assert!(!is_revoked("alice"));
    let printed = compromise(&fleet, &["--group", "web", "--yes"]);
    assert!(printed.contains("Reissued the devices of 1 account") && is_revoked("alice"), "{printed}");
    assert!(!is_revoked("carol"));
    let printed = compromise(&fleet, &["--everyone", "--yes"]);
    assert!(printed.contains("carol: 1 devices revoked") && is_revoked("carol"), "{printed}");
    assert!(compromise(&fleet, &["--group", "nobody", "--yes"]).contains("no group nobody"));
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
