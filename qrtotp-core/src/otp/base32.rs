//! Base32 (RFC 4648 §6), strict; we never write padding.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

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
    /// No sequence of bytes has a base32 text of this length.
    #[error("the key is incomplete: a character is missing or too many, copy the whole key again")]
    Length,
    /// The last character carries bits that belong to no byte.
    #[error("the end of the key is wrong: a character is mistyped or missing, copy the whole key again")]
    StrayBits,
    /// `=` in the middle, or a wrong number of them at the end.
    #[error("the '=' signs at the end of the key are wrong: leave them all out")]
    Padding,
}

/// Encodes in upper case without padding (RFC 4648 §6). Wrap the result in [`Zeroizing`] if `bytes` are secret.
pub fn encode(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes)
}

/// Decodes canonical base32 only (RFC 4648 §6): upper case, no padding, no separators, no stray bits, so that
/// every byte string has exactly one text.
///
/// # Errors
/// [`Base32Error`] for everything that [`encode`] would not have written.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Base32Error> {
    let length = BASE32_NOPAD.decode_len(text.len()).map_err(|_| fault(text))?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    let written = BASE32_NOPAD.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| fault(text))?;
    bytes.truncate(written);
    Ok(bytes)
}

/// What is wrong with a text that does not decode.
fn fault(text: &str) -> Base32Error {
    match text.chars().position(|c| !is_in_alphabet(c)) {
        Some(index) => Base32Error::Character { position: index + 1 },
        // RFC 4648 §6: a last group of 1, 3 or 6 characters can't occur.
        None if matches!(text.len() % 8, 1 | 3 | 6) => Base32Error::Length,
        None => Base32Error::StrayBits,
    }
}

/// As [`decode`], for keys that people type and for URIs: takes lower case, spaces and dashes anywhere, and
/// padding with `=` if it is complete.
///
/// # Errors
/// [`Base32Error`]; positions count in `text` as it was given.
pub fn decode_typed(text: &str) -> Result<Zeroizing<Vec<u8>>, Base32Error> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let mut padding = 0;
    for (index, c) in text.chars().enumerate() {
        match c.to_ascii_uppercase() {
            ' ' | '-' => {}
            '=' => padding += 1,
            c if is_in_alphabet(c) && padding == 0 => plain.push(c),
            c if is_in_alphabet(c) => return Err(Base32Error::Padding),
            _ => return Err(Base32Error::Character { position: index + 1 }),
        }
    }
    if padding > 0 && (padding > 6 || !(plain.len() + padding).is_multiple_of(8)) {
        return Err(Base32Error::Padding);
    }
    decode(&plain)
}

fn is_in_alphabet(c: char) -> bool {
    matches!(c, 'A'..='Z' | '2'..='7')
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
            assert_eq!(decode_typed(padded).unwrap().as_slice(), bytes.as_bytes());
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
    fn impossible_lengths_and_stray_bits_are_refused() {
        for text in ["J", "MZX", "MZXW6Y", "MZXW6YTBO"] {
            assert_eq!(decode(text).unwrap_err(), Base32Error::Length, "{text}");
        }
        for text in ["MZ", "MZXR", "MZXW7", "MZXW6YR"] {
            assert_eq!(decode(text).unwrap_err(), Base32Error::StrayBits, "{text}");
        }
    }

    #[test]
    fn typed_keys_may_have_lower_case_spaces_and_dashes() {
        for text in ["mzxw 6ytb-oi", " MZXW6YTBOI ", "mZxW-6yTb oI======"] {
            assert_eq!(decode_typed(text).unwrap().as_slice(), b"foobar", "{text}");
        }
    }

    #[test]
    fn typed_keys_with_wrong_padding_are_refused() {
        for text in [
            "MY=",
            "MY=====",
            "MY=======",
            "M=Y=====",
            "========",
            "=",
            "MZXW6YTB========",
            "MY==============",
        ] {
            assert_eq!(decode_typed(text).unwrap_err(), Base32Error::Padding, "{text}");
        }
    }

    #[test]
    fn a_wrong_character_is_named_by_its_place_in_what_was_typed() {
        assert_eq!(decode_typed("mz xw-1").unwrap_err(), Base32Error::Character { position: 7 });
        assert_eq!(decode_typed("ＭＹ").unwrap_err(), Base32Error::Character { position: 1 });
        assert_eq!(decode_typed("MY\n").unwrap_err(), Base32Error::Character { position: 3 });
    }

    proptest! {
        #[test]
        fn every_byte_string_survives_the_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = encode(&bytes);
            prop_assert_eq!(&*decode(&text).unwrap(), &bytes);
            prop_assert_eq!(&*decode_typed(&text.to_lowercase()).unwrap(), &bytes);
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
            let _ = decode_typed(&text);
        }
    }
}
