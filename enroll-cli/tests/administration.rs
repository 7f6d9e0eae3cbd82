//! Commands of administrators, and their messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::{Ended, Instance, Phone};
use qrtotp_clock::Clock;
use qrtotp_values::{UnixTime, text::utc};

#[test]
fn init_makes_what_is_missing_once_and_enrols_nobody() {
    let instance = Instance::new();
    let made = instance.run(&["init"]).ok().stdout;
    for file in ["qrtotp.toml.applied", "seal.key", "state"] {
        assert!(made.contains(instance.path(file).to_str().unwrap()), "{file}: {made}");
    }
    assert!(instance.run(&["list"]).ok().stdout.trim().is_empty());
    let before = instance.snapshot();
    assert!(instance.run(&["init"]).ok().stdout.contains("nothing was changed"));
    assert_eq!(instance.snapshot(), before);
    instance.import("nobody");
    std::fs::remove_file(instance.path("seal.key")).unwrap();
    let lost = instance.run(&["init"]);
    assert!(lost.code == Some(2) && lost.stderr.contains("seal.key is missing"), "{lost:?}");
}

#[test]
fn an_import_that_is_not_strictly_right_is_refused_by_name_and_never_quoted() {
    let instance = Instance::new();
    let key = Phone::random().key();
    let weak = &key[..16];
    for (uri, why) in [
        (String::new(), "otpauth://totp/"),
        (format!("otpauth://hotp/x?secret={key}&counter=1"), "hotp"),
        (format!("otpauth://totp/x?secret={key}&secret={weak}"), "\"secret\" is given twice"),
        (format!("otpauth://totp/x?secret={key}&algorithm=MD5"), "unknown algorithm \"MD5\""),
        (format!("otpauth://totp/x?secret={key}&digits=9"), "9 digits"),
        (format!("otpauth://totp/x?secret={key}&period=5"), "period of 5 s"),
        (format!("otpauth://totp/x?secret={key}!"), "in the URI's secret"),
        (format!("otpauth://totp/x?secret={weak}"), "80 bits"),
        (format!("https://x/?secret={key}"), "otpauth://totp/"),
    ] {
        let refused = instance.run_with(&["import", "uri", "nobody"], &format!("{uri}\n"));
        assert_eq!(refused.code, Some(1), "{uri}: {refused:?}");
        assert!(refused.stderr.contains(why), "{why}: {refused:?}");
        assert!(!refused.stderr.contains(weak) && !refused.stdout.contains(weak), "{refused:?}");
    }
    let uri = format!("otpauth://totp/x?secret={weak}\r\n");
    instance.run_with(&["import", "uri", "nobody", "--weak"], &uri).ok();
}

#[test]
fn a_key_whose_end_did_not_come_is_not_imported_as_a_shorter_one() {
    let instance = Instance::new();
    // Of a longer key, but a key itself.
    let cut = "otpauth://totp/Tests:someone?secret=ABCDEFGHIJKLMNOPQRSTUVWXYA";
    let refused = instance.run_with(&["import", "uri", "nobody"], cut);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("in the middle of a line"), "{refused:?}");
    instance.run_with(&["import", "uri", "nobody"], &format!("{cut}\n")).ok();
    for (what, file) in [
        (&["google-authenticator", "daemon", "-"][..], "ABCDEFGHIJKLMNOPQRSTUVWXYQ\n\" TOTP_AUTH\n12345678"),
        (&["oath", "-"], "HOTP/T30 bin - 3132333435363738393031323334353637383930"),
    ] {
        let refused = instance.run_with(&[&["import"], what].concat(), file);
        assert!(refused.code == Some(1) && refused.stderr.contains("in the middle of a line"), "{refused:?}");
        let said = instance.run_with(&[&["import"], what].concat(), &format!("{file}\n")).ok().stdout;
        assert!(said.contains("delete them there") && !said.contains("shred"), "there is no file: {said}");
    }
}

#[test]
fn a_key_that_is_enrolled_already_is_refused() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    let again = instance.run_with(&["import", "uri", "nobody"], &phone.uri());
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains(&instance.credential("nobody")), "{again:?}");
}

#[test]
fn a_code_is_accepted_once_and_an_older_one_not_after_it() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    let (older, newer) = (phone.code(2), phone.code(1));
    let accepted = instance.verify("nobody", &newer).ok();
    assert_eq!(accepted.stdout, "accepted\n");
    for code in [&newer, &older] {
        let denied = instance.verify("nobody", code);
        assert_eq!((denied.code, denied.stdout.as_str()), (Some(1), "denied\n"));
    }
}

