//! The shared secret of a credential: bounded, wiped, never shown by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{RandomError, base32, random};

/// The required length of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Strength {
    /// At least [`Secret::MIN_BITS`].
    #[default]
    Normal,
    /// At least [`Secret::WEAK_MIN_BITS`]: for keys that another system already issued, after a warning.
    AllowWeak,
}

/// The key that a phone and we share (K of RFC 4226 §5.1). Wipes itself when dropped; has a redacted `Debug`,
/// no `Display` and no `Clone`.
pub struct Secret {
    // On the heap, because moving an array would leave copies of it on the stack.
    bytes: Zeroizing<Box<[u8]>>,
}

impl Secret {
    /// Shortest secret in bits (RFC 4226 §4, R6).
    pub const MIN_BITS: u32 = 128;
    /// Shortest secret in bits with [`Strength::AllowWeak`]: google-authenticator's length for years.
    pub const WEAK_MIN_BITS: u32 = 80;
    /// Longest secret in bytes: one SHA-256 block, the output of SHA-512.
    pub const MAX_BYTES: usize = 64;
    /// Length of a new secret in bytes: the 160 bits that RFC 4226 §4 recommends.
    const NEW_BYTES: usize = 20;

    /// A new secret of 160 bits from the operating system.
    ///
    /// # Errors
    /// [`RandomError`] if the system gives no random numbers.
    pub fn generate() -> Result<Secret, RandomError> {
        let mut bytes = Zeroizing::new(vec![0; Self::NEW_BYTES].into_boxed_slice());
        random::fill(&mut bytes)?;
        Ok(Secret { bytes })
    }

    /// Takes a secret from a record, an import or a typed key.
    ///
    /// # Errors
    /// [`SecretError`] if it is too short for `strength`, longer than 64 bytes, or one byte repeated.
    pub fn from_bytes(bytes: &[u8], strength: Strength) -> Result<Secret, SecretError> {
        let needed = match strength {
            Strength::Normal => Self::MIN_BITS,
            Strength::AllowWeak => Self::WEAK_MIN_BITS,
        };
        if bytes.len() > Self::MAX_BYTES {
            return Err(SecretError::TooLong);
        }
        if bytes.len() * 8 < needed as usize {
            return Err(SecretError::TooShort { bits: bytes.len() * 8, needed });
        }
        // A failed read or an empty placeholder leaves an all-zero key.
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(SecretError::Repeated);
        }
        Ok(Secret { bytes: Zeroizing::new(bytes.into()) })
    }

    /// The raw key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether both give the same codes. HMAC pads a key with zeros to its block (RFC 2104 §2), and our keys
    /// are never longer than a block, so keys that differ only in trailing zeros are the same key. Constant
    /// time.
    #[must_use]
    pub fn same_key(&self, other: &Secret) -> bool {
        let padded = |secret: &Secret| {
            let mut block = Zeroizing::new([0; Self::MAX_BYTES]);
            block[..secret.bytes.len()].copy_from_slice(&secret.bytes);
            block
        };
        padded(self).as_slice().ct_eq(padded(other).as_slice()).into()
    }

    /// The key as apps take it: base32, upper case, no padding (RFC 4648 §6).
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32::encode(&self.bytes))
    }

    /// As [`Secret::to_base32`] in groups of four with spaces between them, to be typed from a screen.
    pub fn to_groups(&self) -> Zeroizing<String> {
        let plain = self.to_base32();
        let mut groups = Zeroizing::new(String::with_capacity(plain.len() + plain.len() / 4));
        for (index, c) in plain.chars().enumerate() {
            if index > 0 && index.is_multiple_of(4) {
                groups.push(' ');
            }
            groups.push(c);
        }
        groups
    }
}

impl PartialEq for Secret {
    /// Constant time for secrets of equal length; the length is no secret.
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Why a secret is refused. Tells sizes, never content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// Fewer bits than needed.
    #[error("the key has only {bits} bits and at least {needed} are needed: have a longer key issued")]
    TooShort {
        /// Length of the refused secret in bits.
        bits: usize,
        /// Bits that the required [`Strength`] needs.
        needed: u32,
    },
    /// More than [`Secret::MAX_BYTES`].
    #[error("the key is longer than 512 bits: check that nothing else was pasted with it")]
    TooLong,
    /// A single repeated byte, for example all zeros.
    #[error("the key is one byte repeated, so it is a placeholder and not a key: have a real key issued")]
    Repeated,
}

