//! Identifiers that appear in records and in the audit log. Public: they give no access to anything.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Crockford's alphabet: no I, L, O or U, so that an id read over the telephone is heard right.
pub(super) const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// An identifier with the wrong prefix, length or letters.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("not an identifier of the form {0}-7F3K2M")]
pub struct IdError(char);

fn letters(random: [u8; 6]) -> [u8; 6] {
    random.map(|byte| CROCKFORD[usize::from(byte & 31)])
}

fn is_crockford(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z')
}

fn parse(text: &str, prefix: char) -> Result<[u8; 6], IdError> {
    let rest = text.strip_prefix(prefix).and_then(|r| r.strip_prefix('-')).ok_or(IdError(prefix))?;
    let id: [u8; 6] = rest.as_bytes().try_into().map_err(|_| IdError(prefix))?;
    if id.iter().all(is_crockford) { Ok(id) } else { Err(IdError(prefix)) }
}

macro_rules! id {
    ($name:ident, $prefix:literal, $what:literal) => {
        #[doc = $what]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 6]);

        impl $name {
            /// An id from random bytes (30 of the 48 bits are used).
            #[must_use]
            pub fn from_random(random: [u8; 6]) -> Self {
                Self(letters(random))
            }

            /// The six letters, for fixed-size records.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 6] {
                self.0
            }

            /// The id with these six letters.
            ///
            /// # Errors
            /// A byte outside Crockford's alphabet.
            pub fn from_bytes(bytes: [u8; 6]) -> Result<Self, IdError> {
                if bytes.iter().all(is_crockford) { Ok(Self(bytes)) } else { Err(IdError($prefix)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "-"))?;
                f.write_str(std::str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self)
            }
        }
    };
}

id!(
    CredentialId,
    'c',
    "Names one enrolled authenticator app; it is the QR code's identifier in the audit log."
);
id!(TokenId, 't', "Names one enrolment token.");
id!(SetId, 's', "Names one set of recovery codes.");
id!(KeyId, 'k', "Names one sealing key.");

/// Ties the two files of a record together, so that parts of different records are never combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordId(pub [u8; 16]);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_id_reads_back_from_what_it_shows() {
        let id = CredentialId::from_random([0, 31, 32, 255, 10, 200]);
        assert_eq!(id.to_string().parse::<CredentialId>().unwrap(), id);
        assert_eq!(CredentialId::from_bytes(id.to_bytes()).unwrap(), id);
    }

    #[test]
    fn the_letters_are_those_of_crockfords_alphabet() {
        assert!((0..=u8::MAX).all(|byte| is_crockford(&byte) == CROCKFORD.contains(&byte)));
    }

    #[test]
    fn another_kind_of_id_or_a_confusable_letter_is_refused() {
        assert!("t-000000".parse::<CredentialId>().is_err());
        assert!("c-00000O".parse::<CredentialId>().is_err());
        assert!("c-0000000".parse::<CredentialId>().is_err());
    }
}