#[test]
fn a_revoked_device_is_denied_at_once() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    instance.verify("nobody", &phone.code(2)).ok();
    instance.run(&["revoke", "nobody"]).ok();
    assert_eq!(instance.verify("nobody", &phone.code(0)).code, Some(1));
    assert_eq!(instance.json(&["status", "nobody", "--json"])["standing"], "revoked");
}

struct At(UnixTime);

impl Clock for At {
    fn now(&self) -> UnixTime {
        self.0
    }
}

#[test]
fn only_devices_enrolled_before_the_day_are_revoked_or_reissued() {
    // Of 28 November's last second, and of the 29th's first.
    let (before, after) = (At(1_795_910_399), At(1_795_910_400));
    for verb in ["revoke", "reissue"] {
        let instance = Instance::new();
        instance.run(&["init"]).ok();
        instance.import_at("daemon", 1, &before); // its only device is old
        instance.import_at("bin", 2, &before); // an old one and a newer one
        let [new, other] =
            ["bin", "sys"].map(|user| instance.import_at(user, if user == "bin" { 2 } else { 3 }, &after));
        let run = |more: &[&str]| instance.run(&[&[verb, "--enrolled-before", "2026-11-29"], more].concat());
        let planned = run(&["--dry-run"]).ok().stdout;
        assert!(planned.ends_with(&format!("Would {verb} 2 devices of 2 accounts.\n")), "{planned}");
        assert!(!planned.contains("sys"), "{planned}");
        let done = run(&["--confirm", "2"]).ok().stdout;
        let line = |user: &str| done.lines().find(|line| line.starts_with(user)).unwrap();
        assert_eq!(line("daemon").contains(" code "), verb == "reissue", "{done}");
        assert!(!line("bin").contains(" code "), "a newer device is left: {done}");
        for (user, standing, devices) in
            [("daemon", "revoked", 0), ("bin", "enrolled", 1), ("sys", "enrolled", 1)]
        {
            let status = instance.json(&["status", user, "--json"]);
            assert_eq!(status["standing"], standing, "{user}");
            assert_eq!(status["credentials"].as_array().unwrap().len(), devices, "{user}");
        }
        for (user, phone) in [("bin", &new), ("sys", &other)] {
            instance.verify(user, &phone.code(0)).ok();
        }
        assert!(run(&["--confirm", "2"]).ok().stdout.contains("nothing was changed"));
    }
    let refused = Instance::new().run(&["revoke", "--enrolled-before", "yesterday", "--dry-run"]);
    assert!(refused.code == Some(2), "{refused:?}");
}

#[test]
fn revoking_one_of_several_devices_needs_its_id() {
    let instance = Instance::new();
    let first = instance.import("nobody");
    let id = instance.credential("nobody");
    let second = instance.import("nobody");
    for command in [&["revoke", "nobody"][..], &["device", "rename", "nobody", "--label", "x"]] {
        let refused = instance.run(command);
        assert!(refused.code == Some(1) && refused.stderr.contains(&id), "{refused:?}");
        assert!(!refused.stderr.contains("--all"), "only one of the two has such an option: {refused:?}");
    }
    assert_eq!(instance.run(&["revoke", "nobody", "--credential", "c-000000"]).code, Some(1));
    instance.run(&["revoke", "nobody", "--credential", &id]).ok();
    assert_eq!(instance.verify("nobody", &first.code(0)).code, Some(1));
    instance.verify("nobody", &second.code(0)).ok();
}

#[test]
fn an_unknown_user_is_named_and_refused() {
    let instance = Instance::new();
    instance.import("nobody");
    for arguments in [
        &["revoke", "no-such-user"][..],
        &["status", "no-such-user"],
        &["enroll", "no-such-user", "--qr", "none"],
    ] {
        let refused = instance.run(arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("there is no user no-such-user"), "{refused:?}");
    }
}

#[test]
fn the_devices_of_a_user_who_is_gone_can_be_seen_and_revoked() {
    let instance = Instance::new();
    instance.import("nobody");
    instance.leave_behind("gone-user");
    let status = instance.run(&["status", "gone-user"]).ok().stdout;
    assert!(status.contains("uid 4711") && status.contains("knows no user"), "{status}");
    instance.run(&["revoke", "gone-user"]).ok();
    assert_eq!(instance.json(&["status", "gone-user", "--json"])["standing"], "revoked");
}

#[test]
fn a_lock_is_shown_and_lifted() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    for _ in 0..5 {
        instance.verify("nobody", &phone.wrong_code());
    }
    let lock = &instance.json(&["status", "nobody", "--json"])["lock"];
    assert_eq!(lock["failures"], 5);
    instance.run(&["unlock", "nobody"]).ok();
    assert_eq!(instance.json(&["status", "nobody", "--json"])["lock"]["failures"], 0);
    instance.verify("nobody", &phone.code(0)).ok();
}

