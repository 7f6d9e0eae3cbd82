//! Codes for people: letters that are read out, written down and typed back. Kept only as salted password
//! hashes.

use super::id::CROCKFORD;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use qrtotp_otp::{RandomError, fill_random};
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// A recovery code: 16 letters, 80 bits.
pub type RecoveryCode = HumanCode<16>;
/// The one-time code that belongs to an enrolment token: 8 letters, 40 bits, what NIST SP 800-63B-4 asks of a
/// binding code.
pub type TokenCode = HumanCode<8>;
/// A one-time code of eight digits (26 bits) that another system gave out.
pub type ScratchCode = HumanCode<8>;

/// Letters between two dashes of a shown code.
const GROUP: usize = 4;
/// Bytes of a salt.
pub const SALT_LEN: usize = 16;
/// A hash of a code.
pub type Hash = [u8; 16];

/// Not enough memory for hashing.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("not enough memory to hash a code (19 MiB are needed)")]
pub struct HashError;

/// A code as generated or typed, five bits a letter. Wiped when dropped, never shown by `Debug`.
// On the heap, because moving an array would leave copies of it on the stack.
pub struct HumanCode<const LETTERS: usize>(Zeroizing<Box<[u8]>>);

impl<const LETTERS: usize> HumanCode<LETTERS> {
    /// A fresh code from the operating system's random source.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate() -> Result<Self, RandomError> {
        let mut code = Self::zeroes();
        fill_random(&mut code.0)?;
        for byte in code.0.iter_mut() {
            *byte = CROCKFORD[usize::from(*byte & 31)];
        }
        Ok(code)
    }

    fn zeroes() -> Self {
        Self(Zeroizing::new(vec![0; LETTERS].into_boxed_slice()))
    }

    /// Whether the last group, as displayed, was typed. The whole code stays valid, so users must not type it
    /// where it is echoed.
    #[must_use]
    pub fn ends_with(&self, typed: &[u8]) -> bool {
        let group = HumanCode::<GROUP>::parse(typed);
        let last = self.0.len().saturating_sub(GROUP);
        group.is_some_and(|group| group.0.ct_eq(&self.0[last..]).into())
    }

    /// Reads a typed code: case, spaces and dashes don't matter, and letters outside Crockford's alphabet
    /// become the digits they look like. `None` if the text is not shaped like a code.
    #[must_use]
    pub fn parse(typed: &[u8]) -> Option<Self> {
        let mut code = Self::zeroes();
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

    /// Whether it is more than digits.
    pub(super) fn has_a_letter(&self) -> bool {
        self.0.iter().any(u8::is_ascii_alphabetic)
    }

    /// Whether two codes are the same, without an early exit.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The code as it is shown, once: in groups of four.
    #[must_use]
    pub fn display(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(LETTERS + LETTERS / GROUP));
        for (i, &letter) in self.0.iter().enumerate() {
            if i > 0 && i % GROUP == 0 {
                out.push('-');
            }
            out.push(char::from(letter));
        }
        out
    }
}

impl<const LETTERS: usize> fmt::Debug for HumanCode<LETTERS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HumanCode(redacted)")
    }
}

/// Argon2id (RFC 9106) with 19 MiB, two passes, one lane. Takes about 20 ms: run it outside every lock and
/// only after the throttle allowed the attempt.
///
/// # Errors
/// Not enough memory.
pub fn hash<const LETTERS: usize>(
    code: &HumanCode<LETTERS>,
    salt: &[u8; SALT_LEN],
) -> Result<Hash, HashError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_recovery_code_is_never_mistaken_for_a_code_of_an_app() {
        assert!(RecoveryCode::parse(b"123456").is_none());
        assert!(RecoveryCode::parse(b"ABCD-EFGH-JKMN-PQR").is_none());
        assert!(RecoveryCode::parse("ABCD-EFGH-JKMN-PQRÅ".as_bytes()).is_none());
    }

    /// Which letters 1,000 codes have at each of their places. One of 32 is missing somewhere in one run of
    /// 80 thousand million.
    fn letters_at_each_place(generate: impl Fn() -> Zeroizing<String>) -> Vec<BTreeSet<u8>> {
        let mut seen = Vec::new();
        for _ in 0..1000 {
            let shown: Vec<u8> = generate().bytes().filter(|&byte| byte != b'-').collect();
            seen.resize(shown.len(), BTreeSet::new());
            seen.iter_mut().zip(shown).for_each(|(letters, letter)| _ = letters.insert(letter));
        }
        seen
    }

    #[test]
    fn a_tokens_code_has_forty_random_bits_and_a_recovery_code_eighty() {
        let alphabet: BTreeSet<u8> = CROCKFORD.iter().copied().collect();
        let token = letters_at_each_place(|| TokenCode::generate().unwrap().display());
        let recovery = letters_at_each_place(|| RecoveryCode::generate().unwrap().display());
        for (places, bits) in [(token, 40), (recovery, 80)] {
            assert!(places.iter().all(|letters| *letters == alphabet), "{places:?}");
            assert_eq!(places.iter().map(|letters| letters.len().ilog2()).sum::<u32>(), bits);
        }
    }

    #[test]
    fn hashes_are_those_of_another_implementation_so_that_kept_ones_stay_good() {
        // By argon2-cffi 25.1 (the reference implementation in C): Argon2id, version 0x13, m=19456, t=2, p=1.
        let salt = std::array::from_fn(|place| u8::try_from(place).unwrap());
        let code = RecoveryCode::parse(b"abcd-efgh-jkmn-pqrs").unwrap();
        let expected = 0x7af1_7c71_8c52_af06_b695_e1f7_6c5c_ab22_u128;
        assert_eq!(hash(&code, &salt).unwrap(), expected.to_be_bytes());
        let another = RecoveryCode::parse(b"abcd-efgh-jkmn-pqrt").unwrap();
        assert_ne!(hash(&another, &salt).unwrap(), expected.to_be_bytes());
    }

    #[test]
    fn a_code_is_shown_in_groups_of_four_and_is_the_same_however_it_is_typed() {
        let code = RecoveryCode::parse(b"oil0 abcd-efgh\tjkmn\r\n").unwrap();
        assert_eq!(*code.display(), "0110-ABCD-EFGH-JKMN");
        assert!(code.is_same(&RecoveryCode::parse(b"0110abcdefghjkmn").unwrap()));
        assert!(!code.is_same(&RecoveryCode::parse(b"0110abcdefghjkmp").unwrap()));
    }

    #[test]
    fn the_last_group_of_a_code_is_known_however_it_is_typed_and_nothing_else_is() {
        let code = RecoveryCode::parse(b"ABCD-EFGH-JKMN-0123").unwrap();
        for typed in ["0123", " 0123\r\n", "ol23", "O1 23", "-0123"] {
            assert!(code.ends_with(typed.as_bytes()), "{typed}");
        }
        for typed in ["", "123", "JKMN", "N0123", "00123", "ABCD-EFGH-JKMN-0123", "0124"] {
            assert!(!code.ends_with(typed.as_bytes()), "{typed}");
        }
    }

    #[test]
    fn debug_shows_no_code() {
        assert_eq!(format!("{:?}", RecoveryCode::generate().unwrap()), "HumanCode(redacted)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(typed in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = RecoveryCode::parse(&typed);
        }
    }
}
