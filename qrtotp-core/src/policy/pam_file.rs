//! The file of a PAM service, and its lines as libpam reads them, as far as we understand them.

use crate::store::{Readers, TrustError, open_dir, open_file};
use std::ffi::CString;
use std::path::Path;

/// Where libpam looks for a service's file, in its order.
pub const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];
/// The PAM service by which passwords are proven before an enrolment.
pub const PROOF_SERVICE: &str = "qrtotp";

/// Checks that the service has a file of its own, a regular one that nobody but root can have written: without it libpam would
/// go by the service `other`.
///
/// # Errors
/// It has none, or one that can't be trusted.
pub fn check_proof_service() -> Result<(), TrustError> {
    let directory = Path::new(DIRECTORIES[0]);
    let dir = open_dir(directory)?;
    open_file(&dir, PROOF_SERVICE, &directory.join(PROOF_SERVICE), false, Readers::Anybody).map(|_| ())
}

/// Our module's file.
pub const MODULE: &str = "pam_qrtotp.so";
/// Bytes; libpam reads longer lines in pieces.
const LONGEST_LINE: usize = 500;

/// One entry of a PAM file.
pub(super) struct Entry<'a> {
    pub kind: &'static str,
    /// With a dash in front: libpam does without it where the module is missing.
    pub optional_module: bool,
    pub control: &'a str,
    pub module: &'a str,
    pub arguments: Vec<&'a str>,
}

const KINDS: [&str; 4] = ["auth", "account", "session", "password"];

/// What a line is. `Err`: we don't know, so we don't go by it.
pub(super) enum Line<'a> {
    Empty,
    /// `@include`: of this file.
    Include(&'a str),
    Entry(Entry<'a>),
}

pub(super) fn read_line(line: &str) -> Result<Line<'_>, &'static str> {
    if line.len() > LONGEST_LINE {
        return Err("is too long");
    }
    let text = line.split('#').next().unwrap_or_default();
    // Before anything is trimmed: to libpam, only blanks and tabs are none of a word.
    let plain = text.bytes().all(|b| (b' '..0x7f).contains(&b) || b == b'\t');
    let text = text.trim_ascii();
    if text.ends_with('\\') || line.trim_ascii_end().ends_with('\\') {
        return Err("goes on in the next one, which is not followed");
    }
    if !plain {
        return Err("holds control characters, or some that are not ASCII");
    }
    let mut words = text.split_ascii_whitespace();
    let Some(first) = words.next() else { return Ok(Line::Empty) };
    if first.eq_ignore_ascii_case("@include") {
        return named(words.next()).map(Line::Include);
    }
    let bare = first.strip_prefix('-').unwrap_or(first);
    let kind = KINDS.into_iter().find(|kind| bare.eq_ignore_ascii_case(kind)).ok_or("is not understood")?;
    let rest = text[first.len()..].trim_ascii_start();
    let (control, rest) = match rest.strip_prefix('[') {
        Some(_) => rest.split_at(rest.find(']').ok_or("is not understood")? + 1),
        None => rest.split_at(rest.find([' ', '\t']).ok_or("is not understood")?),
    };
    let mut words = rest.split_ascii_whitespace();
    let module = named(words.next())?;
    let optional_module = first.starts_with('-');
    Ok(Line::Entry(Entry { kind, optional_module, control, module, arguments: words.collect() }))
}

/// A module or a file. What is in brackets would be another one without them.
fn named(word: Option<&str>) -> Result<&str, &'static str> {
    word.filter(|word| !word.starts_with('[')).ok_or("is not understood")
}

impl Entry<'_> {
    pub fn is_ours(&self) -> bool {
        self.module == MODULE
            || (self.module.starts_with('/') && self.module.ends_with(&format!("/{MODULE}")))
    }

    /// The module's name without its directory.
    pub fn module_name(&self) -> &str {
        self.module.rsplit('/').next().unwrap_or_default()
    }
}

/// Words as libpam takes them apart: brackets hold spaces together and go away.
pub(super) fn words_of(words: &[&str]) -> Vec<CString> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for word in words {
        let whole = match open.take() {
            Some(begun) => format!("{begun} {word}"),
            None => (*word).to_owned(),
        };
        match whole.strip_prefix('[') {
            Some(inside) => match inside.strip_suffix(']') {
                Some(inside) => found.push(inside.to_owned()),
                None => open = Some(whole),
            },
            None => found.push(whole),
        }
    }
    found.extend(open);
    found.into_iter().filter_map(|word| CString::new(word).ok()).collect()
}

/// Whether a file's text names our module at all, in whatever way.
#[must_use]
pub fn names_us(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        line.windows(MODULE.len()).any(|word| word == MODULE.as_bytes())
    })
}