#[test]
fn a_place_is_made_familiar_listed_and_forgotten() {
    let instance = Instance::new();
    instance.import("nobody");
    let list = || instance.run(&["place", "list", "nobody"]).ok().stdout;
    assert_eq!(list(), "nobody has no familiar place.\n");
    instance.run(&["unlock", "nobody", "--from", "203.0.113.0/24"]).ok();
    let shown = list();
    let place = shown.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(place.len() == 16 && shown.starts_with("PLACE             FAMILIAR  UNTIL "), "{shown}");
    assert!(shown.contains(&format!("\n{place}  yes       20")), "{shown}");
    assert!(!list().contains("203.0.113"), "only a digest is stored");
    assert_eq!(instance.json(&["status", "nobody", "--json"])["familiar_places"], 1);
    for bad in ["203.0.0.0/16", "home"] {
        let refused = instance.run(&["unlock", "nobody", "--from", bad]);
        assert!(refused.code == Some(2) && refused.stderr.contains("is no place"), "{refused:?}");
    }
    let unknown = instance.run(&["place", "forget", "nobody", "198.51.100.1"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("place list nobody"), "{unknown:?}");
    instance.run(&["place", "forget", "nobody", &place]).ok();
    assert_eq!(list(), "nobody has no familiar place.\n");
}

#[test]
fn tokens_go_from_issued_to_consumed_or_revoked() {
    let instance = Instance::new();
    let state =
        || instance.json(&["token", "show", "nobody", "--json"])["state"].as_str().unwrap().to_owned();
    instance.run(&["token", "issue", "nobody", "--expires", "2h"]).ok();
    let token = instance.json(&["token", "show", "nobody", "--json"]);
    assert_eq!(token["expires"].as_i64().unwrap() - token["issued"].as_i64().unwrap(), 7200);
    assert_eq!(state(), "issued");
    let again = instance.run(&["token", "issue", "nobody"]);
    assert!(again.code == Some(1) && again.stderr.contains("token revoke nobody"), "{again:?}");
    instance.run(&["token", "revoke", "nobody"]).ok();
    assert_eq!(state(), "revoked");
    let twice = instance.run(&["token", "revoke", "nobody"]);
    assert!(twice.code == Some(1) && twice.stderr.contains("`qrtotp token issue nobody`"), "{twice:?}");
    assert!(!twice.stderr.contains("ask an administrator"), "root is one: {twice:?}");
    instance.run(&["token", "issue", "nobody"]).ok();
    instance.enroll("nobody");
    assert_eq!(state(), "consumed");
    assert_eq!(instance.json(&["token", "list", "--json"])["tokens"][0]["user"], "nobody");
    assert!(instance.run(&["token", "list"]).ok().stdout.contains("consumed"));
    assert_eq!(instance.run(&["token", "show", "daemon"]).code, Some(1));
}

#[test]
fn a_token_whose_code_was_not_shown_is_an_error_that_says_how_to_get_another_one() {
    let instance = Instance::new();
    instance.import("nobody");
    instance.import("bin");
    for command in [
        &["token", "issue", "daemon", "--code"][..],
        &["reissue", "nobody"],
        &["reissue", "--everyone", "--confirm", "1"],
    ] {
        let ended = instance.run_into_nothing(command);
        assert!(ended.code == Some(2) && ended.stderr.contains("not shown"), "{ended:?}");
        assert!(ended.stderr.contains("`qrtotp token revoke"), "{ended:?}");
    }
}

#[test]
fn if_nobody_is_meant_nothing_is_said_to_be_done() {
    let instance = Instance::new();
    instance.run(&["init"]).ok();
    let none = instance.run_with(&["token", "issue", "--from-file", "-"], "# nobody\n");
    assert!(none.code == Some(1) && none.stderr.contains("no token was issued"), "{none:?}");
    let json = instance.run_with(&["token", "issue", "--from-file", "-", "--json"], "");
    let said: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, said["result"].as_str()), (Some(1), Some("refused")), "one object: {json:?}");
    let gone = instance.run(&["account", "remove", "nobody"]);
    assert!(gone.code == Some(1) && !gone.stdout.contains("[y/N]"), "{gone:?}");
    let empty = instance.run(&["enroll", "", "--qr", "none"]);
    assert!(empty.code == Some(2) && empty.stderr.contains("is empty"), "{empty:?}");
}

