//! Text from the log, safe in HTML.

use qrtotp_values::text::clean;

/// Most characters of a name that is shown.
const LONGEST: usize = 256;

/// Text from outside: no character of it is markup, moves a cursor or reorders text.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text, LONGEST).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
