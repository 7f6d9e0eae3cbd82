//! Our interpreter's results equal libpam's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pam_stack::{PamCode, Part, Tree};
use std::fs;

/// A tree with these files in /etc/pam.d, and all modules that they name except pam_nope.so.
fn tree(case: &str) -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    let (files, modules) = (dir.path().join("etc/pam.d"), dir.path().join("usr/lib/security"));
    fs::create_dir_all(&files).unwrap();
    fs::create_dir_all(&modules).unwrap();
    for module in ["pam_permit.so", "pam_deny.so", "pam_debug.so"] {
        fs::write(modules.join(module), "").unwrap();
    }
    for line in case.lines() {
        let (name, text) = line.split_once(": ").unwrap();
        let path = files.join(name);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{before}{}\n", text.replace("\\r", "\r"))).unwrap();
    }
    let tree = Tree::new(dir.path());
    (dir, tree)
}

#[test]
fn random_stacks_end_as_libpam_says() {
    let text = include_str!("libpam.txt");
    let mut cases = 0;
    for case in text.split("== ").skip(1) {
        let (answer, lines) = case.split_once('\n').unwrap();
        let (_dir, tree) = tree(lines);
        let stack = tree.stack("s", Part::Auth);
        let run = stack.run(|entry, _| {
            let named = entry.arguments.iter().find_map(|word| PamCode::named(word.strip_prefix("auth=")?));
            vec![match (entry.missing, &entry.module) {
                (true, _) => PamCode::MODULE_UNKNOWN,
                (_, None) => PamCode::PERM_DENIED,
                _ => named.unwrap_or(PamCode::SUCCESS),
            }]
        });
        assert_eq!(run.is_some(), answer == "success", "{case}\n{run:?}\n{stack:#?}");
        cases += 1;
    }
    assert_eq!(cases, 300);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_and_run_without_a_panic(
        text in "((auth|-auth|@include|foo|) (required|\\[[a-z0-9=\\] ]{0,20}|include|substack) (s|x|pam_permit.so|\\[)[\\\\#\\[\\]\r a]{0,4}\n{0,2}){0,6}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/pam.d")).unwrap();
        for name in ["s", "x"] {
            fs::write(dir.path().join("etc/pam.d").join(name), &text).unwrap();
        }
        let stack = Tree::new(dir.path()).stack("s", Part::Auth);
        let _ = stack.success(&pam_stack::ModuleFacts::RIGHT);
    }
}
