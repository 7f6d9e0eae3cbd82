//! The store in etcd, and requests to it that notice a restored backup.

use crate::directory::{OwnDirectory, User};
use crate::engine::{Engine, EngineError, Op, Reply, Txn, revision_of};
use crate::error::FleetError;
use crate::failures::Counters;
use crate::guard::{Guard, NO_STORE, StoreCheck, TRY, of_read, open_meta};
use crate::journal::{Journal, JournalLine, newest};
use crate::keys::{self, HostName};
use crate::limit::{EACH, Left, Limit};
use crate::memory::Memory;
use crate::merge::{Merged, Restored, merge};
use crate::noted::Noted;
use crate::ring::{Ring, local};
use crate::values::{Condition, Meta, Value};
use qrtotp_account::{Name, Record};
use qrtotp_otp::random_bytes;
use qrtotp_store::dummy_record;
use qrtotp_values::UnixTime;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A verifier's own part of the store.
pub struct Options {
    /// The fleet's keys.
    pub ring: Ring,
    /// This verifier's name.
    pub verifier: HostName,
    /// A directory of its own for what it has seen, and its journal; it must survive a reboot.
    pub directory: PathBuf,
}

/// The accounts of a fleet. One per process; its threads share it.
pub struct FleetStore {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) ring: Ring,
    pub(crate) verifier: HostName,
    pub(crate) journal: Journal,
    pub(crate) guard: Guard,
    pub(crate) failures: Counters,
    pub(crate) noted: Noted,
    pub(crate) memory: Memory,
    /// The record that refusals for nobody read.
    pub(crate) dummy: Record,
}

impl FleetStore {
    /// Opens the store for the verifier's daemon. etcd is asked only when the store is used.
    ///
    /// # Errors
    /// Another daemon has the directory; the verifier's own files can't be read or written.
    pub fn open(engine: Arc<dyn Engine>, options: Options) -> Result<Self, FleetError> {
        let user = User::daemon(&options.directory)?;
        let store = Self::open_as(user, engine, options)?;
        if let Some(id) = store.guard.store() {
            let _ = store.journal.compact(&store.ring, &id); // a long journal does no harm
        }
        Ok(store)
    }

    /// Opens the store for a command on a verifier, whether its daemon runs or not.
    ///
    /// # Errors
    /// The verifier's own files can't be read or written.
    pub fn open_beside(engine: Arc<dyn Engine>, options: Options) -> Result<Self, FleetError> {
        Self::open_as(User::Command, engine, options)
    }

    fn open_as(user: User, engine: Arc<dyn Engine>, options: Options) -> Result<Self, FleetError> {
        let Options { ring, verifier, directory } = options;
        let name = Name::new("decoy").map_err(|error| local(&error))?;
        let dummy = dummy_record(ring.current(), name).map_err(|error| local(&error))?;
        let journal = Journal::open(&directory)?;
        let guard =
            Guard::new(Arc::clone(&engine), verifier.clone(), OwnDirectory { path: directory, user })?;
        Ok(Self {
            engine,
            ring,
            verifier,
            journal,
            guard,
            failures: Counters::default(),
            noted: Noted::default(),
            memory: Memory::default(),
            dummy,
        })
    }

    /// Makes an empty store in etcd.
    ///
    /// # Errors
    /// There is a store already; etcd does not answer.
    pub fn create(engine: &dyn Engine, ring: &Ring) -> Result<(), FleetError> {
        let store = random_bytes().map_err(|error| local(&error))?;
        let meta = Meta { store, generation: 1, fence: 0, restored_generation: 0, restored_revision: 0 };
        let value = ring.seal(&NO_STORE, &keys::meta(), &meta.to_bytes())?;
        if !engine.list(&keys::accounts(), "", 1, TRY).map_err(of_read)?.entries.is_empty() {
            return Err(FleetError::Made);
        }
        let compare = vec![(keys::meta(), 0)];
        let put = vec![Op::Put(keys::meta(), value)];
        if !engine.transact(&Txn { compare, then: put, otherwise: Vec::new() }, TRY)?.equal {
            return Err(FleetError::Made);
        }
        Ok(())
    }

    /// Makes durable what this verifier has seen, and writes its witness. Call it every 5 s; after a restored
    /// backup it fails until the restore is accepted.
    ///
    /// # Errors
    /// The store is older than what was seen; etcd or the verifier's files fail.
    pub fn keep_witness(&self, now: UnixTime) -> Result<(), FleetError> {
        match self.guard.keep_witness(&self.ring, now)? {
            StoreCheck::Same => Ok(()),
            StoreCheck::Restored(meta) => self.join_restored(&meta).map(|_| ()),
        }
    }

