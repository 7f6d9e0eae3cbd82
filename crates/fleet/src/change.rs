//! One change of one account: read, decide, compare and swap.

use crate::attempts::{AnswerDigest, AttemptId, Attempts, Kept, Tag, host_digest};
use crate::engine::{EngineError, Op, Reply, Stored, Txn, gets, revision_of};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::journal::JournalLine;
use crate::keys::{self, HostId, HostName};
use crate::limit::Left;
use crate::values::{HostFailures, RecordValue, StateValue, Value};
use crate::view::{View, keys_of, open_tagged};
use qrtotp_account::{Decision, Name};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_store::Account;
use std::cell::Cell;

/// How often a decision is repeated because the account changed in between.
const RETRIES: usize = 8;

/// One change, under the id that it is kept with.
pub(crate) struct Change<'a> {
    pub id: AttemptId,
    pub answer: AnswerDigest,
    pub host: Option<&'a HostId>,
    /// The same for every try, so that whichever was carried out is known as ours.
    pub tag: Tag,
    /// The decision that we made for this attempt in an earlier change.
    pub decided: Option<Decision>,
    /// The first values are a guess.
    pub guess: &'a Guess,
    pub left: Left<'a>,
}

/// The result of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// There is no record, and none was made.
    NoRecord(Box<View>),
    /// The last run changed nothing.
    Nothing(Box<View>),
    /// The result of the last run is in etcd.
    Kept(Option<Decision>),
}

/// Whether the first values of a change are a guess. Such a change is made only if it accepts, and only if
/// etcd holds them.
#[derive(Default)]
pub(crate) struct Guess {
    /// Until etcd has said that it holds them.
    pub is_open: Cell<bool>,
    /// What etcd holds instead, by the keys that were compared.
    pub found: Cell<Option<Vec<Option<Stored>>>>,
}

/// A transaction, and what has to be noted once it was carried out.
struct Plan {
    txn: Txn,
    decision: Option<Decision>,
    /// Changes that time does not heal, without their place in the order.
    journal: Vec<(String, Vec<u8>)>,
}

impl FleetStore {
    pub(crate) fn view(
        &self,
        name: &Name,
        host: Option<&HostName>,
        left: &Left<'_>,
    ) -> Result<View, FleetError> {
        let keys = keys_of(name, host);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let reply = self.read(&keys, left)?;
        View::read(&self.ring, name, host, &reply.values)
    }

    /// The same values, and the fleet's policy as the last one. They are remembered.
    pub(crate) fn read_all(
        &self,
        name: &Name,
        host: Option<&HostName>,
        left: &Left<'_>,
    ) -> Result<Vec<Option<Stored>>, FleetError> {
        let keys = all_keys_of(name, host);
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let reply = self.read(&names, left)?;
        self.memory.note(reply.connection, keys.into_iter().zip(reply.values.iter().cloned()));
        Ok(reply.values)
    }

    /// The same from memory.
    pub(crate) fn recall_all(&self, name: &Name, host: Option<&HostName>) -> Option<Vec<Option<Stored>>> {
        self.memory.recall(&all_keys_of(name, host), self.guard.trusted_connection()?)
    }

    /// Opens what [`FleetStore::read_all`] has read. The policy is in its applied form, if one was set.
    pub(crate) fn open_all(
        &self,
        name: &Name,
        host: Option<&HostName>,
        values: &[Option<Stored>],
    ) -> Result<(View, Option<Vec<u8>>), FleetError> {
        let view = View::read(&self.ring, name, host, values)?;
        let open = |stored| open_tagged(&self.ring, &view.meta, &keys::policy(), stored);
        let policy = values.last().and_then(Option::as_ref).map(open).transpose()?;
        Ok((view, policy.map(|policy| policy.bytes)))
    }

