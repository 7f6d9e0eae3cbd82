//! Many accounts at once.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

#[test]
fn a_group_is_revoked_once_its_number_is_typed_and_nobody_else_is() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    let phones = ["alice", "bobby", "carol"].map(|user| {
        sandbox.add_user(user);
        (user, sandbox.import(user))
    });
    let _ = sandbox.run(&["groupadd", "leavers"]).success();
    for user in ["alice", "bobby"] {
        let _ = sandbox.run(&["usermod", "-aG", "leavers", user]).success();
    }
    let revoke = |more: &[&str]| sandbox.run(&[&["qrtotp", "revoke", "--group", "leavers"], more].concat());
    let planned = revoke(&["--dry-run"]).success().stdout;
    assert!(planned.contains("alice") && planned.contains("2 devices of 2 accounts"), "{planned}");
    for refused in [revoke(&[]), revoke(&["--confirm", "3"])] {
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains("--confirm 2"), "{refused:?}");
    }
    assert!(revoke(&["--confirm", "2"]).success().stdout.contains("2 accounts"));
    assert!(revoke(&["--confirm", "2"]).success().stdout.contains("nothing was changed"), "a second run");
    for (user, phone) in &phones {
        let expected = if *user == "carol" { PAM_SUCCESS } else { PAM_AUTH_ERR };
        assert_eq!(sandbox.answer(user, &phone.code()), expected, "{user}");
    }
    let _ = sandbox.log.wait(&["event=bulk_revoked", "count=2", "by=root"]);
    let _ = sandbox.log.wait(&["event=credential_revoked", "user=bobby", " seq="]);
}

#[test]
fn list_names_accounts_that_are_unenrolled_locked_or_stale() {
    let sandbox = Sandbox::new();
    sandbox.configure("[throttle]\nfree_failures = 1\n");
    sandbox.stack("");
    let phones = ["alice", "bobby", "carol"].map(|user| {
        sandbox.add_user(user);
        if user == "carol" { None } else { Some(sandbox.import(user)) }
    });
    let [Some(alice), Some(bobby), None] = &phones else { panic!("two have a phone") };
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
    for _ in 0..4 {
        assert_ne!(sandbox.answer("bobby", &bobby.wrong_code()), PAM_SUCCESS);
    }
    let list = |option: &[&str]| {
        let text = sandbox.run(&[&["qrtotp", "list"], option].concat()).success().stdout;
        let mut users: Vec<_> =
            text.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
        users.retain(|user| ["alice", "bobby", "carol"].contains(&user.as_str()));
        users.join(" ")
    };
    assert_eq!(list(&["--unenrolled"]), "carol");
    assert_eq!(list(&["--locked"]), "bobby");
    assert_eq!(list(&["--stale", "90d"]), "bobby", "bobby never gave a right code");
    assert_eq!(list(&[]), "alice bobby");
}

#[test]
fn metrics_count_accounts_and_name_nobody() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    for user in ["alice", "bobby"] {
        sandbox.add_user(user);
        sandbox.import(user);
    }
    let _ = sandbox.run(&["qrtotp", "revoke", "bobby"]).success();
    let _ = sandbox.run(&["qrtotp", "metrics", "--textfile", "/tmp/qrtotp.prom"]).success();
    let text = sandbox.read("/tmp/qrtotp.prom");
    assert_eq!(text, sandbox.run(&["qrtotp", "metrics"]).success().stdout);
    for line in
        ["{standing=\"enrolled\"} 1", "{standing=\"revoked\"} 1", "qrtotp_audit_lines 3", "store_readable 1"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.ends_with("# EOF\n") && !text.contains("alice"), "{text}");
    assert!(!sandbox.exists("/tmp/qrtotp.prom.new"));
}

#[test]
fn members_that_the_user_database_does_not_list_are_revoked_and_a_look_up_that_fails_is_told() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.import("alice");
    let _ = sandbox.run(&["groupadd", "--gid", "100000", "unlisted"]).success();
    sandbox.name_service_of_groups();
    let revoke = |more: &[&str]| sandbox.run(&[&["qrtotp", "revoke", "--group", "unlisted"], more].concat());
    sandbox.overwrite("/etc/nss-groups", "huge");
    let unknown = revoke(&["--dry-run"]);
    assert!(
        !unknown.status.success() && unknown.stderr.contains("alice: the groups can't be"),
        "{unknown:?}"
    );
    sandbox.overwrite("/etc/nss-groups", "one");
    assert!(revoke(&["--confirm", "1"]).success().stdout.contains("alice"));
}

#[test]
fn an_account_with_only_a_token_is_revoked_and_a_primary_group_has_members() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.import("alice");
    let _ = sandbox.run(&["groupadd", "leavers"]).success();
    let _ = sandbox.run(&["usermod", "-g", "leavers", "bobby"]).success(); // the primary group
    let _ = sandbox.run(&["qrtotp", "token", "issue", "bobby"]).success();
    let revoke = |more: &[&str]| sandbox.run(&[&["qrtotp", "revoke"], more].concat());
    let planned = revoke(&["--group", "leavers", "--dry-run"]).success().stdout;
    assert!(planned.contains("bobby") && planned.contains("a token"), "{planned}");
    let done = revoke(&["--everyone", "--confirm", "2"]).success().stdout;
    assert!(done.contains("a token revoked") && done.contains("1 devices revoked"), "{done}");
    let _ = sandbox.log.wait(&["event=token_revoked", "user=bobby", " seq="]);
    assert!(revoke(&["--everyone", "--confirm", "2"]).success().stdout.contains("nothing was changed"));
}
