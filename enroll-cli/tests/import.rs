//! `qrtotp import` on a private instance: its messages, and that a dry run predicts the real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::{Ended, Instance};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Writes it as root's alone.
fn file(instance: &Instance, name: &str, text: &str) -> String {
    let path = instance.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn key(n: usize) -> String {
    format!("{n:040x}")
}

fn oath(instance: &Instance, file: &str, more: &[&str]) -> Ended {
    instance.run(&[&["import", "oath", file], more].concat())
}

#[test]
fn a_dry_run_refuses_the_lines_that_the_import_would_refuse() {
    let instance = Instance::new();
    // Three devices are the most here.
    let owners = ["nobody", "nobody", "daemon", "nobody", "nobody"];
    let keys = [1, 1, 9, 2, 3].map(key);
    let lines: Vec<String> =
        owners.iter().zip(&keys).map(|(owner, key)| format!("HOTP/T30 {owner} - {key}\n")).collect();
    let file = file(&instance, "users.oath", &format!("{}HOTP/T30 nobody - {}\n", lines.concat(), key(4)));
    let counted = |ended: &Ended| ended.stdout.contains("4, refused: 2");
    for _ in ["without a store", "with one"] {
        let dry = oath(&instance, &file, &["--dry-run"]);
        assert!(dry.code == Some(1) && counted(&dry), "{dry:?}");
        assert!(dry.stderr.contains("line 2, nobody: an earlier line has the same key"), "{dry:?}");
        assert!(dry.stderr.contains("line 6, nobody: 3 before it in the file and 0 enrolled"), "{dry:?}");
        if !instance.state().exists() {
            instance.import("bin");
        }
    }
    let done = oath(&instance, &file, &[]);
    assert!(done.code == Some(1) && counted(&done), "{done:?}");
    assert!(done.stderr.contains("line 2, nobody") && done.stderr.contains("line 6, nobody"), "{done:?}");
}

#[test]
fn a_users_oath_of_thousands_is_read_and_a_file_that_can_not_be_one_is_not() {
    let instance = Instance::new();
    let many: String = (0..2000).map(|n| format!("HOTP/T30 gone{n} - {}\n", key(n))).collect();
    assert!(many.len() > 64 * 1024);
    let text = format!("{many}HOTP/T30 nobody - {}\n", key(9999));
    let users = file(&instance, "users.oath", &text);
    let done = oath(&instance, &users, &["--dry-run"]);
    assert!(done.stdout.contains("1, refused: 2000"), "{:?}", done.stderr.lines().next());
    let read = instance.run_with(&["import", "oath", "-", "--dry-run"], &text);
    assert!(read.stdout.contains("1, refused: 2000"), "{:?}", read.stderr.lines().next());

    let google = ["import", "google-authenticator", "nobody"];
    let path = file(&instance, "google", &"A".repeat(64 * 1024 + 1));
    let refused = instance.run(&[&google[..], &[&path]].concat());
    assert!(refused.code == Some(1) && refused.stderr.contains("more than 64 KiB"), "{refused:?}");
    let path = instance.path("huge");
    fs::File::create(&path).unwrap().set_len(16 * 1024 * 1024 + 1).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = oath(&instance, path.to_str().unwrap(), &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("more than 16384 KiB"), "{refused:?}");
}

#[test]
fn what_was_refused_is_not_to_be_deleted_with_what_was_imported() {
    let instance = Instance::new();
    let good = format!("HOTP/T30 nobody - {}\n", key(1));
    let users = file(&instance, "users.oath", &format!("{good}HOTP nobody - {}\n", key(2)));
    let done = oath(&instance, &users, &[]);
    assert!(done.stdout.contains("beside those that were refused"), "{done:?}");
    assert!(done.stdout.contains("again with --shred, which overwrites the imported ones"), "{done:?}");
    let text = format!("HOTP/T30 bin - {}\nHOTP bin - {}\n", key(4), key(5));
    let read = instance.run_with(&["import", "oath", "-"], &text);
    assert!(read.stdout.contains("delete them there") && !read.stdout.contains("shred"), "{read:?}");

    let again = oath(&instance, &users, &[]);
    assert!(again.stderr.contains("if it was imported from here before, nothing is left to do"), "{again:?}");
    let users = file(&instance, "users.oath", &format!("HOTP/T30 daemon - {}\n", key(3)));
    let done = oath(&instance, &users, &[]).ok();
    assert!(done.stdout.contains("again with --shred, which overwrites and deletes the file"), "{done:?}");
    let again = oath(&instance, &users, &["--shred"]).ok();
    assert!(again.stdout.contains("lines imported: 0, enrolled already: 1, refused: 0"), "{again:?}");
    assert!(!instance.path("users.oath").exists());
}

#[test]
fn a_pattern_that_is_no_path_from_the_root_is_refused_and_not_taken_for_nobody_s() {
    let instance = Instance::new();
    for pattern in ["google", "", "./~/google", "$HOME/google"] {
        for whose in ["nobody", "--all-homes"] {
            let refused = instance.run(&["import", "google-authenticator", whose, "--path", pattern]);
            assert!(
                refused.code == Some(2) && refused.stderr.contains("give it from /, ~ or ${HOME}"),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_line_that_nobody_knows_is_refused_with_what_to_do() {
    let instance = Instance::new();
    for line in ["\" NEWER_OPTION 1", "1234567"] {
        let text = format!("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n\" TOTP_AUTH\n{line}\n");
        let refused = instance.run_with(&["import", "google-authenticator", "nobody", "-"], &text);
        assert!(refused.stderr.contains("standard input, line 3: "), "{refused:?}");
        assert!(refused.stderr.contains("take it out"), "{refused:?}");
    }
}

#[test]
fn a_users_oath_that_gives_one_key_to_two_users_has_the_second_refused() {
    let instance = Instance::new();
    let text = format!("HOTP/T30 nobody - {0}\nHOTP/T30 bin - {0}00\nHOTP/T30 nobody - {0}\n", key(1));
    for more in [&["--dry-run"][..], &[]] {
        let ended = instance.run_with(&[&["import", "oath", "-"], more].concat(), &text);
        assert!(ended.stderr.contains("line 2, bin: it has the same key as nobody's in line 1"), "{ended:?}");
        assert!(
            ended.stderr.contains("line 3, nobody: ") && ended.stdout.contains("1, refused: 2"),
            "{ended:?}"
        );
    }
    assert_eq!(devices(&instance, "bin"), 0);
}

#[test]
fn a_users_oath_is_read_with_any_line_ends_and_called_utf_16_if_it_is_that() {
    let instance = Instance::new();
    let text = format!("HOTP/T30 nobody - {}\rHOTP/T30 bin - {}\r", key(1), key(2));
    let read = instance.run_with(&["import", "oath", "-", "--dry-run"], &text).ok();
    assert!(read.stdout.contains("from line 2.") && read.stdout.contains("2, refused: 0"), "{read:?}");
    let path = instance.path("wide");
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, wide).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = oath(&instance, path.to_str().unwrap(), &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("UTF-16: save it as UTF-8"), "{refused:?}");
}

#[test]
fn no_message_shows_a_key_wherever_in_the_file_it_is() {
    const KEY: &str = "D5APZEW2EQLJI5IJPHXGZ5MC6LK5PUUO";
    const HEX: &str = "1f40fc92da241694750979ee6cf582f2d5d7d28e";
    const BASE64: &str = "H0D8ktokFpR1CXnubPWC8tXX0o4=";
    let instance = Instance::new();
    let package = |key: &str| {
        format!(
            "<KeyContainer><KeyPackage><Key Id=\"1\" Algorithm=\"x:totp\">{key}</Key></KeyPackage></KeyContainer>\n"
        )
    };
    let data = format!("<Data><Secret><PlainValue>{BASE64}</PlainValue></Secret></Data>");
    for (format, text) in [
        ("csv", format!("alice|{KEY}\n")),
        ("csv", format!("alice;{KEY};x\n")),
        ("csv", format!("'{KEY},alice,totp\n")),
        ("csv", format!("{KEY}\u{200b},alice,totp\n")),
        ("csv", format!("{{\"Seed\":\"{KEY}\",x\n")),
        ("csv", format!("HOTP/T30 alice - {HEX}\n")),
        ("csv", package(&data)),
        ("csv", format!("user,secret\nalice|{KEY},{KEY}\n")),
        ("oath", format!("alice {HEX}\n")),
        ("oath", format!("HOTP/T30 {HEX} - alice\n")),
        ("pskc", package(&format!("{data}<UserId>{KEY}</UserId>"))),
        ("json", format!(r#"[{{"secret":"{KEY}","label":"{KEY}","type":"TOTP"}}]"#)),
    ] {
        for more in [
            &["--dry-run"][..],
            &["--dry-run", "--json"],
            &["--dry-run", "--user", "nobody"],
            &["--dry-run", "--user-from", "label"],
        ] {
            if format == "oath" && more.len() > 2 {
                continue;
            }
            let ended = instance.run_with(&[&["import", format, "-"][..], more].concat(), &text);
            let said = format!("{}{}", ended.stdout, ended.stderr).to_uppercase();
            let shows = [KEY, HEX, BASE64].iter().any(|key| said.contains(&key.to_uppercase()[..12]));
            assert!(!shows && !said.is_empty(), "{format} {more:?} {text}: {ended:?}");
        }
    }
    instance
        .run_with(
            &["import", "json", "-", "--user", "nobody"],
            &format!(r#"[{{"secret":"{KEY}","label":"{KEY}","type":"TOTP"}}]"#),
        )
        .ok();
    let listed = instance.run(&["list", "--json"]).stdout;
    assert!(!listed.contains(KEY), "{listed}");
}

const KEYS: [&str; 3] = [
    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU",
];

fn devices(instance: &Instance, user: &str) -> usize {
    let listed = instance.run(&["list", "--json"]).stdout;
    let line = listed.lines().find(|line| line.contains(&format!("\"{user}\"")));
    line.map_or(0, |line| line.matches("\"id\":\"c-").count())
}

#[test]
fn several_uris_for_one_user_all_become_devices_or_none_does_and_each_is_named() {
    let instance = Instance::new();
    let uri = |n: usize| format!("otpauth://totp/I:key{n}?secret={}\n", KEYS[n]);
    let bad = format!("{}otpauth://totp/I:steam?secret={}&encoder=steam\n{}", uri(0), KEYS[2], uri(1));
    let refused = instance.run_with(&["import", "uri", "nobody"], &bad);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for why in [
        "line 1 (I:key0), nobody: not imported, because line 2",
        "line 2, nobody: the URI has an \"encoder\"",
        "line 3 (I:key1)",
    ] {
        assert!(refused.stderr.contains(why), "{why}: {refused:?}");
    }
    assert!(!instance.state().exists(), "a refused import made a store");
    let twice = instance.run_with(&["import", "uri", "nobody"], &format!("{}{}", uri(0), uri(0)));
    assert!(twice.code == Some(1) && twice.stderr.contains("same key"), "{twice:?}");
    let done = instance
        .run_with(&["import", "uri", "nobody"], &format!("\u{feff}{}\nQR-Code:{}", uri(0), uri(1)))
        .ok();
    assert!(done.stdout.contains("2 imported, 0 refused"), "{done:?}");
    assert_eq!(devices(&instance, "nobody"), 2);
}

#[test]
fn a_weak_key_is_refused_with_the_option_that_takes_it() {
    let instance = Instance::new();
    let refused =
        instance.run_with(&["import", "uri", "nobody"], "otpauth://totp/a?secret=JBSWY3DPEHPK3PXP\n");
    assert!(refused.code == Some(1) && refused.stderr.contains("--weak"), "{refused:?}");
}

#[test]
fn of_a_table_each_account_gets_its_keys_and_each_entry_is_told_with_json_too() {
    let instance = Instance::new();
    let table = format!(
        "user,name,seed,digits\nnobody,one,{},8\ndaemon,two,{},6\ndaemon,three,xx!,6\nno-such-user,four,{},6\n",
        KEYS[0], KEYS[1], KEYS[2]
    );
    let file = file(&instance, "tokens.csv", &table);
    for (more, result) in [(&["--dry-run"][..], "would_import"), (&[], "imported")] {
        let output = instance.run(&[&["import", "csv", &file, "--json"], more].concat());
        assert_eq!(output.code, Some(1), "{output:?}");
        let lines: Vec<serde_json::Value> =
            output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4, "{output:?}");
        let of =
            |from: &str| lines.iter().find(|line| line["from"].as_str().unwrap().starts_with(from)).unwrap();
        assert_eq!(
            (of("line 2")["result"].as_str(), of("line 2")["digits"].as_u64()),
            (Some(result), Some(8))
        );
        assert!(of("line 2")["notes"][0].as_str().unwrap().contains("only the next one"));
        assert!(of("line 3")["reason"].as_str().unwrap().contains("because line 4"));
        assert!(of("line 4")["reason"].as_str().unwrap().contains("character 3"));
        assert!(of("line 5")["reason"].as_str().unwrap().contains("no user"));
    }
    assert_eq!([devices(&instance, "nobody"), devices(&instance, "daemon")], [1, 0]);
}

#[test]
fn an_apps_export_is_imported_by_its_labels_or_one_entry_of_it_for_a_user() {
    let instance = Instance::new();
    let entry = |label: &str, key: &str| {
        format!(
            r#"{{"secret":"{key}","issuer":"I","label":"{label}","digits":6,"type":"TOTP","algorithm":"SHA1","period":30}}"#
        )
    };
    let export = format!("[{},{}]", entry("nobody@web1", KEYS[0]), entry("bin", KEYS[1]));
    let unknown = instance.run_with(&["import", "json", "-"], &export);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("--user-from label"), "{unknown:?}");
    instance.run_with(&["import", "json", "-", "--user-from", "label"], &export).ok();
    assert_eq!([devices(&instance, "nobody"), devices(&instance, "bin")], [1, 1]);
    instance.run_with(&["import", "json", "-", "--user", "daemon", "--entry", "2", "--unused"], &export).ok();
    assert_eq!(devices(&instance, "daemon"), 1);
    let encrypted = instance.run_with(&["import", "json", "-", "--user", "daemon"], r#"{"db":"x"}"#);
    assert!(encrypted.code == Some(1) && encrypted.stderr.contains("encrypted"), "{encrypted:?}");
}

#[test]
fn of_uris_by_label_a_refused_one_is_named_by_its_reason_and_keeps_back_the_others_of_its_account() {
    let instance = Instance::new();
    let [one, two, three] = KEYS;
    let uris = format!(
        "otpauth://totp/I:nobody?secret={one}\notpauth://hotp/I:nobody@web?secret={two}\n\
         otpauth://totp/I:bin?secret={three}\notpauth://steam/{two}?secret=\n"
    );
    let output = instance.run_with(&["import", "uri", "--user-from", "label"], &uris);
    assert!(output.code == Some(1) && output.stdout.contains("1 imported, 3 refused"), "{output:?}");
    for why in
        ["line 1 (I:nobody), nobody: not imported, because line 2", "line 2, nobody: this is a counter-based"]
    {
        assert!(output.stderr.contains(why), "{why}: {output:?}");
    }
    assert!(output.stderr.contains("line 4: this key URI is of an unknown type"), "{output:?}");
    assert!(!output.stderr.contains(&two[..8]), "a label of a damaged URI is shown: {output:?}");
    assert_eq!([devices(&instance, "nobody"), devices(&instance, "bin")], [0, 1]);
}

#[test]
fn a_bad_file_of_each_kind_is_refused_by_name_and_nothing_is_changed() {
    let instance = Instance::new();
    let key = KEYS[0];
    let pskc = |secret: &str| {
        format!(
            "<KeyContainer><KeyPackage><DeviceInfo><SerialNo>T1</SerialNo></DeviceInfo><Key Algorithm=\"x:totp\"><Data><Secret>\
             {secret}</Secret></Data></Key></KeyPackage></KeyContainer>"
        )
    };
    for (kind, text, why) in [
        (
            "otpauth-migration",
            "otpauth-migration://offline?data=CgU%3D\n".into(),
            "line 1: this is no export",
        ),
        ("otpauth-migration", format!("otpauth://totp/a?secret={key}\n"), "line 1: this is a key URI"),
        ("json", r#"{"services":[],"servicesEncrypted":"x"}"#.into(), "encrypted"),
        (
            "json",
            format!(r#"[{{"secret":"{key}","label":"x","type":"STEAM"}}]"#),
            "entry 1 (x), nobody: it is of a kind",
        ),
        ("csv", format!("T1,{key},totp,6,30,MD5\n"), "line 1 (T1), nobody: unknown algorithm \"MD5\""),
        ("csv", format!("name,secret\nx,{key}\ny,{}9\n", KEYS[1]), "line 3 (y), nobody: character 33"),
        ("pskc", pskc("<EncryptedValue/>"), "entry 1 (T1), nobody: the key is encrypted"),
        ("pskc", pskc("<PlainValue>!</PlainValue>"), "entry 1 (T1), nobody: a key that is not base64"),
        ("pskc", "<KeyContainer>".into(), "the file is not XML"),
    ] {
        let refused = instance.run_with(&["import", kind, "-", "--user", "nobody"], &text);
        assert!(refused.code == Some(1) && refused.stderr.contains(why), "{kind}, {why}: {refused:?}");
        assert!(!format!("{refused:?}").contains(&key[..8]), "{kind} shows the key: {refused:?}");
        assert!(!instance.state().exists(), "{kind}: a refused import made a store");
        assert!(!refused.stdout.contains("still readable"), "{kind}: nothing was imported: {refused:?}");
    }
    let good = "<PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue>";
    let done = instance.run_with(&["import", "pskc", "-", "--user", "nobody"], &pskc(good)).ok();
    assert!(done.stdout.contains("still readable where they came from"), "{done:?}");
    assert_eq!(devices(&instance, "nobody"), 1);
}

#[test]
fn a_file_that_is_cut_within_its_last_line_is_refused_whatever_it_is() {
    let instance = Instance::new();
    let migration =
        "otpauth-migration://offline?data=ChwKFDEyMzQ1Njc4OTAxMjM0NTY3ODkwEgRhbGljIAEoATACEAEYASAA";
    let key = key(7);
    for (kind, text) in [
        ("csv", format!("user,secret\nnobody,{}\nbin,{}", KEYS[0], KEYS[1])),
        ("csv", format!("T1,{key},totp,6,30")),
        ("otpauth-migration", migration.into()),
        ("oath", format!("HOTP/T30 nobody - {key}")),
        ("google-authenticator", format!("{}\n\" TOTP_AUTH\n\" DISALLOW_REUSE 59665", KEYS[2])),
    ] {
        let path = file(&instance, "cut", &text);
        let whose: &[&str] = match kind {
            "google-authenticator" => &["nobody", &path],
            "oath" => &[&path],
            _ => &[&path, "--user", "nobody"],
        };
        let refused = instance.run(&[&["import", kind], whose].concat());
        assert!(refused.code == Some(1) && !instance.state().exists(), "{kind}: {refused:?}");
        assert!(refused.stderr.contains("cut: it ends in the middle of a line"), "{kind}: {refused:?}");
    }
}

/// What `qrtotp import uri --user-from label` says of such labels, each a line with a key of its own.
fn by_label(instance: &Instance, labels: &[&str], more: &[&str]) -> Ended {
    let uris = labels.iter().zip(1..).map(|(label, n)| {
        let letter = char::from(b'A' + n);
        format!("otpauth://totp/{label}?secret={}\n", String::from(letter).repeat(32))
    });
    let arguments = [&["import", "uri", "--user-from", "label"][..], more].concat();
    instance.run_with(&arguments, &uris.collect::<String>())
}

#[test]
fn more_devices_than_allowed_are_refused_by_those_that_are_there_and_those_of_the_file() {
    let instance = Instance::new();
    instance.import("nobody");
    let refused = by_label(&instance, &["nobody", "nobody", "nobody"], &[]);
    assert!(
        refused.stderr.contains("line 3 (nobody), nobody: 2 before it in the file and 1 enrolled"),
        "{refused:?}"
    );
    by_label(&instance, &["nobody", "nobody"], &[]).ok();
    let refused = by_label(&instance, &["bin", "bin", "bin", "nobody"], &["--entry", "4"]);
    assert!(refused.stderr.contains("3 devices are enrolled already"), "{refused:?}");
}

#[test]
fn a_control_character_in_a_label_makes_no_other_users_name_of_it() {
    let instance = Instance::new();
    for label in ["no%00body", "nobody%00", "%1bnobody", "no%7fbody", "no%C2%80body"] {
        let refused = by_label(&instance, &[label], &[]);
        assert!(
            refused.code == Some(1) && refused.stderr.contains("there is no user"),
            "{label}: {refused:?}"
        );
    }
    let nul = format!("[{{\"secret\":\"{}\",\"label\":\"no\\u0000body\",\"type\":\"TOTP\"}}]", KEYS[0]);
    let refused = instance.run_with(&["import", "json", "-", "--user-from", "label"], &nul);
    assert!(refused.stderr.contains("there is no user"), "{refused:?}");
}

#[test]
fn an_entry_is_picked_by_a_name_or_number_that_only_it_has() {
    let instance = Instance::new();
    let labels = ["nobody", "bin", "nobody", "4", "daemon"];
    for (wanted, places) in [("nobody", "line 1, line 3"), ("4", "")] {
        let output = by_label(&instance, &labels, &["--entry", wanted]);
        assert_eq!(
            output.stderr.contains(&format!("several entries are called {wanted}: {places}")),
            wanted != "4"
        );
        assert!(output.code == Some(1) && !instance.state().exists(), "{output:?}");
    }
    by_label(&instance, &labels, &["--entry", "line 3"]).ok();
    let labels = ["bin", "x", "2", "sys"];
    let output = by_label(&instance, &labels, &["--entry", "2"]);
    assert!(output.stderr.contains("several entries are called 2: line 2, line 3"), "{output:?}");
    assert_eq!([devices(&instance, "nobody"), devices(&instance, "bin")], [1, 0]);
}

#[test]
fn a_dry_run_on_a_new_host_changes_nothing_not_even_the_applied_configuration() {
    let instance = Instance::new();
    let uri = format!("otpauth://totp/x?secret={}\n", KEYS[0]);
    let google = format!("{}\n\" TOTP_AUTH\n", KEYS[1]);
    let oath = format!("HOTP/T30 nobody - {}\n", key(1));
    for (arguments, input) in [
        (&["import", "uri", "nobody", "--dry-run"][..], &uri),
        (&["import", "google-authenticator", "nobody", "-", "--dry-run"], &google),
        (&["import", "oath", "-", "--dry-run"], &oath),
    ] {
        let output = instance.run_with(arguments, input).ok();
        assert!(output.stdout.contains("would be imported"), "{output:?}");
    }
    instance.run(&["revoke", "--everyone", "--dry-run"]);
    let left: Vec<_> =
        fs::read_dir(instance.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["qrtotp.toml"]);
    instance.configure("max_devices = 0\n");
    let wrong = instance.run_with(&["import", "uri", "nobody", "--dry-run"], &uri);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("qrtotp.toml"), "{wrong:?}");
}

#[test]
fn with_json_every_refusal_is_an_object_also_of_the_whole() {
    let instance = Instance::new();
    let google = ["import", "google-authenticator", "nobody", "-", "--json"];
    for (arguments, input, user, result) in [
        (&google[..], "x!\n", "nobody", "refused"),
        (&google, "cut", "nobody", "refused"),
        (&["import", "google-authenticator", "no-such-user", "-", "--json"], "", "no-such-user", "refused"),
        (&["import", "google-authenticator", "nobody", "/dev/null", "--json"], "", "nobody", "refused"),
        (&["import", "csv", "-", "--user", "nobody", "--json"], "\"", "nobody", "refused"),
        (&["import", "json", "-", "--json"], "{", "", "refused"),
        (
            &["import", "uri", "nobody", "--entry", "9", "--json"],
            "otpauth://totp/x?secret=A\n",
            "nobody",
            "refused",
        ),
        (&["import", "oath", "/no/such", "--json"], "", "", "refused"),
        (&["import", "oath", "-", "--shred", "--json"], "", "", "error"),
    ] {
        let output = instance.run_with(arguments, input);
        let line: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(
            (line["user"].as_str(), line["result"].as_str()),
            (Some(user), Some(result)),
            "{output:?}"
        );
        // The system log may not be there.
        let reason = line["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && !output.stderr.contains(reason), "{output:?}");
        assert_eq!(output.code, Some(if result == "error" { 2 } else { 1 }));
    }
}

#[test]
fn a_key_that_a_file_gives_to_two_accounts_is_imported_for_neither_but_the_first() {
    let instance = Instance::new();
    let table = format!("user,secret\nnobody,{}\nbin,{}\n", KEYS[0], KEYS[0]);
    let file = file(&instance, "tokens.csv", &table);
    let output = instance.run(&["import", "csv", &file, "--dry-run"]);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(output.code == Some(1) && said.contains("the same key as nobody's in line 2"), "{said}");
    assert!(said.contains("1 would be imported, 1 refused"), "{said}");
}