    /// Runs `f` on the account, and makes what its last run did durable. `first`: values that were read just
    /// now, or guessed.
    pub(crate) fn change(
        &self,
        name: &Name,
        change: &Change<'_>,
        first: Option<View>,
        f: &mut dyn FnMut(&mut Option<Account>),
    ) -> Result<Changed, FleetError> {
        let host = change.host.map(|host| &host.name);
        let mut view = match first {
            Some(view) => view,
            None => self.view(name, host, &change.left)?,
        };
        let mut unclear: Option<(Plan, String)> = None;
        let mut counted = None;
        for _ in 0..=RETRIES {
            if let (Some((plan, _)), Some(kept)) = (&unclear, view.attempt(change.id))
                && kept.tag == change.tag
            {
                return self.finish(name, plan, view.revision_of_state());
            }
            view.permit(change.host)?;
            view.attempt(change.id).map_or(Ok(()), |kept| known(kept, change))?;
            let (before, mut after) = (view.account.clone(), view.account.clone());
            f(&mut after);
            let Some(after) = after else { return Ok(Changed::NoRecord(Box::new(view))) };
            if before.as_ref() == Some(&after) {
                return Ok(Changed::Nothing(Box::new(view)));
            }
            let is_guess = change.guess.is_open.get();
            if is_guess && after.state.decision != Some(Decision::Accepted) {
                return Err(FleetError::Busy);
            }
            let plan = self.plan(name, change, &view, &after, &mut counted)?;
            let connection = self.guard.trusted_connection();
            match self.swap(&plan.txn, &change.left) {
                Ok(Swapped::Done(revision)) => {
                    change.guess.is_open.set(false);
                    return self.finish(name, &plan, revision);
                }
                Ok(Swapped::Differs(reply)) if is_guess => {
                    // Another connection may lead to a restored backup. Then our changes are made again, and
                    // all is read after that.
                    let is_known = connection == Some(reply.connection)
                        && self.generation_in(&reply)? == Some(self.guard.generation());
                    if is_known {
                        let keys = plan.txn.compare.into_iter().map(|(key, _)| key);
                        self.memory.note(reply.connection, keys.zip(reply.values.iter().cloned()));
                        change.guess.found.set(Some(reply.values));
                    }
                    return Err(FleetError::Busy);
                }
                Ok(Swapped::Differs(reply)) => {
                    view = View::read(&self.ring, name, host, &reply.values)?;
                }
                Err(FleetError::Unclear(why)) => {
                    let unknown = |_| FleetError::Unclear(why.clone());
                    // It is no guess any more: all is read now.
                    change.guess.is_open.set(false);
                    let found = self.read_all(name, host, &change.left).map_err(unknown)?;
                    view = View::read(&self.ring, name, host, &found).map_err(unknown)?;
                    let is_ours = view.attempt(change.id).is_some_and(|kept| kept.tag == change.tag);
                    if is_guess && !is_ours && !holds(&plan.txn.compare, &found) {
                        // It will never be carried out: what it compares is gone.
                        change.guess.is_open.set(true);
                        change.guess.found.set(Some(found));
                        return Err(FleetError::Busy);
                    }
                    unclear = Some((plan, why));
                }
                Err(error) => return Err(error),
            }
        }
        Err(unclear.map_or(FleetError::Busy, |(_, why)| FleetError::Unclear(why)))
    }

    fn plan(
        &self,
        name: &Name,
        change: &Change<'_>,
        view: &View,
        after: &Account,
        counted: &mut Option<HostFailures>,
    ) -> Result<Plan, FleetError> {
        let decision = after.state.decision.or(change.decided);
        let kept = Kept {
            id: change.id,
            host: host_digest(change.host.map(|host| &host.name)),
            answer: change.answer,
            decision,
            tag: change.tag,
        };
        let is_new_record = view.account.as_ref().map(|account| &account.record) != Some(&after.record);
        // A revocation also ends what was decided before it.
        let attempts = if is_new_record { Attempts::default() } else { view.attempts.clone() }.with(kept);
        let state = StateValue { attempts, state: after.state.clone(), lines: view.lines.clone() }.to_bytes();
        let mut values = vec![(keys::state(name), state)];
        if is_new_record {
            let groups = match (&view.account, &view.host) {
                (None, Some(host)) => host.groups.clone(),
                _ => view.groups.clone(),
            };
            let record = RecordValue { groups, record: after.record.clone() };
            values.insert(0, (keys::record(name), record.to_bytes()));
        }
        let put = |(key, value): &(String, Vec<u8>)| {
            Ok(Op::Put(key.clone(), self.ring.seal(&view.meta.store, key, value)?))
        };
        let mut then = values.iter().map(put).collect::<Result<Vec<_>, FleetError>>()?;
        if let (Some(host), Some(Decision::Refused)) = (change.host, after.state.decision) {
            then.push(self.count_failure(&host.name, name, view, counted)?);
        }
        let journal = if is_new_record || is_unhealed(view, after) { values } else { Vec::new() };
        let keys: Vec<&str> = view.revisions.iter().map(|(key, _)| key.as_str()).collect();
        let txn = Txn { compare: view.revisions.clone(), then, otherwise: gets(&keys) };
        Ok(Plan { txn, decision, journal })
    }

