//! Makes changes again that a restored backup undid.

use crate::engine::{Engine, Op, Txn, revision_of};
use crate::error::FleetError;
use crate::guard::{TRY, of_read};
use crate::journal::JournalLine;
use crate::keys;
use crate::ring::Ring;
use crate::values::Meta;
use std::collections::BTreeMap;

/// The result of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Keys that hold what they held before the restore.
    pub applied: Vec<String>,
    /// Keys that were changed after the restore: look at them, for example for a revocation to repeat.
    pub conflicts: Vec<String>,
}

/// The state that a backup brought back: lines after it are merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    pub generation: u64,
    /// A key above this revision was changed after the restore. None: nothing was.
    pub revision: Option<i64>,
}

/// Makes the changes of `lines` that the restored store lacks. `meta_revision` is that of the meta value,
/// which must not change meanwhile.
pub(crate) fn merge(
    engine: &dyn Engine,
    ring: &Ring,
    (meta, meta_revision): (&Meta, i64),
    restored: Restored,
    lines: &BTreeMap<String, JournalLine>,
) -> Result<Merged, FleetError> {
    let mut merged = Merged::default();
    for line in lines.values() {
        let reply = engine.transact(&Txn::read(&[&line.key]), TRY).map_err(of_read)?;
        let stored = reply.values.first().and_then(Option::as_ref);
        let found = revision_of(stored);
        let (generation, revision) = line.at;
        if generation < restored.generation || (generation == restored.generation && revision <= found) {
            continue; // the backup has it
        }
        let now = stored.map(|stored| ring.open(&meta.store, &line.key, &stored.value)).transpose()?;
        if now.as_ref().map(|(plain, _)| plain.as_slice()) == line.value.as_deref() {
            continue;
        }
        if restored.revision.is_some_and(|last| found > last) {
            merged.conflicts.push(line.key.clone());
            continue;
        }
        let op = match &line.value {
            Some(value) => Op::Put(line.key.clone(), ring.seal(&meta.store, &line.key, value)?),
            None => Op::Delete(line.key.clone()),
        };
        let compare = vec![(line.key.clone(), found), (keys::meta(), meta_revision)];
        let reply = engine.transact(&Txn { compare, then: vec![op], otherwise: Vec::new() }, TRY)?;
        let list = if reply.equal { &mut merged.applied } else { &mut merged.conflicts };
        list.push(line.key.clone());
    }
    Ok(merged)
}
