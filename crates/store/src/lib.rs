//! The store of accounts: trait [`Store`], files, locks, sealing. The only code of a login that uses the file
//! system.
//!
//! An account is two files: `account.toml` (cold, changes on enrolment and administration) and `state` (hot,
//! changes on every login, overwritten in place). docs/FILEFORMAT.md describes both. Knows nothing of PAM and
//! decides nothing: decisions come in as closures. Begin with [`Store::change_state`].
//!
//! ```
//! use qrtotp_store::FileStore;
//! use std::path::Path;
//! let error = FileStore::open(Path::new("/nowhere/store"), Path::new("/nowhere")).unwrap_err();
//! assert_eq!(error.reason(), "store_missing");
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod account_store;
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

pub use account_store::AccountStore;
pub use dummy_account::dummy_record;
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

/// A store of accounts, on this host or shared by many. The functions passed to the updates are pure and may
/// run more than once: a shared store repeats them on a conflict. Hashing, random numbers, look-ups and
/// events stay outside them. Most callers want a result: see [`StoreExt`].
pub trait Store {
    /// The key that opens the secrets of this store.
    fn key(&self) -> &SealKey;

    /// Reads an account without waiting for a lock. `None`: no record, in a store that proved to be the right
    /// one.
    ///
    /// # Errors
    /// The store or the record can't be trusted or read.
    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError>;

    /// Changes the hot part: lock, read, `f`, write, make durable; only then does it return. True: what the
    /// last run of `f` did is durable. False: there is no record, and nothing of any run was kept. Nothing is
    /// allocated after `f`, and `f` should allocate nothing after a decision: the process could end there.
    ///
    /// # Errors
    /// As [`Store::load`]; the lock was not free in time; the new state could not be made durable.
    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError>;

    /// Does the disk I/O of [`Store::change_state`] for no account. Refusing unknown, unenrolled and
    /// throttled users must cost the same as a wrong code of an enrolled account, or timing reveals who is
    /// enrolled. `f` gets a record of that shape with a throttle that never waits; its result is discarded.
    /// Takes no lock, never fails.
    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State));

    /// Changes or makes an account. `f` sees `None` if there is no record and may fill it in. It can change
    /// an existing record but not remove it.
    ///
    /// # Errors
    /// As [`Store::change_state`]. The old state is then intact, unless the error is [`StoreError::Unsure`].
    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError>;
}

/// Updates that return what their function found.
pub trait StoreExt: Store {
    /// As [`Store::change_state`]. `None`: no record.
    ///
    /// # Errors
    /// As [`Store::change_state`].
    fn update_state<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&Record, &mut State) -> T,
    ) -> Result<Option<T>, StoreError> {
        let mut result = None;
        let is_kept = self.change_state(name, &mut |record, state| result = Some(f(record, state)))?;
        Ok(result.filter(|_| is_kept))
    }

    /// As [`Store::change_account`].
    ///
    /// # Errors
    /// As [`Store::change_account`].
    fn update_account<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&mut Option<Account>) -> T,
    ) -> Result<T, StoreError> {
        let mut result = None;
        self.change_account(name, &mut |account| result = Some(f(account)))?;
        result.ok_or(StoreError::Busy) // always there: it ran at least once
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

/// Failures of the primary factor that the broker counts. They are not part of a record: users without a
/// record are counted too, and no login reads them.
pub trait PrimaryFailures {
    /// Changes the count of `name`: lock, read, `f`, make durable.
    ///
    /// # Errors
    /// The store can't be trusted or read, its lock was not free in time, or the new count could not be made
    /// durable.
    fn update_primary(&self, name: &Name, f: &mut dyn FnMut(&mut FailureCounter)) -> Result<(), StoreError>;
}
