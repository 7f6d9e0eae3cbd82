//! Tokens: issued one by one or in bulk, with a code or without, and what is told about them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::Instance;
use serde_json::Value;

fn is_code(text: &str) -> bool {
    let group = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() == 9 && text.split('-').count() == 2 && text.split('-').all(group)
}

/// The tokens of the object that `--json` prints for many.
fn listed(json: &str) -> Vec<Value> {
    let object: Value = serde_json::from_str(json).unwrap();
    object["tokens"].as_array().unwrap().clone()
}

#[test]
fn a_code_is_shown_once_in_groups_of_four_with_what_to_do_with_it() {
    let instance = Instance::new();
    let shown = instance.run(&["token", "issue", "nobody", "--code"]).ok().stdout;
    let code = shown.lines().find_map(|line| line.strip_prefix("Code: ")).unwrap();
    assert!(is_code(code), "{shown}");
    assert!(shown.contains("good for 10 minutes") && shown.contains("over another channel"), "{shown}");
    let token = instance.json(&["token", "show", "nobody", "--json"]);
    assert_eq!(token["code"]["state"], "good");
    assert_eq!(token["code"]["expires"].as_i64().unwrap() - token["issued"].as_i64().unwrap(), 600);
    for arguments in [&["token", "show", "nobody"][..], &["token", "list"], &["token", "list", "--json"]] {
        let output = instance.run(arguments).ok().stdout;
        assert!(output.to_lowercase().contains("code") && !output.contains(code), "{output}");
    }
}

#[test]
fn a_code_is_good_no_longer_than_its_token() {
    let instance = Instance::new();
    let arguments = ["token", "issue", "--code", "--expires", "5m"];
    let shown = instance.run(&[&arguments[..], &["nobody"]].concat()).ok().stdout;
    assert!(shown.contains("good for 5 minutes"), "{shown}");
    let token = instance.json(&["token", "show", "nobody", "--json"]);
    assert_eq!(token["code"]["expires"], token["expires"]);
    let many =
        instance.run_with(&[&arguments[..], &["--from-file", "-"]].concat(), "daemon\nbin\n").ok().stdout;
    assert!(many.contains("good for 5 minutes"), "{many}");
}

#[test]
fn where_no_code_was_issued_nothing_is_said_of_one() {
    let instance = Instance::new();
    for names in ["", "no-such-user\n"] {
        let shown = instance.run_with(&["token", "issue", "--from-file", "-", "--code"], names).stdout;
        assert_eq!(shown, "");
    }
}

#[test]
fn a_token_without_a_code_says_nothing_of_codes() {
    let instance = Instance::new();
    let shown = instance.run(&["token", "issue", "nobody"]).ok().stdout;
    assert!(!shown.contains("Code:"), "{shown}");
    assert_eq!(instance.json(&["token", "show", "nobody", "--json"])["code"], Value::Null);
    let json = instance.json(&["token", "issue", "daemon", "--json"]);
    assert_eq!(
        (&json["user"], &json["code"], &json["error"]),
        (&"daemon".into(), &Value::Null, &Value::Null)
    );
}

#[test]
fn a_token_lives_a_day_or_as_long_as_the_configuration_or_the_option_says() {
    let instance = Instance::new();
    let lifetime = |user: &str, more: &[&str]| {
        let issued = instance.json(&[&["token", "issue", user, "--json"], more].concat());
        let token = instance.json(&["token", "show", user, "--json"]);
        assert_eq!(token["expires"], issued["expires"], "{token}");
        token["expires"].as_i64().unwrap() - token["issued"].as_i64().unwrap()
    };
    assert_eq!(lifetime("nobody", &[]), 24 * 3600);
    assert_eq!(lifetime("daemon", &["--expires", "30m"]), 1800);
    let configuration = std::fs::read_to_string(instance.path("qrtotp.toml")).unwrap();
    let longer = configuration.replace("[enroll]\n", "[enroll]\ntoken_lifetime = \"3h\"\n");
    std::fs::write(instance.path("qrtotp.toml"), longer).unwrap();
    instance.run(&["config", "apply"]).ok();
    assert_eq!(lifetime("bin", &[]), 3 * 3600);
    assert_eq!(lifetime("sys", &["--expires", "2d"]), 48 * 3600);
}

