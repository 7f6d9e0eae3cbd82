//! Encryption at rest: XChaCha20-Poly1305 with the host's sealing key.
//!
//! A sealed secret is bound to its account and credential: copied elsewhere, it does not open. A seal of the
//! same kind covers the whole text of a record, so no bit of it changes unnoticed.

use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use qrtotp_account::{Credential, KeyId, Name, Record, RecordId};
use qrtotp_otp::{Params, RandomError, Secret, Strength, base32_decode, base32_encode, random_bytes};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// A seal that could not be made or does not open. Says nothing about the contents.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum SealError {
    /// Made with another key, for something else, or changed since.
    #[error("a seal does not open: damaged, copied from elsewhere, or sealed with another key")]
    Broken,
    /// No random numbers for a nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The key file's text is not a sealing key.
    #[error("not a sealing key of a version that this program knows")]
    KeyFormat,
}

/// The sealing key. Wiped when dropped, never shown.
pub struct SealKey {
    id: KeyId,
    // On the heap, because moving it would leave copies of the key on the stack.
    cipher: Box<XChaCha20Poly1305>,
}

const KEY_MAGIC: &str = "qrtotp-seal-key-1";

impl SealKey {
    /// Makes a key and the text that its file holds.
    ///
    /// # Errors
    /// No random numbers.
    pub fn generate() -> Result<(Self, Zeroizing<String>), RandomError> {
        let id = KeyId::from_random(random_bytes()?);
        let bytes = Zeroizing::new(random_bytes::<32>()?);
        let text = Zeroizing::new(base32_encode(bytes.as_slice()));
        let file = Zeroizing::new(format!("{KEY_MAGIC} {id} {}\n", *text));
        Ok((Self { id, cipher: Box::new(XChaCha20Poly1305::new((&*bytes).into())) }, file))
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// Not such a text.
    pub fn parse(text: &[u8]) -> Result<Self, SealError> {
        let text = std::str::from_utf8(text).map_err(|_| SealError::KeyFormat)?;
        let mut fields = text.strip_suffix('\n').unwrap_or(text).split(' ');
        let (Some(KEY_MAGIC), Some(id), Some(key), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(SealError::KeyFormat);
        };
        let id = id.parse().map_err(|_| SealError::KeyFormat)?;
        let bytes = base32_decode(key).map_err(|_| SealError::KeyFormat)?;
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| SealError::KeyFormat)?;
        Ok(Self { id, cipher: Box::new(XChaCha20Poly1305::new(bytes.into())) })
    }

    /// The key's public name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Seals bytes that belong to `aad`.
    ///
    /// # Errors
    /// No random numbers.
    pub fn seal(&self, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = random_bytes::<NONCE>()?;
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad })
            .map_err(|_| SealError::Broken)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens bytes that were sealed for `aad`.
    ///
    /// # Errors
    /// They were changed, or sealed with another key or for something else.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad })
            .map_err(|_| SealError::Broken)?;
        Ok(Zeroizing::new(plain))
    }

    /// A keyed digest of 8 bytes for one record: the beginning of XChaCha20's key stream for a nonce made of
    /// both. Computing it needs the key, and it does not reveal `what`. Allocates nothing.
    #[must_use]
    pub fn digest(&self, record: RecordId, what: [u8; 8]) -> [u8; 16] {
        let (mut nonce, mut stream) = ([0; NONCE], [0; 16]);
        nonce[..16].copy_from_slice(&record.0);
        nonce[16..].copy_from_slice(&what);
        // Fails only for texts of 256 GiB.
        let _ = self.cipher.encrypt_inout_detached(&XNonce::from(nonce), &[], (&mut stream[..]).into());
        stream
    }

    /// Seals a secret for one credential of one record.
    ///
    /// # Errors
    /// No random numbers.
    pub fn seal_secret(
        &self,
        record: &Record,
        id: qrtotp_account::CredentialId,
        params: Params,
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        self.seal(secret.as_bytes(), &secret_binding(record, id, params))
    }

    /// Opens the secret of a credential of `record`.
    ///
    /// # Errors
    /// It was not sealed with this key for this credential of this account.
    pub fn open_secret(&self, record: &Record, credential: &Credential) -> Result<Secret, SealError> {
        let plain =
            self.open(&credential.sealed, &secret_binding(record, credential.id, credential.params))?;
        Secret::from_bytes(&plain, Strength::AllowWeak).map_err(|_| SealError::Broken)
    }

    /// The same record for another name or uid, with its secrets sealed anew.
    ///
    /// # Errors
    /// A secret does not open, or no random numbers.
    pub fn reseal(&self, record: &Record, name: &Name, uid: u32) -> Result<Record, SealError> {
        let mut new = Record { name: name.clone(), uid, ..record.clone() };
        let bound = Record::new(name.clone(), uid, record.id);
        let pending = new.pending.as_mut().map(|pending| &mut pending.credential);
        for credential in new.credentials.iter_mut().chain(pending) {
            let secret = self.open_secret(record, credential)?;
            credential.sealed = self.seal_secret(&bound, credential.id, credential.params, &secret)?;
        }
        Ok(new)
    }

    /// Seals the secrets of a record that `opener` sealed.
    ///
    /// # Errors
    /// A secret does not open, or no random numbers.
    pub fn seal_anew(&self, record: &mut Record, opener: &Self) -> Result<(), SealError> {
        let bound = Record::new(record.name.clone(), record.uid, record.id);
        let pending = record.pending.as_mut().map(|pending| &mut pending.credential);
        for credential in record.credentials.iter_mut().chain(pending) {
            let secret = opener.open_secret(&bound, credential)?;
            credential.sealed = self.seal_secret(&bound, credential.id, credential.params, &secret)?;
        }
        Ok(())
    }

    /// Puts a seal line in front of a text that belongs to `scope` and `name`.
    ///
    /// # Errors
    /// No random numbers.
    pub fn seal_text(&self, scope: Scope, name: &str, text: &str) -> Result<String, SealError> {
        let seal = self.seal(&[], &text_binding(scope, name, text))?;
        Ok(format!("seal = \"{}\"\n{text}", base32_encode(&seal)))
    }

    /// The text after a seal line, if the seal is whole.
    ///
    /// # Errors
    /// No seal line, or one that was made for another text, name, scope or key.
    pub fn open_text<'t>(&self, scope: Scope, name: &str, sealed: &'t str) -> Result<&'t str, SealError> {
        let (line, text) = sealed.split_once('\n').ok_or(SealError::Broken)?;
        let seal = line
            .strip_prefix("seal = \"")
            .and_then(|rest| rest.strip_suffix('"'))
            .ok_or(SealError::Broken)?;
        let seal = base32_decode(seal).map_err(|_| SealError::Broken)?;
        self.open(&seal, &text_binding(scope, name, text))?;
        Ok(text)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({}, redacted)", self.id)
    }
}

