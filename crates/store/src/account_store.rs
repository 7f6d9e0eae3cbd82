//! A store as an administrator's commands use it.

use super::{FileStore, PrimaryFailures, Store, StoreError};
use qrtotp_account::{Name, RecordId, State};

/// Lists, renames and removes accounts.
pub trait AccountStore: Store + PrimaryFailures {
    /// The names of all accounts that have a record, in no order.
    ///
    /// # Errors
    /// The store can't be read.
    fn names(&self) -> Result<Box<dyn Iterator<Item = Name> + '_>, StoreError>;

    /// True if there is a record of that name, readable or not.
    ///
    /// # Errors
    /// The store can't be trusted or read.
    fn has_record(&self, name: &Name) -> Result<bool, StoreError>;

    /// Seals the record of `old` for `new` and `uid`; both names may be the same. `f` changes the state and
    /// gets the former uid. Returns that uid, or `None` if `old` has no record.
    ///
    /// # Errors
    /// The store or the record can't be trusted, read or written; `new` has a record.
    fn rename_account(
        &self,
        old: &Name,
        new: (&Name, u32),
        f: &mut dyn FnMut(u32, &mut State),
    ) -> Result<Option<u32>, StoreError>;

    /// The id that the record of an account shows, though nothing proves it; `None`: it shows none.
    fn unproven_id(&self, name: &Name) -> Option<RecordId>;

    /// Deletes the record of an account, readable or not. False if it has none.
    ///
    /// # Errors
    /// The store can't be trusted, read or written.
    fn remove_account(&self, name: &Name) -> Result<bool, StoreError>;

    /// Deletes the count of an account's wrong passwords, if the store has one.
    ///
    /// # Errors
    /// The store can't be written.
    fn forget_primary(&self, name: &Name) -> Result<(), StoreError>;

    /// The account's last audit lines, as logged but without `detail`, in no order; and its state.
    ///
    /// # Errors
    /// As [`Store::load`].
    fn last_lines(&self, name: &Name) -> Result<Option<(State, Vec<String>)>, StoreError>;
}

impl AccountStore for FileStore {
    fn names(&self) -> Result<Box<dyn Iterator<Item = Name> + '_>, StoreError> {
        Ok(Box::new(self.names()?))
    }

    fn has_record(&self, name: &Name) -> Result<bool, StoreError> {
        self.has_record(name)
    }

    fn rename_account(
        &self,
        old: &Name,
        new: (&Name, u32),
        f: &mut dyn FnMut(u32, &mut State),
    ) -> Result<Option<u32>, StoreError> {
        self.rename_account(old, new, f)
    }

    fn unproven_id(&self, name: &Name) -> Option<RecordId> {
        self.unproven_id(name)
    }

    fn remove_account(&self, name: &Name) -> Result<bool, StoreError> {
        self.remove_account(name)
    }

    fn forget_primary(&self, name: &Name) -> Result<(), StoreError> {
        self.forget_primary(name)
    }

    fn last_lines(&self, name: &Name) -> Result<Option<(State, Vec<String>)>, StoreError> {
        self.last_lines(name)
    }
}
