//! Where accounts live: trait [`Store`], files, locks, sealing. The only code of a login that touches the
//! file system.
//!
//! An account is two files: `account.toml` (cold, changes on enrolment and administration) and `state` (hot,
//! changes on every login, overwritten in place). docs/FILEFORMAT.md describes both. Knows no PAM and makes
//! no decision: those come in as closures. Begin with [`Store::update_state`].
//!
//! ```
//! use qrtotp_store::FileStore;
//! use std::path::Path;
//! let error = FileStore::open(Path::new("/nowhere/store"), Path::new("/nowhere")).unwrap_err();
//! assert_eq!(error.reason(), "store_missing");
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod create;
mod critical;
mod dummy_account;
mod error;
mod file;
mod holder;
mod layout;
mod lock;
mod marker;
mod primary;
mod record;
mod rename;
mod seal;
mod slot;
#[cfg(test)]
mod tests;
mod trusted;
mod update;

pub use error::StoreError;
pub use file::FileStore;
pub use seal::{Scope, SealError, SealKey};
pub use trusted::{Readers, TrustError, TrustedFile, open_dir, open_file, read_all};
use trusted::{entries, errno, open_private_dir, read_exact};

use qrtotp_account::{FailureCounter, Name, Record, State};

/// Both parts of an account's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The cold part.
    pub record: Record,
    /// The hot part.
    pub state: State,
}

/// Where accounts live. The functions given to the updates are pure and may run more than once: a shared
/// store repeats them on a conflict. Hashing, random numbers, look-ups and events stay outside them.
pub trait Store {
    /// The key that opens the secrets of this store.
    fn key(&self) -> &SealKey;

    /// Reads an account without waiting for anybody. `None`: no record, in a store that proved to be the
    /// right one.
    ///
    /// # Errors
    /// The store or the record can't be trusted or read.
    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError>;

    /// Changes the hot part: lock, read, `f`, write, make durable; only then does it return. It allocates
    /// nothing after `f`, and neither should `f` after a decision: the process could end there.
    ///
    /// # Errors
    /// As [`Store::load`]; the lock was not to be had in time; the new state could not be made durable.
    fn update_state<T>(
        &self,
        name: &Name,
        f: impl FnMut(&Record, &mut State) -> T,
    ) -> Result<Option<T>, StoreError>;

    /// The work of [`Store::update_state`] for nobody: what unknown, un-enrolled and throttled people are
    /// refused by must cost the disk what a wrong code costs an enrolled account, or the time tells who is
    /// one. `f` gets a record of that form with a throttle that never waits; what comes of it is lost. Takes
    /// no lock, fails never.
    fn simulate(&self, f: impl FnOnce(&Record, &mut State));

    /// Changes or makes an account. `f` sees `None` where there is no record and may fill it in; a record
    /// that is there it can change, not remove.
    ///
    /// # Errors
    /// As [`Store::update_state`]. The old state is then intact, except where [`StoreError::Unsure`] says that it may not be.
    fn update_account<T>(
        &self,
        name: &Name,
        f: impl FnMut(&mut Option<Account>) -> T,
    ) -> Result<T, StoreError>;

    /// Changes the count of failures of the primary factor that the broker has had checked for `name`: lock,
    /// read, `f`, make durable. It is no part of the record: whoever has none is counted, too, and no login
    /// looks at it.
    ///
    /// # Errors
    /// The store can't be trusted or read, its lock was not to be had, or the new count could not be made durable.
    fn update_primary<T>(
        &self,
        name: &Name,
        f: impl FnMut(&mut FailureCounter) -> T,
    ) -> Result<T, StoreError>;
}
