//! Accepts a restored backup: burns what may have been used since it was made.

use crate::engine::{Op, Txn, revision_of};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::guard::{NO_STORE, TRY, of_read, open_meta};
use crate::journal::newest;
use crate::keys;
use crate::merge::{Merged, Restored, merge};
use crate::values::{Meta, Value};
use qrtotp_values::UnixTime;
use std::path::PathBuf;

impl FleetStore {
    /// Accepts the store as a backup brought it back. Changes in the verifiers' `journals` (this one's is
    /// always among them) are made again; then the generation rises, which ends the refusal at every
    /// verifier. No step that began before `fence` is accepted: give the present time plus the time by which
    /// the window reaches ahead.
    ///
    /// A verifier whose journal was not given makes its own changes again before its next answer.
    ///
    /// # Errors
    /// etcd does not answer, a journal can't be read, or another verifier accepts at the same time.
    pub fn accept_restore(&self, fence: UnixTime, journals: &[PathBuf]) -> Result<Merged, FleetError> {
        let reply = self.engine.transact(&Txn::read(&[&keys::meta()]), TRY).map_err(of_read)?;
        let stored = reply.values.first().and_then(Option::as_ref).ok_or(FleetError::NotMade)?;
        let (meta, revision) = (open_meta(&self.ring, stored)?, revision_of(Some(stored)));
        if self.guard.store().is_some_and(|known| known != meta.store) {
            return Err(FleetError::RolledBack("etcd holds another store"));
        }
        let own = self.journal.path().to_owned();
        let paths: Vec<PathBuf> = journals.iter().cloned().chain([own]).collect();
        let lines = newest(&self.ring, &meta.store, &paths)?;
        let highest = lines.values().map(|line| line.at.0).max().unwrap_or(0);
        let restored = Restored { generation: meta.generation, revision: None };
        let merged = merge(&*self.engine, &self.ring, (&meta, revision), restored, &lines)?;
        let next = Meta {
            generation: meta.generation.max(highest).max(self.guard.generation()) + 1,
            fence: fence.max(meta.fence),
            restored_generation: meta.generation,
            restored_revision: reply.revision,
            ..meta
        };
        let value = self.ring.seal(&NO_STORE, &keys::meta(), &next.to_bytes())?;
        let then = vec![Op::Put(keys::meta(), value)];
        let txn = Txn { compare: vec![(keys::meta(), revision)], then, otherwise: Vec::new() };
        if !self.engine.transact(&txn, TRY)?.equal {
            return Err(FleetError::Busy);
        }
        self.guard.adopt(&self.ring, &next)?;
        Ok(merged)
    }
}
