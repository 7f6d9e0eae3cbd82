//! Text from the log, safe in HTML.

use qrtotp_values::text::{character_reference, clean};

/// Most characters of a name that is shown.
const LONGEST: usize = 256;

/// Text from outside: no character of it is markup, moves a cursor or reorders text.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text, LONGEST).chars() {
        match character_reference(c) {
            Some(reference) => out.push_str(reference),
            None => out.push(c),
        }
    }
    out
}
