//! Whether a text from a file may hold a key. A damaged file, or one of another format, can have a key where
//! a name belongs, and names are shown.

use super::is_separator;

/// Characters of the shortest key: 80 bits in base32.
const SHORTEST: usize = 16;

/// Whether a text may hold a key in base32, base64 or hexadecimal, or a key URI. Such a text is never shown.
#[must_use]
pub fn may_hold_key(text: &str) -> bool {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let holds_key = |run: &str| {
        let joined: String = run.chars().filter(|c| is_of_key(*c)).collect();
        let is_unbroken = run.split(is_separator).any(|word| word.len() >= SHORTEST);
        joined.len() >= SHORTEST && (is_unbroken || !is_prose(&joined))
    };
    let bytes = text.replace(':', "");
    text.split(|c: char| !is_of_key(c) && !is_separator(c)).any(holds_key)
        || bytes.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() >= SHORTEST)
        || text.to_ascii_lowercase().contains("otpauth")
}

/// True for words such as `Amazon Web Services`: a key in groups has digits, or letters of one case only.
fn is_prose(joined: &str) -> bool {
    let has = |is: fn(&u8) -> bool| joined.bytes().any(|byte| is(&byte));
    !has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "D5APZEW2EQLJI5IJPHXGZ5MC6LK5PUUO";
    const HEX: &str = "1f40fc92da241694750979ee6cf582f2d5d7d28e";
    const BASE64: &str = "H0D8ktokFpR1CXnubPWC8tXX0o4=";

    #[test]
    fn a_text_holds_a_key_however_it_is_written_and_whatever_is_around_it() {
        let spaced =
            |by: &str| KEY.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(by);
        let bytes = HEX.as_bytes().chunks(2).map(String::from_utf8_lossy).collect::<Vec<_>>().join(":");
        let keys = [
            KEY,
            HEX,
            BASE64,
            &KEY.to_lowercase(),
            &KEY[..16],
            &bytes,
            &spaced(" "),
            &spaced("-"),
            &spaced("\u{200b}"),
        ];
        for key in keys {
            for (before, after) in [
                ("", ""),
                ("alice|", ""),
                ("alice;", ";x"),
                ("'", ",alice,totp"),
                ("alice ", ""),
                ("<UserId>", "</UserId>"),
                ("", "\u{2060}"),
            ] {
                assert!(may_hold_key(&format!("{before}{key}{after}")), "{before}{key}{after}");
            }
        }
        assert!(may_hold_key("otpauth:x"));
    }

    #[test]
    fn a_usual_name_holds_none() {
        for name in [
            "",
            "alice",
            "Corp:alice@web1.example.org",
            "Amazon Web Services:alice",
            "web-server-1",
            "987654321",
            "Bücher & Co",
            "christopher.robertson@mail.example",
        ] {
            assert!(!may_hold_key(name), "{name}");
        }
    }
}
