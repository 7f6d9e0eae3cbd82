//! Hosts that join, and hosts that may not ask.

use qrtotp_tests::{
    fleet::{ADDRESS, Fleet},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

#[test]
fn a_revoked_host_is_refused_at_once_and_others_are_not() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let (one, two) = (fleet.host("web1", "all"), fleet.host("web2", "all"));
    assert_eq!(one.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    fleet.verifier().run(&["qrtotp", "fleet", "host", "revoke", "web1"]).success();
    assert_eq!(one.answer(&phone.code()), PAM_AUTH_ERR);
    let _ = one.sandbox.log.wait(&["event=login result=denied reason=fleet_refused user=alice", "revoked"]);
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=host_revoked", "by=web1"]);
    assert_eq!(two.answer(&phone.code()), PAM_SUCCESS, "the code was not used up");
}

#[test]
fn a_host_asks_about_accounts_of_its_group_only() {
    let fleet = Fleet::new("web = [\"bobby\"]\n");
    let phone = fleet.import("alice");
    let (web, all) = (fleet.host("web1", "web"), fleet.host("db1", "all"));
    assert_eq!(web.answer(&phone.code()), PAM_AUTH_ERR);
    let _ =
        fleet.verifier().log.wait(&["event=login result=denied reason=host_group user=alice", "host=web1"]);
    assert_eq!(all.answer(&phone.code()), PAM_SUCCESS, "the code was not used up");
}

#[test]
fn an_invitation_lets_one_host_join_once_and_status_tells_what_came_of_it() {
    let fleet = Fleet::new("");
    let (one, two) = (fleet.stranger(), fleet.stranger());
    let token = fleet.verifier().run(&["qrtotp", "fleet", "invite"]).success().stdout;
    let argv = ["qrtotp", "fleet", "join", ADDRESS, "--token-file", "-", "--name", "web1"];
    let output = one.sandbox.run_with_input(&argv, &token).success().stdout;
    assert!(output.contains("login host of the fleet corp"), "{output}");
    let refused = two.sandbox.run_with_input(&[&argv[..7], &["web2"]].concat(), &token);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("used up"), "{refused:?}");
    assert!(!two.sandbox.exists("/etc/qrtotp/verdict.key"));
    let status = one.sandbox.run(&["qrtotp", "fleet", "status"]).success().stdout;
    assert!(status.contains(&format!("{ADDRESS}  ok")), "{status}");
    let list = fleet.verifier().run(&["qrtotp", "fleet", "host", "list"]).success().stdout;
    assert!(
        list.starts_with("HOST  STATE   GROUPS  JOINED") && list.contains("\nweb1  active  all     20"),
        "{list}"
    );
}

#[test]
fn a_host_joins_only_the_fleet_that_its_invitation_names() {
    let (fleet, other) = (Fleet::new(""), Fleet::new(""));
    let host = fleet.stranger();
    let token = other.verifier().run(&["qrtotp", "fleet", "invite"]).success().stdout;
    let argv = ["qrtotp", "fleet", "join", ADDRESS, "--token-file", "-"];
    let refused = host.sandbox.run_with_input(&argv, &token);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("UnknownIssuer"), "{refused:?}");
    assert!(!host.sandbox.exists("/etc/qrtotp/relay"), "nothing was written");
}

#[test]
fn a_verifier_is_not_root_and_root_can_not_read_its_commands_into_being_so() {
    let fleet = Fleet::new("");
    let argv =
        ["/usr/local/sbin/qrtotpd", "--role", "verifier", "--config", "/etc/qrtotp/verifier/qrtotp.toml"];
    let refused = fleet.verifier().run(&argv);
    assert!(!refused.status.success() && refused.stderr.contains("does not run as root"), "{refused:?}");
    let owners = fleet.verifier().run(&[
        "find",
        "/etc/qrtotp/verifier",
        "/var/lib/qrtotp-verifier",
        "!",
        "-user",
        "qrtotp-verifier",
    ]);
    assert_eq!(owners.success().stdout, "", "all of it is the verifier's");
    let open =
        fleet.verifier().run(&["find", "/etc/qrtotp/verifier", "/var/lib/qrtotp-verifier", "-perm", "/077"]);
    let open: Vec<String> =
        open.success().stdout.lines().filter(|path| !path.contains(".applied")).map(str::to_owned).collect();
    assert!(open.is_empty(), "{open:?}");
}
