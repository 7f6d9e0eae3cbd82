//! A service's PAM file, which decides whether somebody without a device may enrol at a login. What the guard accepts is read once
//! more here, as libpam reads and follows it, and must be safe.

#[allow(dead_code)]
#[path = "../../qrtotp-core/src/policy/control.rs"]
mod control;
#[allow(dead_code)]
#[path = "../../qrtotp-core/src/policy/evidence.rs"]
mod evidence;
#[allow(dead_code)]
#[path = "../../qrtotp-core/src/policy/pam_file.rs"]
mod pam_file;
mod reference;
#[allow(dead_code, clippy::all)]
#[path = "../../qrtotp-core/src/policy/stack.rs"]
mod stack;

use qrtotp_core::policy::DEFAULT_PATH;
use reference::{Entry, entries, wrong_password_succeeds};
use stack::OurLine;
use std::path::Path;

pub(crate) fn check(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let config = Path::new(if kind & 2 == 0 { DEFAULT_PATH } else { "/c" });
    let line = OurLine { service: "sshd", config, password_only: kind & 1 == 0, read_at: 0 };
    if !accepted(text, &line) {
        return;
    }
    let entries = entries(text).expect("what is accepted is understood");
    for part in ["account", "session"] {
        let first = entries.iter().find(|entry| entry.is_of(part));
        assert!(
            first.is_some_and(|entry| holds(entry, config)),
            "the {part} part can be left out or overruled"
        );
    }
    if line.password_only {
        assert!(!wrong_password_succeeds(&entries), "a wrong password enrols");
    }
}

fn accepted(text: &[u8], line: &OurLine<'_>) -> bool {
    if !crate::planted() {
        return stack::check(text, line).is_ok();
    }
    // Planted: a dash in front of a module is overlooked.
    stack::check(String::from_utf8_lossy(text).replace("\n-", "\n").as_bytes(), line).is_ok()
}

/// A denial by this entry is final, and it can't be missing; it uses the same records.
fn holds(entry: &Entry, config: &Path) -> bool {
    let given: Vec<&String> = entry.arguments.iter().filter(|word| word.starts_with("config=")).collect();
    let used = given.first().map_or(DEFAULT_PATH, |word| &word["config=".len()..]);
    entry.is_ours()
        && !entry.may_be_missing
        && entry.control.eq_ignore_ascii_case("requisite")
        && Path::new(used) == config
}
