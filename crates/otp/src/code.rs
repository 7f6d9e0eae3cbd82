//! A code as it was typed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest code in digits (RFC 4226 §5.3).
const MAX_DIGITS: usize = 8;

/// A one-time code: 6 to 8 ASCII digits, kept inline. Wipes itself when dropped; `Debug` is redacted.
#[derive(Clone)]
pub struct Code {
    digits: [u8; MAX_DIGITS],
    len: usize,
}

#[allow(clippy::len_without_is_empty, reason = "a code is never empty")]
impl Code {
    /// Reads a typed code. White space around it is ignored, and single spaces or dashes may stand between
    /// digits, as apps show them ("123 456"). Anything else is `None`: signs, letters, digits of other
    /// scripts, NUL, fewer than 6 or more than 8 digits.
    pub fn parse(typed: &[u8]) -> Option<Code> {
        let mut code = Code::empty();
        let mut after_digit = false;
        for &byte in typed.trim_ascii() {
            match byte {
                b'0'..=b'9' => {
                    code.push(byte)?;
                    after_digit = true;
                }
                b' ' | b'-' if after_digit => after_digit = false,
                _ => return None,
            }
        }
        (after_digit && code.len >= 6).then_some(code)
    }

    /// Number of digits, 6 to 8.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The digits alone. Secret until used: for the verification and the demo's phone, never for a log.
    pub fn as_str(&self) -> &str {
        self.digits.get(..self.len).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }

    /// A buffer for 6 to 8 digits; fill it before anyone reads it.
    pub(super) fn empty() -> Code {
        Code { digits: [0; MAX_DIGITS], len: 0 }
    }

    fn push(&mut self, digit: u8) -> Option<()> {
        *self.digits.get_mut(self.len)? = digit;
        self.len += 1;
        Some(())
    }
}

/// Takes the digits of a computed code without using the heap.
impl fmt::Write for Code {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.push(byte)).ok_or(fmt::Error)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl ZeroizeOnDrop for Code {}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;
    use std::{fs::File, os::unix::fs::FileExt};

    fn parsed(typed: &str) -> Option<String> {
        Code::parse(typed.as_bytes()).map(|code| code.as_str().to_owned())
    }

    #[test]
    fn six_to_eight_digits_are_a_code() {
        for typed in ["123456", "000000", "1234567", "12345678"] {
            assert_eq!(parsed(typed).as_deref(), Some(typed));
            assert_eq!(Code::parse(typed.as_bytes()).unwrap().len(), typed.len());
        }
        for typed in ["", "1", "12345", "123456789", "123456123456"] {
            assert_eq!(parsed(typed), None, "{typed}");
        }
    }

    #[test]
    fn white_space_around_a_code_is_ignored() {
        for typed in [" 123456", "123456 ", "\t123456\r\n", "  123456  "] {
            assert_eq!(parsed(typed).as_deref(), Some("123456"), "{typed:?}");
        }
    }

    #[test]
    fn a_code_with_a_space_or_dash_in_the_middle_is_accepted() {
        for typed in ["123 456", "123-456", "12 34 56", "1-2-3-4-5-6", "12-34 56"] {
            assert_eq!(parsed(typed).as_deref(), Some("123456"), "{typed}");
        }
        assert_eq!(parsed("1234 5678").as_deref(), Some("12345678"));
    }

    #[test]
    fn separators_elsewhere_or_in_a_row_are_refused() {
        for typed in [
            "-123456", "123456-", "- 123456", "123456 -", "123  456", "123--456", "123 -456", "-", " ",
            "------",
        ] {
            assert_eq!(parsed(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn anything_but_ascii_digits_is_refused() {
        for typed in [
            "+123456",
            "12345a",
            "0x1234",
            "123.456",
            "123\t456",
            "123\n456",
            "123456\0",
            "\0",
            "123\u{a0}456",
            "１２３４５６",
            "١٢٣٤٥٦",
            "1e5000",
        ] {
            assert_eq!(parsed(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn debug_output_shows_nothing_of_the_code() {
        assert_eq!(format!("{:?}", Code::parse(b"123456")), "Some(Code(redacted))");
    }

    #[test]
    fn a_dropped_code_leaves_no_digit_in_its_memory() {
        let memory = File::open("/proc/self/mem").unwrap();
        // In a vector, whose memory stays in place: the compiler may reuse a variable's stack slot.
        let mut codes = vec![Code::parse(b"31415926").unwrap()];
        let place = codes.as_ptr().addr() as u64;
        let left = || {
            let mut bytes = [0; size_of::<Code>()];
            memory.read_exact_at(&mut bytes, place).unwrap();
            bytes.windows(3).any(|three| b"31415926".windows(3).any(|digits| digits == three))
        };
        assert!(left(), "the test looks in the wrong place");
        codes.clear();
        assert!(!left());
    }

    proptest! {
        #[test]
        fn no_bytes_make_parsing_panic_and_what_comes_out_is_6_to_8_digits(typed in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Some(code) = Code::parse(&typed) {
                prop_assert!((6..=8).contains(&code.len()));
                prop_assert_eq!(code.as_str().len(), code.len());
                prop_assert!(code.as_str().bytes().all(|byte| byte.is_ascii_digit()));
            }
        }

        #[test]
        fn digits_with_separators_are_read_back(digits in "[0-9]{6,8}", separators in prop::collection::vec(prop::sample::select(vec!["", " ", "-"]), 7)) {
            let mut typed = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 {
                    typed.push_str(separators[index - 1]);
                }
                typed.push(digit);
            }
            prop_assert_eq!(parsed(&typed), Some(digits));
        }

        #[test]
        fn one_foreign_character_spoils_a_code(digits in "[0-9]{6}", place in 0usize..=6, foreign in r"[^0-9 \t\n\x0c\r-]") {
            let mut typed = digits;
            typed.insert_str(place, &foreign);
            prop_assert_eq!(parsed(&typed), None);
        }
    }
}