#[test]
fn tokens_for_the_names_in_a_file_come_as_one_object_and_one_failure_stops_no_other() {
    let instance = Instance::new();
    instance.run(&["token", "issue", "daemon"]).ok();
    let live = instance.json(&["token", "show", "daemon", "--json"])["id"].clone();
    let names = "# everybody\nnobody # desk 3\n\nno-such-user\ndaemon\nnobody\nbin\n";
    let arguments = ["token", "issue", "--from-file", "-", "--code", "--json", "--expires", "2h"];
    let issued = instance.run_with(&arguments, names);
    assert_eq!(issued.code, Some(1), "{issued:?}");
    let list = listed(&issued.stdout);
    let users: Vec<_> = list.iter().map(|item| item["user"].as_str().unwrap()).collect();
    assert_eq!(users, ["nobody", "no-such-user", "daemon", "bin"], "named twice, issued once");
    for item in [&list[0], &list[3]] {
        assert!(is_code(item["code"].as_str().unwrap()) && item["error"].is_null(), "{item}");
        assert_eq!(item["expires"].as_i64().unwrap() - item["code_expires"].as_i64().unwrap(), 7200 - 600);
    }
    assert!(list[1]["error"].as_str().unwrap().contains("no user no-such-user"), "{}", list[1]);
    assert!(list[2]["error"].as_str().unwrap().contains(live.as_str().unwrap()), "{}", list[2]);
    assert_eq!(instance.json(&["token", "show", "daemon", "--json"])["id"], live, "left alone");
}

#[test]
fn a_table_names_what_failed_on_standard_error_and_the_codes_on_standard_output() {
    let instance = Instance::new();
    std::fs::write(instance.path("names"), "nobody\nno-such-user\ndaemon\n").unwrap();
    let path = instance.path("names");
    let issued = instance.run(&["token", "issue", "--from-file", path.to_str().unwrap(), "--code"]);
    assert_eq!(issued.code, Some(1), "{issued:?}");
    let codes = issued.stdout.lines().filter(|line| line.split(" code ").nth(1).is_some_and(is_code));
    let users: Vec<_> = codes.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(users, ["nobody", "daemon"], "{issued:?}");
    assert!(
        issued.stderr.contains("no-such-user") && issued.stdout.contains("another channel"),
        "{issued:?}"
    );
}

