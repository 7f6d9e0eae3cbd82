//! The store as one request uses it. Other processes may hold an account's lock for seconds, even on purpose
//! (a setuid program frozen by its user). So a request that waits for a lock gives up its turn, and only a
//! few of one user may wait.

use crate::PROGRAM;
use crate::work_limits::{Limit, WorkPermit};
use qrtotp_account::{FailureCounter, Name, Record, State};
use qrtotp_audit::Subject;
use qrtotp_frontend::host_chain::HostChain;
use qrtotp_policy::ConfigFile;
use qrtotp_store::{Account, FileStore, PrimaryFailures, SealKey, Store, StoreError};
use std::cell::Cell;

pub struct RequestStore<'a> {
    /// Fails at once if a lock is held.
    store: FileStore,
    source: &'a ConfigFile,
    turn: &'a WorkPermit,
    waits: &'a Limit,
    uid: Cell<u32>,
    killed_holder: Cell<Option<i32>>,
}

impl<'a> RequestStore<'a> {
    /// A store for a request of `uid`, which holds the `turn`.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open(
        source: &'a ConfigFile,
        turn: &'a WorkPermit,
        waits: &'a Limit,
        uid: u32,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            store: source.open_store()?.without_waiting(),
            source,
            turn,
            waits,
            uid: Cell::new(uid),
            killed_holder: Cell::new(None),
        })
    }

    /// Runs `access`. If a lock is held, runs it again without a turn and with a store that waits for the
    /// lock.
    fn wait_without_turn<T>(
        &self,
        mut access: impl FnMut(&FileStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match access(&self.store) {
            Err(StoreError::Busy) => {}
            done => return done,
        }
        let _place = self.waits.begin(&self.uid.get()).ok_or(StoreError::Busy)?;
        self.turn.away(|| {
            let store = self.source.open_store()?;
            let done = access(&store);
            self.killed_holder.set(store.take_killed_holder().or(self.killed_holder.take()));
            done
        })
    }

    /// The host's chain. Its lines name no user: they are kept longer than an account.
    pub fn host_chain(&self) -> HostChain {
        let subject = Subject { service: PROGRAM.into(), ..Subject::default() };
        HostChain::of(&self.source.config.state_dir.0, Some(&self.source.dir_path), PROGRAM, subject)
    }

    /// From now on counts its waits for the account `uid`.
    pub fn wait_as(&self, uid: u32) {
        self.uid.set(uid);
    }

    /// As [`FileStore::take_killed_holder`].
    pub fn take_killed_holder(&self) -> Option<i32> {
        self.killed_holder.take()
    }
}

impl Store for RequestStore<'_> {
    fn key(&self) -> &SealKey {
        self.store.key()
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        self.wait_without_turn(|store| store.load(name))
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        self.wait_without_turn(|store| store.change_state(name, f))
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        self.store.simulate(f); // takes no lock
    }

    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        self.wait_without_turn(|store| store.change_account(name, f))
    }
}

impl PrimaryFailures for RequestStore<'_> {
    fn update_primary(&self, name: &Name, f: &mut dyn FnMut(&mut FailureCounter)) -> Result<(), StoreError> {
        self.wait_without_turn(|store| store.update_primary(name, f))
    }
}