impl SecretError {
    /// True if [`Strength::AllowWeak`] would accept it.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let Self::TooShort { bits, .. } = self else { return false };
        u32::try_from(*bits).is_ok_and(|bits| (Secret::WEAK_MIN_BITS..Secret::MIN_BITS).contains(&bits))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn of(length: u8, strength: Strength) -> Result<Secret, SecretError> {
        Secret::from_bytes(&(0..length).collect::<Vec<u8>>(), strength)
    }

    #[test]
    fn a_new_secret_has_160_bits_and_is_never_the_same() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_eq!(one.as_bytes().len(), 20);
        assert_ne!(one, two);
    }

    #[test]
    fn secrets_below_128_bits_are_refused_unless_weak_ones_are_allowed() {
        assert!(of(16, Strength::Normal).is_ok());
        assert_eq!(of(15, Strength::Normal), Err(SecretError::TooShort { bits: 120, needed: 128 }));
        assert!(of(10, Strength::AllowWeak).is_ok());
        assert_eq!(of(9, Strength::AllowWeak), Err(SecretError::TooShort { bits: 72, needed: 80 }));
        assert_eq!(of(0, Strength::AllowWeak), Err(SecretError::TooShort { bits: 0, needed: 80 }));
    }

    #[test]
    fn secrets_above_512_bits_are_refused() {
        assert!(of(64, Strength::Normal).is_ok());
        assert_eq!(of(65, Strength::Normal), Err(SecretError::TooLong));
    }

    #[test]
    fn one_byte_repeated_is_no_secret() {
        for byte in [0, b'A', 255] {
            assert_eq!(Secret::from_bytes(&[byte; 20], Strength::AllowWeak), Err(SecretError::Repeated));
        }
        let mut nearly = [0; 20];
        nearly[19] = 1;
        assert!(Secret::from_bytes(&nearly, Strength::Normal).is_ok());
    }

    #[test]
    fn secrets_are_equal_only_if_length_and_bytes_are() {
        assert_eq!(of(20, Strength::Normal), of(20, Strength::Normal));
        assert_ne!(of(20, Strength::Normal), of(21, Strength::Normal));
        let mut other: Vec<u8> = (0..20).collect();
        other[19] ^= 0x80;
        assert_ne!(of(20, Strength::Normal), Secret::from_bytes(&other, Strength::Normal));
    }

    #[test]
    fn keys_are_the_same_if_their_codes_are() {
        use crate::{Algorithm, Params, code_at};
        let key = |bytes: &[u8]| Secret::from_bytes(bytes, Strength::Normal).unwrap();
        let short = key(b"12345678901234567890");
        let with_zeros = key(b"12345678901234567890\0\0\0");
        let full = key(&[b"12345678901234567890".as_slice(), &[0; 44]].concat());
        let other = key(b"12345678901234567890\0\x01");
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            let params = Params::new(algorithm, 8, 30).unwrap();
            let codes = |secret| {
                (0..5).map(|step| code_at(secret, params, step).as_str().to_owned()).collect::<Vec<_>>()
            };
            for equal in [&with_zeros, &full] {
                assert_eq!(codes(&short), codes(equal));
                assert!(short.same_key(equal) && equal.same_key(&short));
            }
            assert_ne!(codes(&short), codes(&other));
        }
        assert!(!short.same_key(&other));
    }

    #[test]
    fn the_key_is_written_plain_and_in_groups_of_four() {
        let secret = Secret::from_bytes(b"12345678901234567890", Strength::Normal).unwrap();
        assert_eq!(*secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(*secret.to_groups(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let odd = Secret::from_bytes(b"1234567890123456", Strength::Normal).unwrap();
        assert_eq!(*odd.to_groups(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY");
    }

    #[test]
    fn debug_output_shows_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", of(20, Strength::Normal)), "Ok(Secret(redacted))");
    }
}
