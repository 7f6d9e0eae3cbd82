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