/// The kind of a sealed text, so that one kind is never accepted as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The store's marker.
    Marker,
    /// An account's record.
    Account,
}

fn text_binding(scope: Scope, name: &str, text: &str) -> Vec<u8> {
    let scope: &[u8] = match scope {
        Scope::Marker => b"qrtotp marker 1",
        Scope::Account => b"qrtotp account 1",
    };
    [scope, b"\0", name.as_bytes(), b"\0", text.as_bytes()].concat()
}

/// Names hold no NUL, the rest has fixed sizes: no two bindings share an encoding.
fn secret_binding(record: &Record, id: qrtotp_account::CredentialId, params: Params) -> Vec<u8> {
    let name: &Name = &record.name;
    [
        b"qrtotp secret 1\0".as_slice(),
        name.as_str().as_bytes(),
        b"\0",
        &record.uid.to_le_bytes(),
        &record.id.0,
        &id.to_bytes(),
        params.algorithm().as_str().as_bytes(),
        b"\0",
        &[params.digits()],
        &params.period().to_le_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_account::{CredentialId, Label, Origin, RecordId};

    fn record(name: &str) -> Record {
        Record::new(Name::new(name).unwrap(), 1000, RecordId([7; 16]))
    }

    fn credential(key: &SealKey, record: &Record, secret: &Secret) -> Credential {
        let (id, params) = (CredentialId::from_random([1; 6]), Params::default());
        let sealed = key.seal_secret(record, id, params, secret).unwrap();
        Credential {
            id,
            label: Label::default(),
            params,
            created: 0,
            origin: Origin::Enrolled,
            window: None,
            sealed,
        }
    }

    #[test]
    fn a_secret_opens_for_its_credential() {
        let (key, _) = SealKey::generate().unwrap();
        let secret = Secret::generate().unwrap();
        let alice = record("alice");
        let opened = key.open_secret(&alice, &credential(&key, &alice, &secret)).unwrap();
        assert!(opened == secret);
    }

    #[test]
    fn a_secret_copied_to_another_account_credential_or_uid_does_not_open() {
        let (key, _) = SealKey::generate().unwrap();
        let secret = Secret::generate().unwrap();
        let alice = record("alice");
        let sealed = credential(&key, &alice, &secret);
        assert!(key.open_secret(&record("bob"), &sealed).is_err());
        assert!(key.open_secret(&Record { uid: 1001, ..alice.clone() }, &sealed).is_err());
        let other = Credential { id: CredentialId::from_random([2; 6]), ..sealed.clone() };
        assert!(key.open_secret(&alice, &other).is_err());
        let weaker = Credential { params: Params::new(Default::default(), 8, 30).unwrap(), ..sealed };
        assert!(key.open_secret(&alice, &weaker).is_err());
    }

    #[test]
    fn another_key_opens_nothing() {
        let (key, _) = SealKey::generate().unwrap();
        let (other, _) = SealKey::generate().unwrap();
        let text = key.seal_text(Scope::Account, "alice", "x = 1\n").unwrap();
        assert!(other.open_text(Scope::Account, "alice", &text).is_err());
    }

    #[test]
    fn no_bit_of_a_sealed_text_changes_unnoticed() {
        let (key, _) = SealKey::generate().unwrap();
        let sealed = key.seal_text(Scope::Account, "alice", "x = 1\n").unwrap();
        assert_eq!(key.open_text(Scope::Account, "alice", &sealed).unwrap(), "x = 1\n");
        assert!(key.open_text(Scope::Account, "bob", &sealed).is_err());
        assert!(key.open_text(Scope::Marker, "alice", &sealed).is_err());
        for i in 0..sealed.len() {
            for bit in 0..7 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[i] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(key.open_text(Scope::Account, "alice", &changed).is_err(), "byte {i} bit {bit}");
            }
        }
    }

    #[test]
    fn a_key_file_reads_back_and_debug_shows_no_key() {
        let (key, file) = SealKey::generate().unwrap();
        assert_eq!(SealKey::parse(file.as_bytes()).unwrap().id(), key.id());
        assert!(SealKey::parse(b"qrtotp-seal-key-2 k-000000 AAAA\n").is_err());
        assert_eq!(format!("{key:?}"), format!("SealKey({}, redacted)", key.id()));
    }
}
