//! Recovery codes: one-time, 80 bits, kept only as hashes under one salt for the set.
//!
//! NIST SP 800-63B-4 §3.1.2 (look-up secrets): once only; below 112 bits salted and password-hashed.

use super::SetId;
use super::id::CROCKFORD;
use crate::clock::UnixTime;
use crate::otp::{RandomError, random_bytes};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Letters in a code: 16 × 5 bits = 80 bits.
const LETTERS: usize = 16;
/// Bytes of a set's salt.
pub const SALT_LEN: usize = 16;
/// A hash of a recovery code.
pub type Hash = [u8; 16];

/// Hashing failed for want of memory.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("not enough memory to check a recovery code (19 MiB are needed)")]
pub struct HashError;

/// A recovery code as generated or typed. Wiped when dropped, never shown by `Debug`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; LETTERS]);

impl RecoveryCode {
    /// A fresh code from the operating system's random source.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate() -> Result<Self, RandomError> {
        let random = Zeroizing::new(random_bytes::<LETTERS>()?);
        Ok(Self(random.map(|byte| CROCKFORD[usize::from(byte & 31)])))
    }

    /// Reads a typed code: case, spaces and dashes don't matter, and the letters that Crockford's alphabet
    /// leaves out are taken for the digits they look like. `None` if it can't be one by its form.
    #[must_use]
    pub fn parse(typed: &[u8]) -> Option<Self> {
        let mut code = Self([0; LETTERS]);
        let mut filled = 0;
        for byte in typed.iter().filter(|b| !matches!(b, b' ' | b'-' | b'\t' | b'\r' | b'\n')) {
            let letter = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            if filled == LETTERS || !CROCKFORD.contains(&letter) {
                return None;
            }
            code.0[filled] = letter;
            filled += 1;
        }
        (filled == LETTERS).then_some(code)
    }

    /// The code as it is shown, once: four groups of four.
    #[must_use]
    pub fn display(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(LETTERS + 3));
        for (i, &letter) in self.0.iter().enumerate() {
            if i > 0 && i % 4 == 0 {
                out.push('-');
            }
            out.push(char::from(letter));
        }
        out
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(redacted)")
    }
}

/// Argon2id (RFC 9106) with 19 MiB, two passes, one lane. Takes some 20 ms: run it outside every lock and only
/// after the throttle allowed the attempt.
///
/// # Errors
/// The memory for it could not be had.
pub fn hash(code: &RecoveryCode, salt: &[u8; SALT_LEN]) -> Result<Hash, HashError> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|_| HashError)?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| HashError)?;
    memory.resize(params.block_count(), Block::new());
    let mut out = Hash::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(&code.0, salt, &mut out, &mut memory)
        .map_err(|_| HashError)?;
    Ok(out)
}

/// The recovery codes of an account, as hashes. Which ones are used is in the hot state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverySet {
    /// Names this set; used-marks of another set don't count for it.
    pub id: SetId,
    /// When it was made.
    pub created: UnixTime,
    /// One salt for the set, so that one guess costs one hash.
    pub salt: [u8; SALT_LEN],
    /// At most 32.
    pub hashes: Vec<Hash>,
}

impl RecoverySet {
    /// Codes in a set that we make.
    pub const CODES: usize = 10;

    /// A fresh set and its codes, to be shown once.
    ///
    /// # Errors
    /// No random numbers, or no memory for hashing.
    pub fn generate(now: UnixTime) -> Result<(Self, Vec<RecoveryCode>), GenerateError> {
        let salt = random_bytes()?;
        let id = SetId::from_random(random_bytes()?);
        let mut codes = Vec::with_capacity(Self::CODES);
        let mut hashes = Vec::with_capacity(Self::CODES);
        for _ in 0..Self::CODES {
            let code = RecoveryCode::generate()?;
            hashes.push(hash(&code, &salt)?);
            codes.push(code);
        }
        Ok((Self { id, created: now, salt, hashes }, codes))
    }

    /// Which code of the set `guess` is, without an early exit.
    #[must_use]
    pub fn position(&self, guess: &Hash) -> Option<u8> {
        let mut found = None;
        for (i, hash) in (0_u8..).zip(&self.hashes) {
            if bool::from(hash.ct_eq(guess)) {
                found = Some(i);
            }
        }
        found
    }
}

/// Why a set of recovery codes could not be made.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum GenerateError {
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No memory.
    #[error(transparent)]
    Hash(#[from] HashError),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_found_in_its_set_however_it_is_typed() {
        let (set, codes) = RecoverySet::generate(1).unwrap();
        let shown = codes[7].display();
        for typed in
            [shown.to_string(), shown.to_lowercase(), shown.replace('-', " "), shown.replace('0', "o")]
        {
            let guess = hash(&RecoveryCode::parse(typed.as_bytes()).unwrap(), &set.salt).unwrap();
            assert_eq!(set.position(&guess), Some(7));
        }
    }

    #[test]
    fn a_code_of_another_set_is_not_found() {
        let (set, _) = RecoverySet::generate(1).unwrap();
        let guess = hash(&RecoveryCode::generate().unwrap(), &set.salt).unwrap();
        assert_eq!(set.position(&guess), None);
    }

    #[test]
    fn a_recovery_code_is_never_mistaken_for_a_code_of_an_app() {
        assert!(RecoveryCode::parse(b"123456").is_none());
        assert!(RecoveryCode::parse(b"ABCD-EFGH-JKMN-PQR").is_none());
        assert!(RecoveryCode::parse("ABCD-EFGH-JKMN-PQRÅ".as_bytes()).is_none());
    }

    #[test]
    fn debug_shows_no_code() {
        assert_eq!(format!("{:?}", RecoveryCode::generate().unwrap()), "RecoveryCode(redacted)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(typed in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = RecoveryCode::parse(&typed);
        }
    }
}
