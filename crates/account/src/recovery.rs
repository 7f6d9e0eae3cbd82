//! Recovery codes: one-time, stored only as hashes under one salt for the set.
//!
//! NIST SP 800-63B-4 §3.1.2 (look-up secrets): once only; below 112 bits salted and password-hashed.

use super::SetId;
use super::human_code::{Hash, HashError, RecoveryCode, SALT_LEN, ScratchCode, hash};
use qrtotp_otp::{RandomError, random_bytes};
use qrtotp_values::UnixTime;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The issuer of a set's codes, and so their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// Ours: 16 letters, 80 bits.
    Ours,
    /// Another system's: eight digits, 26 bits. A guess at one is also a guess at an app's code, and is
    /// counted there.
    Imported,
    /// Ours, for a fleet's login host: taken there while no verifier answers, and at no other time.
    Offline,
}

/// The recovery codes of an account, as hashes. The hot state says which ones are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverySet {
    /// The set's id; used-marks of another set don't count for it.
    pub id: SetId,
    /// Ours or another system's.
    pub kind: SetKind,
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
    /// Codes in a set for a fleet's login host.
    pub const OFFLINE_CODES: usize = 5;

    /// A fresh set and its codes, to be shown once.
    ///
    /// # Errors
    /// No random numbers, or no memory for hashing.
    pub fn generate(now: UnixTime) -> Result<(Self, Vec<RecoveryCode>), GenerateError> {
        Self::of_kind(SetKind::Ours, Self::CODES, now)
    }

    /// The same for a fleet's login host.
    ///
    /// # Errors
    /// As [`RecoverySet::generate`].
    pub fn offline(now: UnixTime) -> Result<(Self, Vec<RecoveryCode>), GenerateError> {
        Self::of_kind(SetKind::Offline, Self::OFFLINE_CODES, now)
    }

    fn of_kind(
        kind: SetKind,
        count: usize,
        now: UnixTime,
    ) -> Result<(Self, Vec<RecoveryCode>), GenerateError> {
        let salt = random_bytes()?;
        let id = SetId::from_random(random_bytes()?);
        let mut codes = Vec::with_capacity(count);
        let mut hashes = Vec::with_capacity(count);
        for _ in 0..count {
            let code = RecoveryCode::generate()?;
            hashes.push(hash(&code, &salt)?);
            codes.push(code);
        }
        Ok((Self { id, kind, created: now, salt, hashes }, codes))
    }

    /// A set of another system's codes, at most 32 of them.
    ///
    /// # Errors
    /// As [`RecoverySet::generate`].
    pub fn imported(codes: &[ScratchCode], now: UnixTime) -> Result<Self, GenerateError> {
        let salt = random_bytes()?;
        let id = SetId::from_random(random_bytes()?);
        let hashes = codes.iter().map(|code| hash(code, &salt)).collect::<Result<_, _>>()?;
        Ok(Self { id, kind: SetKind::Imported, created: now, salt, hashes })
    }

    /// The index of the code with the hash `guess`, without an early exit.
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
}
