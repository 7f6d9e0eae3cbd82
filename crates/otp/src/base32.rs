//! Base32 (RFC 4648 §6): one canonical spelling for text that we write and read back, every usual one for
//! keys from other systems.

use base32::Alphabet;
use zeroize::Zeroizing;

const ALPHABET: Alphabet = Alphabet::Rfc4648 { padding: false };

/// Why a text is not base32. Says where, never what: the text may be a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Base32Error {
    /// A character outside of the alphabet; `position` counts characters from 1.
    #[error(
        "character {position} does not belong in a key: use the letters A to Z and the digits 2 to 7 only"
    )]
    Character {
        /// Place of the first such character, counted from 1.
        position: usize,
    },
    /// Text that [`encode`] does not write: a length that no number of bytes has, or bits left over in the
    /// last character.
    #[error("the end of the base32 text is damaged: restore the whole text")]
    NotCanonical,
    /// Something follows an `=`.
    #[error("'=' can only stand at the end of a key: copy the whole key again")]
    Padding,
}

/// Encodes in upper case without padding (RFC 4648 §6). Wrap the result in [`Zeroizing`] if `bytes` are
/// secret.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    // Whole groups only: otherwise the crate's buffer grows, and the old one is freed unwiped.
    for group in bytes.chunks(5) {
        let mut whole = Zeroizing::new([0; 5]);
        whole[..group.len()].copy_from_slice(group);
        text.push_str(&Zeroizing::new(base32::encode(ALPHABET, whole.as_slice())));
    }
    text.truncate((bytes.len() * 8).div_ceil(5));
    text
}

/// Decodes canonical base32 only (RFC 4648 §6): upper case, no padding, no separators, no bits left over, so
/// that every byte string has exactly one text.
///
/// # Errors
/// [`Base32Error`] for any text that [`encode`] would not have written.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Base32Error> {
    let bytes = whole_bytes(text)?;
    let last = text.bytes().next_back().and_then(value).unwrap_or_default();
    let spare = spare_bits(text);
    if spare >= 5 || last.trailing_zeros() < spare {
        return Err(Base32Error::NotCanonical);
    }
    Ok(bytes)
}

/// A key as it was received.
#[derive(PartialEq, Eq, Debug)]
pub struct Lenient {
    /// The whole bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Whether bits after the last whole byte were dropped: a set bit, or a character that adds no byte.
    pub dropped_bits: bool,
}

/// Like [`decode`], for keys from users and other systems, with the leniency of phones and
/// google-authenticator: takes lower case, blanks and dashes anywhere, any number of `=` at the end, `0`, `1`
/// and `8` for `O`, `L` and `B`, and any length.
///
/// # Errors
/// [`Base32Error`]; positions count in `text` as it was given.
pub fn decode_lenient(text: &str) -> Result<Lenient, Base32Error> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len())); // never grows, so nothing is left behind
    let mut padded = false;
    for (index, c) in text.chars().enumerate() {
        let c = match c.to_ascii_uppercase() {
            '0' => 'O',
            '1' => 'L',
            '8' => 'B',
            '=' => {
                padded = true;
                continue;
            }
            c if is_separator(c) => continue,
            c => c,
        };
        if u8::try_from(c).ok().and_then(value).is_none() {
            return Err(Base32Error::Character { position: index + 1 });
        }
        if padded {
            return Err(Base32Error::Padding);
        }
        plain.push(c);
    }
    let dropped_bits = decode(&plain) == Err(Base32Error::NotCanonical);
    Ok(Lenient { bytes: whole_bytes(&plain)?, dropped_bits })
}

/// The whole bytes of a text; spare bits are dropped.
fn whole_bytes(text: &str) -> Result<Zeroizing<Vec<u8>>, Base32Error> {
    base32::decode(ALPHABET, text).map(Zeroizing::new).ok_or_else(|| {
        // All characters before the first that is not of the alphabet are bytes.
        let index = text.bytes().position(|byte| value(byte).is_none()).unwrap_or_default();
        Base32Error::Character { position: index + 1 }
    })
}

/// Bits after the last whole byte. With five or more, the last character adds no byte.
fn spare_bits(text: &str) -> u32 {
    [0, 5, 2, 7, 4, 1, 6, 3][text.len() % 8]
}

/// Blanks and dashes of every kind that web pages and word processors produce, and invisible characters.
#[must_use]
pub fn is_separator(c: char) -> bool {
    c == '-' || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}') || c.is_whitespace() || is_invisible(c)
}

