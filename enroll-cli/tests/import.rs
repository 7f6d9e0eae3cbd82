//! `qrtotp import` on a private instance: what it says, to whom, and that a dry run says what would happen.
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
    let keys = [1, 1, 1, 2, 3].map(key);
    let lines: Vec<String> =
        owners.iter().zip(&keys).map(|(owner, key)| format!("HOTP/T30 {owner} - {key}\n")).collect();
    let file = file(&instance, "users.oath", &format!("{}HOTP/T30 nobody - {}\n", lines.concat(), key(4)));
    let counted = |ended: &Ended| ended.stdout.contains("4, refused: 2");
    for _ in ["without a store", "with one"] {
        let dry = oath(&instance, &file, &["--dry-run"]);
        assert!(dry.code == Some(1) && counted(&dry), "{dry:?}");
        assert!(dry.stderr.contains("line 2, nobody: an earlier line has the same key"), "{dry:?}");
        assert!(dry.stderr.contains("line 6, nobody: 3 devices are enrolled already"), "{dry:?}");
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