    /// Sets what the next witnesses say of this verifier.
    pub fn describe(&self, condition: Condition) {
        self.guard.describe(condition);
    }

    /// Looks at the store, and joins it if a restore was accepted at another verifier.
    pub(crate) fn check(&self, left: &Left<'_>) -> Result<(), FleetError> {
        let late = || FleetError::NoQuorum("no time was left".to_owned());
        match self.guard.check(&self.ring, left.next().ok_or_else(late)?)? {
            StoreCheck::Same => Ok(()),
            StoreCheck::Restored(meta) => self.join_restored(&meta).map(|_| ()),
        }
    }

    /// Makes our own changes again that the restored backup lacked, before anything else is answered.
    fn join_restored(&self, meta: &Meta) -> Result<Merged, FleetError> {
        let lines = newest(&self.ring, &meta.store, &[self.journal.path().to_owned()])?;
        let reply = self.engine.transact(&Txn::read(&[&keys::meta()]), TRY).map_err(of_read)?;
        let revision = revision_of(reply.values.first().and_then(Option::as_ref));
        let (generation, last) = (meta.restored_generation, Some(meta.restored_revision));
        let lines: BTreeMap<String, JournalLine> =
            lines.into_iter().filter(|(_, line)| line.at.0 < meta.generation).collect();
        let restored = Restored { generation, revision: last };
        let merged = merge(&*self.engine, &self.ring, (meta, revision), restored, &lines)?;
        self.guard.adopt(&self.ring, meta)?;
        // A backup of this generation may have been made before them.
        let at = (meta.generation, self.guard.revision());
        let again = lines.into_values().filter(|line| merged.applied.contains(&line.key));
        let again: Vec<JournalLine> = again.map(|line| JournalLine { at, ..line }).collect();
        self.journal.add(&self.ring, &meta.store, &again)?;
        Ok(merged)
    }

    /// Reads keys, the first of which is the meta value's. An unclear error is no harm: it is tried again.
    pub(crate) fn read(&self, keys: &[&str], left: &Left<'_>) -> Result<Reply, FleetError> {
        let mut failed = FleetError::NoQuorum("no time was left".to_owned());
        while let Some(time) = left.next() {
            let floor = self.guard.floor();
            let wait = left.wait();
            let answer = self.engine.transact(&Txn::read(keys), time);
            drop(wait);
            let reply = match answer {
                Ok(reply) => reply,
                Err(error @ EngineError::Unknown(_)) => {
                    failed = of_read(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let generation = self.generation_in(&reply)?;
            if generation.is_some() && self.guard.admits(&reply, floor, generation) {
                return Ok(reply);
            }
            self.check(left)?;
        }
        Err(failed)
    }

    pub(crate) fn generation_in(&self, reply: &Reply) -> Result<Option<u64>, FleetError> {
        let Some(Some(stored)) = reply.values.first() else { return Ok(None) };
        Ok(Some(open_meta(&self.ring, stored)?.generation))
    }

    /// Sends a transaction with compares. An error of [`EngineError::Unknown`] has to be resolved by reading.
    pub(crate) fn send(&self, txn: &Txn, left: &Left<'_>) -> Result<Reply, EngineError> {
        let late = || EngineError::NotSent("no time was left".to_owned());
        let time = left.next().ok_or_else(late)?;
        let _wait = left.wait();
        self.engine.transact(txn, time)
    }

    /// The store's meta value.
    ///
    /// # Errors
    /// etcd does not answer, or its store is older than what was seen.
    pub fn meta(&self) -> Result<Meta, FleetError> {
        let limit = Limit::Each(EACH);
        let reply = self.read(&[&keys::meta()], &limit.start())?;
        let stored = reply.values.first().and_then(Option::as_ref).ok_or(FleetError::NotMade)?;
        open_meta(&self.ring, stored)
    }

    /// This verifier's name.
    #[must_use]
    pub fn verifier(&self) -> &HostName {
        &self.verifier
    }

    /// This verifier's journal: [`FleetStore::accept_restore`] takes those of all verifiers.
    #[must_use]
    pub fn journal(&self) -> &std::path::Path {
        self.journal.path()
    }
}
