//! Key URIs, one a line: Ente's and FreeOTP+'s exports in the clear, and what zbarimg prints for several QR
//! codes.

use crate::text;
use crate::{Entry, FileError, bounded, entry_of_uri};
use qrtotp_otp::Strength;

/// Reads a file; each line is an entry.
///
/// # Errors
/// Not text, no line or too many.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    let text = text(bytes)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let entries = lines.map(|(number, line)| entry_of_uri(format!("line {number}"), line, strength));
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return Err("there is no URI that starts with otpauth://totp/: give each on a line of its own".into());
    }
    bounded(entries)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn each_line_is_an_entry_of_its_own() {
        let file = format!(
            "\u{feff}otpauth://totp/I:a?secret={KEY}&codeDisplay=%7B%7D\r\n\nQR-Code:otpauth://totp/b?secret={KEY}\notpauth://hotp/c?secret={KEY}\n"
        );
        let entries = parse(file.as_bytes(), Strength::Normal).unwrap();
        let seen: Vec<_> =
            entries.iter().map(|e| (e.place.as_str(), e.name.as_str(), e.found.is_ok())).collect();
        assert_eq!(seen, [("line 1", "I:a", true), ("line 3", "b", true), ("line 4", "", false)]);
        let two = format!(
            "otpauth://totp/a?secret={KEY}&issuer=X otpauth://totp/b?secret={KEY}\notpauth://totp/c?secret={KEY}&image=http://x,otpauth%3A//totp/d\rotpauth://totp/e?secret={KEY}\r"
        );
        let entries = parse(two.as_bytes(), Strength::Normal).unwrap();
        let seen: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.found.is_ok())).collect();
        assert_eq!(seen, [("", false), ("", false), ("e", true)], "no key is lost, or becomes a name");
        for none in ["", "\n \n"] {
            assert!(parse(none.as_bytes(), Strength::Normal).is_err());
        }
    }
}
