//! `qrtotp account`: what admins do when a person's name or uid changes, or the person leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::{Ended, Instance};

#[test]
fn a_record_moves_to_the_new_name_of_its_person_with_its_devices_and_used_codes() {
    let instance = Instance::new();
    let phone = instance.leave_behind("gone-user");
    let done = instance.run(&["account", "rename", "gone-user", "nobody"]).ok();
    assert!(done.stdout.contains("gone-user") && done.stdout.contains("nobody (uid 65534)"), "{done:?}");
    instance.verify("nobody", &phone.code(0)).ok();
    assert_eq!(instance.verify("nobody", &phone.code(0)).code, Some(1));
    assert_eq!(instance.run(&["status", "gone-user"]).code, Some(1));
}

#[test]
fn a_rename_that_would_hit_the_wrong_account_is_refused_and_says_what_to_do() {
    let instance = Instance::new();
    instance.leave_behind("gone-user");
    instance.import("nobody");
    let before = instance.snapshot();
    for (old, new, why) in [
        ("gone-user", "nobody", "`qrtotp account remove nobody`"),
        ("gone-user", "never-user", "usermod -l never-user gone-user"),
        ("nobody", "daemon", "usermod -l daemon nobody"),
        ("never-user", "daemon", "never-user has no record"),
    ] {
        let Ended { code, stderr, .. } = instance.run(&["account", "rename", old, new]);
        assert!(code == Some(1) && stderr.contains(why), "{old}: {code:?} {stderr}");
    }
    assert_eq!(instance.snapshot(), before);
}

#[test]
fn a_record_of_another_uid_is_found_and_bound_to_the_uid_that_its_user_has() {
    let instance = Instance::new();
    let phone = instance.leave_behind("nobody");
    assert_eq!(instance.verify("nobody", &phone.code(0)).code, Some(1));
    let line = instance.run(&["list"]).ok().stdout;
    assert!(line.contains("user has another uid"), "{line}");
    assert_eq!(instance.json(&["status", "nobody", "--json"])["stray"], "other_uid");
    for command in ["status nobody", "doctor"] {
        let said = instance.run(&command.split(' ').collect::<Vec<_>>()).stdout;
        assert!(said.contains("`qrtotp account adopt-uid nobody`"), "{said}");
    }
    let done = instance.run(&["account", "adopt-uid", "nobody"]).ok().stdout;
    assert!(done.contains("4711") && done.contains("65534"), "{done}");
    let again = instance.run(&["account", "adopt-uid", "nobody"]).ok().stdout;
    assert!(again.contains("nothing was changed"), "{again}");
    instance.verify("nobody", &phone.code(0)).ok();
    assert_eq!(instance.json(&["status", "nobody", "--json"])["stray"], serde_json::Value::Null);
    let unknown = instance.run(&["account", "adopt-uid", "never-user"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("no user never-user"), "{unknown:?}");
    let none = instance.run(&["account", "adopt-uid", "daemon"]);
    assert!(none.code == Some(1) && none.stderr.contains("daemon has no record"), "{none:?}");
}

#[test]
fn a_record_without_a_user_is_named_and_deleted_for_good_once_that_is_confirmed() {
    let instance = Instance::new();
    instance.leave_behind("gone-user");
    let line = instance.run(&["list"]).ok().stdout;
    assert!(line.contains("no such user"), "{line}");
    for command in ["status gone-user", "doctor"] {
        let said = instance.run(&command.split(' ').collect::<Vec<_>>()).stdout;
        assert!(said.contains("`qrtotp account remove gone-user`"), "{said}");
    }
    let remove = ["account", "remove", "gone-user"];
    for answer in ["", "\n", "n\n", "gone-user\n"] {
        let refused = instance.run_with(&remove, answer);
        assert!(refused.code == Some(1) && refused.stderr.contains("nothing was changed"), "{refused:?}");
    }
    instance.run(&["status", "gone-user"]).ok();
    instance.run_with(&remove, "y\n").ok();
    assert!(!instance.snapshot().keys().any(|path| path.ends_with("gone-user")));
    let again = instance.run(&["account", "remove", "gone-user", "--yes"]);
    assert!(again.code == Some(1) && again.stderr.contains("has no record"), "{again:?}");
}

#[test]
fn a_record_that_can_not_be_read_is_deleted_without_a_question_where_that_is_said() {
    let instance = Instance::new();
    instance.import("nobody");
    std::fs::write(instance.state().join("accounts/nobody/account.toml"), "no record").unwrap();
    assert_eq!(instance.run(&["status", "nobody"]).code, Some(2));
    instance.run(&["account", "remove", "nobody", "--yes"]).ok();
    instance.import("nobody");
}