#[test]
fn verify_says_why_a_code_is_refused() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    instance.verify("nobody", &phone.code(0)).ok();
    for (answer, why) in [
        (phone.code(0), "replayed_code: the code, or a later one, was accepted before"),
        ("12345".to_owned(), "malformed: that is not the form of a code"),
        (String::new(), "malformed: "),
    ] {
        let refused = instance.verify("nobody", &answer);
        assert!(refused.code == Some(1) && refused.stderr.contains(why), "{refused:?}");
    }
    instance.configure("[defaults]\nfirst_login = \"enroll\"\n");
    let refused = instance.verify("daemon", "");
    assert!(refused.stderr.contains("not_enrolled") && !refused.stderr.contains("password"), "{refused:?}");
}

#[test]
fn a_label_with_combining_accents_is_shown_as_it_was_given() {
    let instance = Instance::new();
    instance.import("nobody");
    let said = instance.run(&["device", "rename", "nobody", "--label", "e\u{301}te\u{301}"]).ok().stdout;
    assert!(said.contains("\"e\u{301}te\u{301}\""), "{said}");
}

#[test]
fn a_damaged_record_is_named_and_hides_no_other() {
    let instance = Instance::new();
    instance.import("nobody");
    instance.import("daemon");
    std::fs::write(instance.state().join("accounts/daemon/account.toml"), "x").unwrap();
    let listed = instance.run(&["list"]);
    assert_eq!(listed.code, Some(2));
    assert!(listed.stdout.contains("nobody") && !listed.stdout.contains("daemon"), "{listed:?}");
    assert!(listed.stderr.contains("daemon"), "{listed:?}");
    let json = instance.run(&["list", "--json"]);
    assert_eq!((json.code, json.stdout.lines().count()), (Some(2), 1), "{json:?}");
}

#[test]
fn every_account_is_a_line_with_standing_devices_and_last_use() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    instance.import("daemon");
    instance.import("bin");
    instance.verify("nobody", &phone.code(0)).ok();
    instance.run(&["revoke", "daemon"]).ok();

    let listed = instance.run(&["list"]).ok().stdout;
    let lines: Vec<&str> = listed.lines().collect();
    let [header, bin, daemon, nobody] = lines[..] else { panic!("{listed}") };
    let used = instance.json(&["status", "nobody", "--json"])["last_used"].as_i64().unwrap();
    let begin = |line: &str, words: &[&str]| line.split_whitespace().collect::<Vec<_>>().starts_with(words);
    assert!(begin(header, &["USER", "STATUS", "DEVICES", "SSH", "KEYS", "LAST", "USED"]), "{header}");
    assert!(begin(bin, &["bin", "enrolled", "1", "0", "never"]), "{bin}");
    assert!(begin(daemon, &["daemon", "revoked", "0", "0", "never"]), "{daemon}");
    assert!(begin(nobody, &["nobody", "enrolled", "1", "0"]), "{nobody}");
    assert_eq!(nobody.find(&utc(used)), header.find("LAST USED"), "{listed}");

    assert_eq!(instance.run(&["status"]).ok().stdout, listed);
    for line in instance.run(&["list", "--json"]).ok().stdout.lines() {
        let account: serde_json::Value = serde_json::from_str(line).unwrap();
        let user = account["user"].as_str().unwrap();
        assert_eq!(account, instance.json(&["status", user, "--json"]));
    }
}

#[test]
fn whatever_prints_json_prints_objects_of_one_version() {
    let instance = Instance::new();
    let _ = instance.import("nobody");
    instance.run(&["token", "issue", "daemon"]).ok();
    for arguments in [
        &["status", "nobody"][..],
        &["status"],
        &["list"],
        &["device", "list"],
        &["token", "list"],
        &["token", "show", "daemon"],
        &["token", "show", "no-such-user"],
        &["token", "issue", "daemon"],
        &["token", "issue", "--group", "daemon"],
        &["config", "explain", "--user", "nobody"],
        &["reissue", "--everyone", "--dry-run"],
        &["revoke", "--everyone", "--dry-run"],
        &["setup", "no-such-service"],
        &["doctor"],
    ] {
        let stdout = instance.run(&[arguments, &["--json"]].concat()).stdout;
        let objects: Result<Vec<serde_json::Value>, _> =
            serde_json::Deserializer::from_str(&stdout).into_iter().collect();
        let objects = objects.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"));
        let versions = objects.iter().all(|object| object["version"] == 1);
        assert!(!objects.is_empty() && versions, "{arguments:?}: {stdout}");
    }
}

