//! A store that notes whether it failed: a flow denies then, and another verifier may know more.

use qrtotp_account::{Name, Record, State};
use qrtotp_store::{Account, SealKey, Store, StoreError};
use std::cell::Cell;

pub struct ObservedStore<S> {
    store: S,
    failed: Cell<bool>,
}

impl<S> ObservedStore<S> {
    pub fn new(store: S) -> Self {
        Self { store, failed: Cell::new(false) }
    }

    /// Whether the store failed, other than by a damaged record.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    fn observe<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.as_ref().is_err_and(|error| !error.is_record_fault()) {
            self.failed.set(true);
        }
        result
    }
}

impl<S: Store> Store for ObservedStore<S> {
    fn key(&self) -> &SealKey {
        self.store.key()
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        self.observe(self.store.load(name))
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        self.observe(self.store.change_state(name, f))
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        self.store.simulate(f);
    }

    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        self.observe(self.store.change_account(name, f))
    }
}