/// Characters that web pages and chats leave in a copied text: soft hyphens, joiners, directional marks.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The five bits of a character.
fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    /// RFC 4648 §10: bytes, canonical text, padded text.
    const VECTORS: [(&str, &str, &str); 7] = [
        ("", "", ""),
        ("f", "MY", "MY======"),
        ("fo", "MZXQ", "MZXQ===="),
        ("foo", "MZXW6", "MZXW6==="),
        ("foob", "MZXW6YQ", "MZXW6YQ="),
        ("fooba", "MZXW6YTB", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI", "MZXW6YTBOI======"),
    ];

    #[test]
    fn the_vectors_of_rfc_4648_hold_in_both_directions() {
        for (bytes, text, padded) in VECTORS {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap().as_slice(), bytes.as_bytes());
            assert_eq!(decode_lenient(padded).unwrap().bytes.as_slice(), bytes.as_bytes());
        }
    }

    #[test]
    fn strict_decoding_refuses_what_people_type() {
        for (text, position) in
            [("mzxw6", 1), ("MZXW 6YQ", 5), ("MZ-XW6", 3), ("MY======", 3), ("MZ0", 3), ("M\u{130}", 2)]
        {
            assert_eq!(decode(text).unwrap_err(), Base32Error::Character { position }, "{text}");
        }
    }

    #[test]
    fn impossible_lengths_and_left_over_bits_are_not_canonical() {
        for text in ["J", "MZX", "MZXW6Y", "MZXW6YTBO", "MZ", "MZXR", "MZXW7", "MZXW6YR"] {
            assert_eq!(decode(text).unwrap_err(), Base32Error::NotCanonical, "{text}");
        }
    }

    #[test]
    fn a_key_is_taken_as_people_write_it() {
        for text in [
            "mzxw 6ytb-oi",
            " MZXW6YTBOI ",
            "mZxW-6yTb oI======",
            "MZXW6YTBOI=",
            "MZXW6YTBOI== == ====",
            "MZXW6YT8OI",
            "MZXW6YTB0I",
            "MZXW\u{a0}6YTB\u{2011}OI\r\n",
            "MZXW\u{2013}6YTB\t\u{feff}OI\u{200b}",
        ] {
            let key = decode_lenient(text).unwrap();
            assert_eq!((key.bytes.as_slice(), key.dropped_bits), (b"foobar".as_slice(), false), "{text}");
        }
        assert_eq!(decode_lenient("MY1Z").unwrap().bytes, decode_lenient("MYLZ").unwrap().bytes);
    }

    #[test]
    fn bits_after_the_last_whole_byte_are_dropped_and_that_is_said() {
        for (text, bytes) in [
            ("MZXW6YTBOJ", "foobar"),
            ("MZXW6YTBOJ======", "foobar"),
            ("MZXW6YTBO", "fooba"),
            ("MZXW6Y", "foo"),
            ("mzxr", "fo"),
            ("MZXW6YTBOIA", "foobar"),
            ("J", ""),
        ] {
            let key = decode_lenient(text).unwrap();
            assert_eq!((key.bytes.as_slice(), key.dropped_bits), (bytes.as_bytes(), true), "{text}");
        }
    }

    #[test]
    fn nothing_may_follow_the_padding() {
        for text in ["M=Y=====", "=MY", "MY= =A"] {
            assert_eq!(decode_lenient(text).unwrap_err(), Base32Error::Padding, "{text}");
        }
    }

    #[test]
    fn a_wrong_character_is_named_by_its_place_in_what_was_given() {
        assert_eq!(decode_lenient("mz xw-9").unwrap_err(), Base32Error::Character { position: 7 });
        assert_eq!(decode_lenient("ＭＹ").unwrap_err(), Base32Error::Character { position: 1 });
        assert_eq!(decode_lenient("MY\0").unwrap_err(), Base32Error::Character { position: 3 });
    }

    proptest! {
        #[test]
        fn every_byte_string_survives_the_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = encode(&bytes);
            prop_assert_eq!(&*decode(&text).unwrap(), &bytes);
            prop_assert_eq!(decode_lenient(&text.to_lowercase()), Ok(Lenient { bytes: Zeroizing::new(bytes), dropped_bits: false }));
        }

        #[test]
        fn whatever_decodes_is_the_one_canonical_text(text in "[A-Za-z2-7= -]{0,24}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }

        #[test]
        fn no_text_makes_decoding_panic(text in any::<String>()) {
            let _ = decode(&text);
            let _ = decode_lenient(&text);
        }
    }
}