#[test]
fn looking_never_makes_a_store() {
    let instance = Instance::new();
    for arguments in [&["status"][..], &["list"], &["token", "list"], &["status", "nobody"]] {
        let refused = instance.run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}");
        // Nobody who has just installed it is sent to look for a backup.
        assert!(refused.stderr.contains("there is no store yet"), "{refused:?}");
        assert!(refused.stderr.contains("`qrtotp enroll USER`"), "{refused:?}");
    }
    assert_eq!(instance.verify("nobody", "123456").code, Some(2));
    instance.run(&["config", "check"]).ok();
    assert!(!instance.state().exists() && !instance.path("seal.key").exists());
    std::fs::create_dir(instance.state()).unwrap();
    assert!(instance.run(&["status"]).stderr.contains("there is no store yet"), "as the package makes it");
    std::fs::write(instance.state().join("store.toml"), "").unwrap();
    assert!(instance.run(&["status"]).stderr.contains("seal.key is missing; restore it"));
}

#[test]
fn config_check_tells_fine_from_dangerous_from_unusable() {
    let instance = Instance::new();
    let fresh = instance.run(&["config", "check"]).ok();
    assert!(fresh.stdout.contains("there is no store yet"), "{fresh:?}");
    instance.import("nobody");
    let made = instance.run(&["config", "check"]).ok();
    assert!(!made.stdout.contains("danger"), "{made:?}");

    std::fs::rename(instance.path("seal.key"), instance.path("aside")).unwrap();
    let lost = instance.run(&["config", "check"]);
    assert!(lost.code == Some(1) && lost.stdout.contains("danger: state_dir"), "{lost:?}");
    std::fs::rename(instance.path("aside"), instance.path("seal.key")).unwrap();

    instance.configure("surprise = 1\n");
    let unusable = instance.run(&["config", "check"]);
    assert!(unusable.code == Some(2) && unusable.stderr.contains("line 2"), "{unusable:?}");

    instance.configure("defaults.require = \"nothing\"\n");
    let dangerous = instance.run(&["config", "check"]);
    assert!(
        dangerous.code == Some(1) && dangerous.stdout.contains("danger: defaults.require"),
        "{dangerous:?}"
    );
}

#[test]
fn where_no_code_is_required_verify_does_not_say_accepted() {
    let instance = Instance::new();
    let phone = instance.import("nobody");
    instance.configure("defaults.require = \"nothing\"\n");
    let refused = instance.run(&["config", "apply"]);
    assert!(refused.code == Some(1) && refused.stdout.contains("danger: defaults.require"), "{refused:?}");
    instance.run(&["config", "apply", "--force", "a test"]).ok();
    let Ended { code, stdout, .. } = instance.verify("nobody", &phone.code(0));
    assert_eq!((code, stdout.as_str()), (Some(1), "ignored\n"));
}

#[test]
fn no_output_but_the_offer_ever_holds_the_key() {
    let instance = Instance::new();
    let (enrolled, _) = instance.enroll("nobody");
    let imported = instance.import("daemon");
    instance.run(&["token", "issue", "daemon"]).ok();
    for arguments in [
        &["status"][..],
        &["list"],
        &["list", "--json"],
        &["status", "nobody"],
        &["status", "nobody", "--json"],
        &["token", "list", "--json"],
        &["token", "show", "daemon"],
        &["config", "check"],
        &["unlock", "daemon"],
        &["revoke", "daemon", "--all"],
    ] {
        let Ended { stdout, stderr, .. } = instance.run(arguments);
        for key in [enrolled.key(), imported.key()] {
            assert!(!stdout.contains(&key) && !stderr.contains(&key), "{arguments:?}");
        }
    }
}

#[test]
fn codes_and_keys_in_arguments_are_refused_and_not_repeated() {
    let instance = Instance::new();
    let phone = Phone::random();
    let uri = phone.uri();
    for arguments in [
        &["verify", "nobody", "271828"][..],
        &["unlock", "nobody", "--code=271828"],
        &["271828"],
        &["import", "uri", "nobody", uri.trim()],
        &["import", uri.trim()],
    ] {
        let refused = instance.run(arguments);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        let text = format!("{}{}", refused.stdout, refused.stderr);
        assert!(!text.contains("271828") && !text.contains(&phone.key()), "{text}");
    }
}

#[test]
fn a_mistake_in_the_arguments_is_an_object_with_json_and_never_repeats_them() {
    let ended = Instance::new().run(&["status", "--json", "nobody", "123456"]);
    let object: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(ended.code == Some(2) && object["version"] == 1 && object["result"] == "error", "{ended:?}");
    assert!(!ended.stdout.contains("123456") && !ended.stderr.contains("123456"), "{ended:?}");
}
