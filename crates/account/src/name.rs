//! The name under which an account is kept: the canonical `pw_name`, never the text that was typed.

use std::fmt;
use thiserror::Error;

/// Longest encoded name, in bytes: a file name may have 255, and a temporary one carries a suffix.
const MAX_ENCODED: usize = 200;

/// Why a user name can't be an account's name.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum NameError {
    /// The name has no characters.
    #[error("the user name is empty")]
    Empty,
    /// Control characters (NUL, newline, …) in the name.
    #[error("the user name contains control characters")]
    Control,
    /// More bytes than a file name can carry once encoded.
    #[error("the user name is too long")]
    TooLong,
}

/// A checked account name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name as getpwnam(3) gave it.
    ///
    /// # Errors
    /// Empty, longer than a file name can carry, or with control characters.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(NameError::Control);
        }
        let name = Self(text.to_owned());
        if name.file_name().len() > MAX_ENCODED { Err(NameError::TooLong) } else { Ok(name) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One path component, unique to this name: bytes outside `A-Za-z0-9_-.`, and a leading dot or dash,
    /// become `%XX`.
    #[must_use]
    pub fn file_name(&self) -> String {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let mut out = String::with_capacity(self.0.len());
        for (i, byte) in self.0.bytes().enumerate() {
            let safe = byte.is_ascii_alphanumeric() || byte == b'_' || (i > 0 && matches!(byte, b'-' | b'.'));
            if safe {
                out.push(char::from(byte));
            } else {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        out
    }

    /// The name that [`Name::file_name`] encoded, or `None` if it is not such an encoding.
    #[must_use]
    pub fn from_file_name(file_name: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(file_name.len());
        let mut rest = file_name.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            } else {
                bytes.push(byte);
            }
        }
        let name = Self::new(&String::from_utf8(bytes).ok()?).ok()?;
        (name.file_name() == file_name).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&qrtotp_values::text::clean(&self.0, 64))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_look_like_paths_stay_one_component() {
        assert_eq!(Name::new("../x").unwrap().file_name(), "%2E.%2Fx");
        assert_eq!(Name::new("..").unwrap().file_name(), "%2E.");
        assert_eq!(Name::new(".").unwrap().file_name(), "%2E");
        assert_eq!(Name::new(r"DOMAIN\user").unwrap().file_name(), "DOMAIN%5Cuser");
        assert_eq!(Name::new("user@corp").unwrap().file_name(), "user%40corp");
    }

    #[test]
    fn empty_control_and_very_long_names_are_refused() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("a\nb"), Err(NameError::Control));
        assert_eq!(Name::new("a\0"), Err(NameError::Control));
        assert_eq!(Name::new(&"é".repeat(40)), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn encoding_is_reversible_and_always_one_safe_component(text in "\\PC{1,40}") {
            if let Ok(name) = Name::new(&text) {
                let file = name.file_name();
                prop_assert!(!file.contains('/') && !file.starts_with('.') && file.is_ascii());
                prop_assert_eq!(Name::from_file_name(&file), Some(name));
            }
        }
    }
}
