//! The marker: a directory whose marker opens with our key is our store, and an account without a record
//! there is unenrolled. The same text stands in the store's directory and among the accounts: either can be
//! emptied, or not be mounted, without the other.

use super::file::FileStore;
use super::layout::{ACCOUNTS, SMALL_LIMIT};
use super::{Readers, Scope, SealKey, StoreError, TrustError, open_file, read_all};
use qrtotp_account::KeyId;
use qrtotp_account::toml_subset::{Document, NotPlain, Writer};
use qrtotp_otp::{base32_decode, base32_encode};
use std::os::fd::AsFd;
use std::path::Path;

/// Its name in the store's directory.
pub(super) const MARKER: &str = "store.toml";
/// Its name among the accounts. No account's directory has such a spelling. Unlike a dot file, `rm
/// accounts/*` removes it too, so an emptied store is recognised.
pub(super) const INNER: &str = "%store.toml";
const VERSION: u32 = 1;

/// The text of a new store's marker.
pub(super) fn marker_text(key: &SealKey, store: [u8; 16]) -> Result<String, StoreError> {
    let mut out = Writer::default();
    out.number("version", VERSION);
    out.text("store", &base32_encode(&store));
    out.text("key", &key.id().to_string());
    key.seal_text(Scope::Marker, "", &out.finish()).map_err(|_| StoreError::Marker(MARKER.into()))
}

/// A marker's version, store and key.
fn parse(text: &str) -> Result<(u32, String, String), NotPlain> {
    let mut document = Document::parse(text)?;
    let mut table = document.table("").ok_or(NotPlain)?;
    let fields = (table.number("version")?, table.text("store")?.into(), table.text("key")?.into());
    table.finish()?;
    document.finish()?;
    Ok(fields)
}

impl FileStore {
    /// Proves that this directory is the store of the key, and that it holds the same store's accounts.
    ///
    /// # Errors
    /// A marker is missing, damaged, of another key or of another store.
    pub fn check_marker(&self) -> Result<(), StoreError> {
        let outer = self.check_outer_marker()?;
        let path = self.path.join(ACCOUNTS).join(INNER);
        if *read_marker(&self.accounts, INNER, &path)? == *outer {
            Ok(())
        } else {
            Err(StoreError::Marker(path))
        }
    }

    /// The text of the marker in the store's directory, if it is whole and the key's.
    pub(super) fn check_outer_marker(&self) -> Result<Vec<u8>, StoreError> {
        let path = self.path.join(MARKER);
        let bytes = read_marker(&self.root, MARKER, &path)?;
        let damaged = || StoreError::Marker(path.clone());
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        // Read before the seal is checked, only to name the missing key.
        let (_, body) = text.split_once('\n').ok_or_else(damaged)?;
        let (version, store, key) = parse(body).map_err(|NotPlain| damaged())?;
        let expected: KeyId = key.parse().map_err(|_| damaged())?;
        if expected != self.key.id() {
            return Err(StoreError::WrongKey { path, expected, found: self.key.id() });
        }
        self.key.open_text(Scope::Marker, "", text).map_err(|_| damaged())?;
        if version != VERSION || base32_decode(&store).is_err() {
            return Err(damaged());
        }
        Ok(bytes)
    }
}

fn read_marker(dir: impl AsFd, name: &str, path: &Path) -> Result<Vec<u8>, StoreError> {
    let file = match open_file(&dir, name, path, false, Readers::OwnerOnly) {
        Err(TrustError::Missing(path)) => return Err(StoreError::Missing(path)),
        other => other?,
    };
    Ok(read_all(&file, path, SMALL_LIMIT)?)
}