    /// The host's failures with this one, which counts once however often the change is tried.
    pub(crate) fn count_failure(
        &self,
        host: &HostName,
        name: &Name,
        view: &View,
        counted: &mut Option<HostFailures>,
    ) -> Result<Op, FleetError> {
        let count = *counted.get_or_insert_with(|| self.failures.count(host, name, SystemClock.now()));
        let key = keys::failures_of(host, &self.verifier);
        let value = self.ring.seal(&view.meta.store, &key, &count.to_bytes())?;
        Ok(Op::Put(key, value))
    }

    /// Sends a transaction that swaps values, and looks at the store if the reply is not from where the
    /// values were read.
    pub(crate) fn swap(&self, txn: &Txn, left: &Left<'_>) -> Result<Swapped, FleetError> {
        let floor = self.guard.floor();
        let reply = match self.send(txn, left) {
            Ok(reply) => reply,
            Err(unknown @ EngineError::Unknown(_)) => return Err(FleetError::Unclear(unknown.to_string())),
            Err(error) => return Err(error.into()),
        };
        if !self.guard.admits(&reply, floor, None) {
            // The transaction was carried out; only what followed failed.
            self.check(left).map_err(|error| match error {
                FleetError::NoQuorum(why) => FleetError::Unclear(why),
                other => other,
            })?;
        }
        if !reply.equal {
            return Ok(Swapped::Differs(reply));
        }
        let swapped = |op: &Op| match op {
            Op::Put(key, value) if txn.compare.iter().any(|(compared, _)| compared == key) => {
                Some((key.clone(), Some(Stored { value: value.clone(), revision: reply.revision })))
            }
            _ => None,
        };
        self.memory.renew(reply.connection, txn.then.iter().filter_map(swapped));
        Ok(Swapped::Done(reply.revision))
    }

    fn finish(&self, name: &Name, plan: &Plan, revision: i64) -> Result<Changed, FleetError> {
        self.guard.note_change(&keys::state(name), revision);
        self.write_journal(&plan.journal, revision)?;
        Ok(Changed::Kept(plan.decision))
    }

    pub(crate) fn write_journal(
        &self,
        values: &[(String, Vec<u8>)],
        revision: i64,
    ) -> Result<(), FleetError> {
        if values.is_empty() {
            return Ok(());
        }
        let at = (self.guard.generation(), revision);
        let line = |(key, value): &(String, Vec<u8>)| JournalLine {
            at,
            key: key.clone(),
            value: Some(value.clone()),
        };
        let lines: Vec<JournalLine> = values.iter().map(line).collect();
        self.journal.add(&self.ring, &self.guard.store().unwrap_or_default(), &lines)
    }

    pub(crate) fn journal_removed(&self, keys: &[&str], revision: i64) -> Result<(), FleetError> {
        let at = (self.guard.generation(), revision);
        let lines: Vec<JournalLine> =
            keys.iter().map(|key| JournalLine { at, key: (*key).to_owned(), value: None }).collect();
        self.journal.add(&self.ring, &self.guard.store().unwrap_or_default(), &lines)
    }
}

fn all_keys_of(name: &Name, host: Option<&HostName>) -> Vec<String> {
    let mut keys = keys_of(name, host);
    keys.push(keys::policy());
    keys
}

/// Whether these values are of the revisions that are compared.
fn holds(compare: &[(String, i64)], values: &[Option<Stored>]) -> bool {
    compare.iter().zip(values).all(|((_, revision), stored)| *revision == revision_of(stored.as_ref()))
}

/// The result of a transaction that swaps values.
pub(crate) enum Swapped {
    /// Carried out at this revision.
    Done(i64),
    /// A key was changed by others; its `otherwise` has the values.
    Differs(Reply),
}

/// Judges an entry under the attempt's id that this change did not write.
fn known(kept: &Kept, change: &Change<'_>) -> Result<(), FleetError> {
    if kept.host != host_digest(change.host.map(|host| &host.name)) || kept.answer != change.answer {
        return Err(FleetError::AttemptReused);
    }
    match kept.decision {
        Some(decision) if change.decided != Some(decision) => Err(FleetError::Decided(decision)),
        Some(_) | None => Ok(()), // an earlier change of this attempt
    }
}

/// Whether the new state holds something that time does not heal: a used recovery code, or a device's drift,
/// by which codes after the fence may have been used.
fn is_unhealed(view: &View, after: &Account) -> bool {
    let Some(before) = &view.account else { return true };
    let used =
        |account: &Account| after.record.recovery.as_ref().map(|set| account.state.recovery_used(set.id));
    let drift = |account: &Account| -> Vec<i32> {
        let ids = after.record.credentials.iter().map(|credential| credential.id);
        ids.map(|id| account.state.credential_state(id).map_or(0, |mark| mark.drift)).collect()
    };
    used(before) != used(after) || drift(before) != drift(after)
}