#[test]
fn a_group_is_its_members_and_those_whose_primary_group_it_is() {
    let instance = Instance::new();
    let issued = instance.run(&["token", "issue", "--group", "daemon", "--json"]).ok();
    let list = listed(&issued.stdout);
    assert!(list.iter().any(|item| item["user"] == "daemon"), "{list:?}");
    let unknown = instance.run(&["token", "issue", "--group", "no-such-group"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("no-such-group"), "{unknown:?}");
}

const KEY: &str = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";
const OTHER_KEY: &str = "SHA256:RsUFG7zAviMBtUkv9XUrbYRu4xonVzD+uCZmD7H2ezM";

#[test]
fn a_token_is_bound_to_the_keys_that_are_named_and_shown_with_them() {
    let instance = Instance::new();
    let arguments = ["token", "issue", "nobody", "--key", KEY, "--key", OTHER_KEY, "--key", KEY];
    let shown = instance.run(&arguments).ok();
    assert!(shown.stdout.contains(&format!("bound to {KEY}\n  bound to {OTHER_KEY}\n")), "{shown:?}");
    assert!(shown.stdout.contains("presses Enter"), "{shown:?}");
    assert!(shown.stderr.contains("first_login = \"token\""), "nobody enrols at a login here: {shown:?}");
    let bound = serde_json::json!([KEY, OTHER_KEY]);
    assert_eq!(instance.json(&["token", "show", "nobody", "--json"])["keys"], bound);
    let output = instance.run(&["token", "show", "nobody"]).ok().stdout;
    assert!(output.contains(&format!("; bound to {KEY}, {OTHER_KEY}")), "{output}");
    let output = instance.run(&["token", "list"]).ok().stdout;
    assert!(output.contains("SSH KEYS\nnobody ") && output.ends_with("  2\n"), "{output}");
    instance.run(&["token", "issue", "daemon"]).ok();
    assert_eq!(instance.json(&["token", "show", "daemon", "--json"])["keys"], serde_json::json!([]));
}

#[test]
fn a_key_is_named_by_its_fingerprint_and_for_one_user_only() {
    let instance = Instance::new();
    for arguments in [
        &["nobody", "--key", &KEY[1..]][..],
        &["nobody", "--key", "ssh-ed25519 AAAA"],
        &["--group", "daemon", "--key", KEY],
        &["--from-file", "-", "--key", KEY],
    ] {
        assert_eq!(instance.run(&[&["token", "issue"], arguments].concat()).code, Some(2), "{arguments:?}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("SHA256:{n:02}{}", "A".repeat(41))).collect();
    let named = many.iter().flat_map(|key| ["--key", key]);
    let arguments: Vec<&str> = ["token", "issue", "nobody"].into_iter().chain(named).collect();
    let refused = instance.run(&arguments);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("33 keys are more than the 32"),
        "{refused:?}"
    );
    assert_eq!(instance.run(&["token", "show", "nobody"]).code, Some(1), "no token was issued");
}

#[test]
fn without_a_key_that_can_be_bound_no_token_is_issued() {
    let instance = Instance::new();
    let refused = instance.run(&["token", "issue", "nobody", "--keys-now"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in ["no key in", "authorized_keys", "--key SHA256:", "--code"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(instance.run(&["token", "show", "nobody"]).code, Some(1));
    instance.run(&["token", "issue", "nobody", "--keys-now", "--key", KEY]).ok();
}

/// Runs `qrtotp` with `keys` as the authorized_keys of the user `mail`, in a mount namespace of its own.
fn run_with_keys(instance: &Instance, keys: &str, arguments: &[&str]) -> instance::Ended {
    std::fs::write(instance.path("keys"), keys).unwrap();
    let script = "mount -t tmpfs -o mode=755 none /var/mail && install -d /var/mail/.ssh && \
                  install -m 644 \"$0\" /var/mail/.ssh/authorized_keys && exec \"$@\"";
    let keys = instance.path("keys");
    instance.run_under(&["unshare", "-m", "sh", "-c", script, keys.to_str().unwrap()], arguments)
}

const KEY_LINE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox mail@laptop\n";

#[test]
fn the_keys_that_let_a_user_in_now_are_bound_and_listed_and_restricted_ones_are_not() {
    let instance = Instance::new();
    instance.configure("defaults.first_login = \"token\"\n");
    let restricted = format!("restrict {}", KEY_LINE.replace("AAAAIIiW", "AAAAIIiX"));
    let keys = format!("# laptop\n{KEY_LINE}{restricted}");
    let issued = run_with_keys(&instance, &keys, &["token", "issue", "mail", "--keys-now"]).ok();
    assert!(issued.stdout.contains(&format!("  bound to {KEY} ssh-ed25519 mail@laptop\n")), "{issued:?}");
    assert!(
        issued.stdout.contains("  not bound: /var/mail/.ssh/authorized_keys line 3: SHA256:"),
        "{issued:?}"
    );
    assert!(issued.stdout.contains("restricted (restrict)"), "{issued:?}");
    assert_eq!(instance.json(&["token", "show", "mail", "--json"])["keys"], serde_json::json!([KEY]));
    instance.run(&["token", "revoke", "mail"]).ok();
    let json = run_with_keys(&instance, &keys, &["token", "issue", "mail", "--keys-now", "--json"]).ok();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let bound = serde_json::json!([{ "fingerprint": KEY, "type": "ssh-ed25519", "comment": "mail@laptop" }]);
    assert_eq!((&json["keys"], json["keys_left_out"].as_array().unwrap().len()), (&bound, 1), "{json}");
    instance.run(&["token", "revoke", "mail"]).ok();
    let refused = run_with_keys(&instance, &restricted, &["token", "issue", "mail", "--keys-now"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("restricted (restrict)"), "{refused:?}");
}

#[test]
fn of_several_accounts_those_with_a_device_are_skipped_by_name_and_those_without_a_key_are_refused() {
    let instance = Instance::new();
    instance.import("daemon");
    let group = ["token", "issue", "--group", "daemon", "--keys-now"];
    let skipped = instance.run(&group).ok();
    assert!(
        skipped.stdout.starts_with("daemon ") && skipped.stdout.contains("has a device already"),
        "{skipped:?}"
    );
    let json = listed(&instance.run(&[&group[..], &["--json"]].concat()).ok().stdout);
    assert!(
        json[0]["skipped"].is_string() && json[0]["token"].is_null() && json[0]["error"].is_null(),
        "{json:?}"
    );
    std::fs::write(instance.path("names"), "bin\nmail\ndaemon\n").unwrap();
    let names = instance.path("names");
    let arguments = ["token", "issue", "--from-file", names.to_str().unwrap(), "--keys-now"];
    let issued = run_with_keys(&instance, KEY_LINE, &arguments);
    assert_eq!(issued.code, Some(1), "{issued:?}");
    assert!(issued.stderr.contains("qrtotp: bin: no ssh key can be bound"), "{issued:?}");
    assert!(issued.stdout.contains(&format!("bound to {KEY}")), "{issued:?}");
    assert!(issued.stdout.contains("daemon               has a device already"), "{issued:?}");
}

#[test]
fn exactly_one_way_to_say_for_whom_is_accepted() {
    let instance = Instance::new();
    assert_eq!(instance.run(&["token", "issue"]).code, Some(2));
    assert_eq!(instance.run(&["token", "issue", "nobody", "--group", "daemon"]).code, Some(2));
    assert!(!instance.state().exists());
}
