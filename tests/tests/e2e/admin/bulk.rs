//! Many accounts at once.

use std::time::Duration;

use qrtotp_tests::{
    Sandbox, clock,
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
    let _ = sandbox.log.wait(&["event=bulk_revoked reason=begun", "count=2", "by=root", " seq="]);
    let _ = sandbox.log.wait(&["event=bulk_revoked service=", "count=2", "by=root", " seq="]);
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
    // Each has to be waited for: the third failure then locks for four seconds.
    for wait in [0, 1100, 2100] {
        clock::pause(Duration::from_millis(wait));
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
    let gauges = text.split("# HELP qrtotp_logins_total").next().unwrap();
    assert_eq!(sandbox.run(&["qrtotp", "metrics"]).success().stdout, format!("{gauges}# EOF\n"));
    for line in
        ["{standing=\"enrolled\"} 1", "{standing=\"revoked\"} 1", "qrtotp_audit_lines 3", "store_readable 1"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("alice"), "{text}");
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
    assert!(done.contains("a token revoked") && done.contains("1 device revoked"), "{done}");
    let _ = sandbox.log.wait(&["event=token_revoked", "user=bobby", " seq="]);
    assert!(revoke(&["--everyone", "--confirm", "2"]).success().stdout.contains("nothing was changed"));
}

#[test]
fn at_a_terminal_it_is_said_if_no_administrator_keeps_a_device() {
    let sandbox = Sandbox::new();
    for user in ["alice", "bobby"] {
        sandbox.add_user(user);
        sandbox.import(user);
    }
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    let mut everybody = sandbox.pty_unrecorded(&["qrtotp", "revoke", "--everyone"]);
    everybody.expect("No account that can become root keeps a device.");
    everybody.expect("2 devices of 2 accounts");
    everybody.send("0");
    assert!(everybody.failure().contains("nothing was changed"));
    sandbox.run(&["groupadd", "others"]).success();
    sandbox.run(&["usermod", "-aG", "others", "bobby"]).success();
    let mut others = sandbox.pty_unrecorded(&["qrtotp", "revoke", "--group", "others"]);
    others.send("1");
    assert!(!others.success().contains("become root"));
}

#[test]
fn a_bulk_command_whose_output_fails_goes_on_names_each_account_and_logs_its_end() {
    for (verb, counted) in [("reissue", "event=bulk_reissued"), ("revoke", "event=bulk_revoked")] {
        let sandbox = Sandbox::new();
        sandbox.stack("");
        let phones = ["alice", "bobby"].map(|user| {
            sandbox.add_user(user);
            (user, sandbox.import(user))
        });
        let run = format!("qrtotp {verb} --everyone --confirm 2 >/dev/full");
        let failed = sandbox.run(&["sh", "-c", &run]);
        assert_eq!(failed.status.code(), Some(2), "{}", failed.stderr);
        for (user, phone) in &phones {
            let line =
                failed.stderr.lines().find(|line| line.contains(&format!("qrtotp: {user}: 1 device ")));
            assert!(line.is_some_and(|line| line.contains("not shown")), "{user}: {}", failed.stderr);
            assert_eq!(sandbox.answer(user, &phone.code()), PAM_AUTH_ERR, "{user}");
        }
        assert_eq!(failed.stderr.contains("qrtotp token issue bobby --code"), verb == "reissue");
        let _ = sandbox.log.wait(&[counted, "count=2", " seq=", "2 failed"]);
    }
}

#[test]
fn reissue_revokes_many_accounts_and_prints_a_code_for_each() {
    let sandbox = Sandbox::new();
    sandbox.configure("[[rule]]\nname = 'staff'\nuser = ['alice', 'bob*']\nthen = 'code'\n");
    sandbox.stack("");
    let phones = ["alice", "bobby", "carol"].map(|user| {
        sandbox.add_user(user);
        (user, sandbox.import(user))
    });
    let reissue = |more: &[&str]| sandbox.run(&[&["qrtotp", "reissue"], more].concat());
    let planned = reissue(&["--rule", "staff", "--dry-run"]).success().stdout;
    assert!(planned.contains("2 devices of 2 accounts") && !planned.contains("carol"), "{planned}");
    assert_eq!(reissue(&["--rule", "staff"]).status.code(), Some(1));
    assert_eq!(reissue(&["--rule", "other", "--dry-run"]).status.code(), Some(1));
    assert_eq!(reissue(&["alice", "--everyone"]).status.code(), Some(2));
    let done = reissue(&["--rule", "staff", "--confirm", "2"]).success().stdout;
    assert_eq!(
        done.lines().filter(|line| line.contains(" revoked, t-") && line.contains(" code ")).count(),
        2,
        "{done}"
    );
    assert!(done.contains("Reissued the devices of 2 accounts."), "{done}");
    for line in ["event=bulk_reissued reason=begun ", "event=bulk_reissued service="] {
        let _ = sandbox.log.wait(&[line, "count=2", " seq=", "accounts of the rule staff"]);
    }
    let _ = sandbox.log.wait(&["event=token_issued reason=with_code user=bobby", " seq="]);
    for (user, phone) in &phones {
        let expected = if *user == "carol" { PAM_SUCCESS } else { PAM_AUTH_ERR };
        assert_eq!(sandbox.answer(user, &phone.code()), expected, "{user}");
    }
    assert!(reissue(&["--rule", "staff", "--confirm", "2"]).success().stdout.contains("nothing was changed"));
    let one = reissue(&["carol"]).success().stdout;
    assert!(one.contains("1 device revoked, t-") && one.contains(" code "), "{one}");
    let revoked = sandbox.run(&["qrtotp", "revoke", "--rule", "staff", "--dry-run"]).success().stdout;
    assert!(revoked.contains("a token"), "{revoked}");
}

#[test]
fn one_json_object_says_what_revoke_and_reissue_do_with_each_account() {
    let sandbox = Sandbox::new();
    for user in ["alice", "bobby", "gone"] {
        sandbox.add_user(user);
        sandbox.import(user);
    }
    let _ = sandbox.run(&["userdel", "gone"]).success(); // nobody can enrol again
    let json = |argv: &[&str], code: i32| {
        let said = sandbox.run(&[&["qrtotp"], argv, &["--json"]].concat());
        assert_eq!(said.status.code(), Some(code), "{said:?}");
        let program = "import json,sys; o=json.load(sys.stdin)\n\
            print(o['version'], o['action'], o['dry_run'], o['changed'], o['failed'], o['all_read'])\n\
            for a in o['accounts']: print(a['user'], a['devices'], *(bool(a[k]) for k in ('token', 'code', 'error')))";
        sandbox.run_with_input(&["python3", "-c", program], &said.stdout).success().stdout
    };
    let planned = json(&["reissue", "--everyone", "--dry-run"], 0);
    assert!(planned.starts_with("1 reissue True 0 0 True\nalice 1 False False False\nbobby 1 "), "{planned}");
    let done = json(&["reissue", "--everyone", "--confirm", "3"], 2);
    let expected = "alice 1 True True False\nbobby 1 True True False\ngone 0 False False True\n";
    assert_eq!(done, format!("1 reissue False 2 1 True\n{expected}"));
    sandbox.add_user("carol");
    sandbox.import("carol");
    assert_eq!(json(&["reissue", "carol"], 0), "1 reissue False 1 0 True\ncarol 1 True True False\n");
    let revoked = json(&["revoke", "--everyone", "--confirm", "4"], 0);
    assert!(revoked.starts_with("1 revoke False 4 0 True\nalice 0 False False False\n"), "{revoked}");
    assert_eq!(json(&["revoke", "--everyone"], 0), "1 revoke False 0 0 True\n");
    assert_eq!(sandbox.run(&["qrtotp", "revoke", "alice", "--json"]).status.code(), Some(2));
}

#[test]
fn token_issue_for_a_group_goes_on_if_its_output_fails_and_names_each_account() {
    let sandbox = Sandbox::new();
    let _ = sandbox.run(&["groupadd", "new"]).success();
    for user in ["alice", "bobby"] {
        sandbox.add_user(user);
        let _ = sandbox.run(&["usermod", "-aG", "new", user]).success();
    }
    for form in ["", "--json"] {
        let run = format!("qrtotp token issue --group new --code {form} >/dev/full");
        let failed = sandbox.run(&["sh", "-c", &run]);
        assert_eq!(failed.status.code(), Some(2), "{}", failed.stderr);
        for user in ["alice", "bobby"] {
            let advice = format!("qrtotp token revoke {user}");
            let lost = format!("qrtotp: the token of {user} was not shown");
            assert!(failed.stderr.contains(&lost), "{failed:?}");
            assert!(failed.stderr.contains(&advice), "{failed:?}");
            let _ = sandbox.run(&["qrtotp", "token", "revoke", user]).success();
        }
    }
}

#[test]
fn unlock_from_a_place_that_the_account_does_not_have_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.configure("[throttle]\nfree_failures = 3\n");
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    (0..4).for_each(|_| assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR));
    let unlock = |from: &str| sandbox.run(&["qrtotp", "unlock", "alice", "--from", from]);
    let refused = unlock("0123456789abcdef");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(!refused.stdout.contains("Unlocked") && refused.stderr.contains("has no place"), "{refused:?}");
    assert_ne!(unlock("192.0.2").status.code(), Some(0));
    assert!(unlock("192.0.2.0/24").success().stdout.contains("Unlocked alice: 3 failures"));
}
