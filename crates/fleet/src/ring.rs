//! The fleet's keys. The first one seals; older ones still open what they sealed, until everything is sealed
//! anew.
//!
//! A sealed value is bound to its store and its key's name: copied elsewhere, it does not open.

use crate::error::FleetError;
use qrtotp_account::{KeyId, Record};
use qrtotp_otp::RandomError;
use qrtotp_store::{SealError, SealKey};
use zeroize::Zeroizing;

/// Version of sealed values.
const VERSION: u8 = 1;
/// Bytes of a store's id.
pub(crate) type StoreId = [u8; 16];

/// The fleet's keys.
#[derive(Debug)]
pub struct Ring {
    current: SealKey,
    older: Vec<SealKey>,
}

impl Ring {
    /// Seals with `current`; opens with each.
    #[must_use]
    pub fn new(current: SealKey, older: Vec<SealKey>) -> Self {
        Self { current, older }
    }

    /// A ring with a new key, and the text of its file.
    ///
    /// # Errors
    /// No random numbers.
    pub fn generate() -> Result<(Self, Zeroizing<String>), RandomError> {
        let (key, text) = SealKey::generate()?;
        Ok((Self::new(key, Vec::new()), text))
    }

    /// Reads the text of a file: a key a line, the newest first.
    ///
    /// # Errors
    /// It has no key, or a line that is none.
    pub fn parse(text: &[u8]) -> Result<Self, SealError> {
        let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
        let mut keys = lines.map(SealKey::parse).collect::<Result<Vec<_>, _>>()?;
        let older = keys.split_off(1);
        Ok(Self::new(keys.pop().ok_or(SealError::KeyFormat)?, older))
    }

    /// The key that seals.
    #[must_use]
    pub fn current(&self) -> &SealKey {
        &self.current
    }

    /// The ids of all keys, the one that seals first.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        std::iter::once(&self.current).chain(&self.older).map(SealKey::id).collect()
    }

    fn key(&self, id: KeyId) -> Option<&SealKey> {
        std::iter::once(&self.current).chain(&self.older).find(|key| key.id() == id)
    }

    /// A value for a key of a store.
    pub(crate) fn seal(&self, store: &StoreId, key: &str, plain: &[u8]) -> Result<Vec<u8>, FleetError> {
        let sealed = self.current.seal(plain, &binding(store, key)).map_err(|error| local(&error))?;
        Ok([&[VERSION], self.current.id().to_bytes().as_slice(), &sealed].concat())
    }

    /// The bytes in a value, and the key that sealed it.
    pub(crate) fn open(
        &self,
        store: &StoreId,
        key: &str,
        value: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, &SealKey), FleetError> {
        let damaged = |why| FleetError::Damaged { key: key.to_owned(), why };
        let (version, rest) = value.split_first().ok_or(damaged("it is empty"))?;
        if *version != VERSION {
            return Err(damaged("a version that this program does not know"));
        }
        let (id, sealed) = rest.split_first_chunk().ok_or(damaged("it is cut off"))?;
        let id = KeyId::from_bytes(*id).map_err(|_| damaged("it names no key"))?;
        let opener = self.key(id).ok_or_else(|| FleetError::KeyMissing(key.to_owned(), id.to_string()))?;
        let plain =
            opener.open(sealed, &binding(store, key)).map_err(|_| damaged("its seal does not open"))?;
        Ok((plain, opener))
    }

    /// Seals the secrets of a record anew, if they were sealed with an older key.
    pub(crate) fn renew(&self, record: &mut Record, sealed_with: &SealKey) -> Result<(), SealError> {
        if sealed_with.id() == self.current.id() {
            return Ok(());
        }
        self.current.seal_anew(record, sealed_with)
    }
}

pub(crate) fn local(error: &dyn std::fmt::Display) -> FleetError {
    FleetError::Local(error.to_string())
}

/// Names of keys hold no NUL, and a store's id has a fixed size: no two bindings share an encoding.
fn binding(store: &StoreId, key: &str) -> Vec<u8> {
    [b"qrtotp fleet 1\0".as_slice(), store, key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STORE: StoreId = [1; 16];

    fn key() -> SealKey {
        SealKey::generate().unwrap().0
    }

    #[test]
    fn a_value_opens_only_in_its_store_under_its_name() {
        let ring = Ring::new(key(), Vec::new());
        let value = ring.seal(&STORE, "a/alice/s", b"state").unwrap();
        assert_eq!(**ring.open(&STORE, "a/alice/s", &value).unwrap().0, *b"state");
        assert!(ring.open(&STORE, "a/bob/s", &value).is_err());
        assert!(ring.open(&[2; 16], "a/alice/s", &value).is_err());
    }

    #[test]
    fn a_file_of_keys_seals_with_the_first_and_opens_with_each() {
        let (old, old_text) = Ring::generate().unwrap();
        let value = old.seal(&STORE, "k", b"x").unwrap();
        let (new, new_text) = Ring::generate().unwrap();
        let ring = Ring::parse(format!("{}{}", *new_text, *old_text).as_bytes()).unwrap();
        assert_eq!(ring.current().id(), new.current().id());
        assert!(ring.open(&STORE, "k", &value).is_ok() && new.open(&STORE, "k", &value).is_err());
        assert!(Ring::parse(b"").is_err() && Ring::parse(b"x\n").is_err());
    }

    #[test]
    fn any_changed_bit_of_a_value_is_noticed() {
        let ring = Ring::new(key(), Vec::new());
        let value = ring.seal(&STORE, "k", b"state").unwrap();
        for bit in 0..value.len() * 8 {
            let mut bad = value.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.open(&STORE, "k", &bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_value_of_an_older_key_opens_and_one_of_an_unknown_key_names_it() {
        let (old_key, text) = SealKey::generate().unwrap();
        let old = Ring::new(old_key, Vec::new());
        let value = old.seal(&STORE, "k", b"x").unwrap();
        let ring = Ring::new(key(), vec![SealKey::parse(text.as_bytes()).unwrap()]);
        assert_eq!(ring.open(&STORE, "k", &value).unwrap().1.id(), old.current().id());
        let error = Ring::new(key(), Vec::new()).open(&STORE, "k", &value).unwrap_err();
        assert_eq!(error, FleetError::KeyMissing("k".to_owned(), old.current().id().to_string()));
    }
}
