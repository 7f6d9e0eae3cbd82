//! A service's PAM file, which decides whether somebody without a device may enrol at a login. What the guard accepts is read once
//! more here, with what it includes, as libpam reads and follows it, and must be safe.

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
use reference::{Entry, auth_part, entries, wrong_password_succeeds};
use stack::OurLine;
use std::path::Path;

pub(crate) fn check(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let config = Path::new(if kind & 2 == 0 { DEFAULT_PATH } else { "/c" });
    let line = OurLine { service: "sshd", config, password_only: kind & 1 == 0, read_at: 0 };
    let (text, included) = files(text);
    if !accepted(text, &included, &line) {
        return;
    }
    let own = entries(text).expect("what is accepted is understood");
    for part in ["account", "session"] {
        let first = own.iter().find(|entry| entry.is_of(part));
        assert!(
            first.is_some_and(|entry| holds(entry, config)),
            "the {part} part can be left out or overruled"
        );
    }
    if line.password_only {
        let auth = auth_part(text, &included).expect("what is accepted is understood");
        assert!(!wrong_password_succeeds(&auth), "a wrong password enrols");
    }
}

/// The service's file, and those that it may include by the names `a`, `b` and so on, parted by lines of `%`.
fn files(text: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.windows(3).position(|bytes| bytes == b"\n%\n") {
        parts.push(&rest[..end]);
        rest = &rest[end + 3..];
    }
    parts.push(rest);
    (parts.remove(0), parts)
}

/// The file of that name.
fn named<'a>(name: &str, included: &[&'a [u8]]) -> Option<&'a [u8]> {
    let [letter @ b'a'..=b'z'] = name.as_bytes() else { return None };
    included.get(usize::from(letter - b'a')).copied()
}

fn accepted(text: &[u8], included: &[&[u8]], line: &OurLine<'_>) -> bool {
    let mut files = |name: &str| named(name, included).map(<[u8]>::to_vec).ok_or("missing".to_owned());
    if !crate::planted() {
        return stack::check(text, line, &mut files).is_ok();
    }
    // Planted: a dash in front of a module is overlooked.
    stack::check(String::from_utf8_lossy(text).replace("\n-", "\n").as_bytes(), line, &mut files).is_ok()
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
