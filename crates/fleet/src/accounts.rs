//! The store as an administrator's commands on a verifier use it. Each operation has its own time limit.

use crate::change::Swapped;
use crate::engine::{Op, Txn};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::keys;
use crate::limit::{EACH, Limit};
use crate::ring::local;
use crate::values::{RecordValue, StateValue, Value};
use crate::view::View;
use qrtotp_account::{FailureCounter, Name, Record, RecordId, State};
use qrtotp_store::{Account, AccountStore, PrimaryFailures, SealKey, Store, StoreError};

impl Store for FleetStore {
    fn key(&self) -> &SealKey {
        self.ring.current()
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        self.admin().load(name)
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        self.admin().change_state(name, f)
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        self.admin().simulate(f);
    }

    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        self.admin().change_account(name, f)
    }
}

/// Each host counts the wrong passwords typed there.
impl PrimaryFailures for FleetStore {
    fn update_primary(&self, _: &Name, f: &mut dyn FnMut(&mut FailureCounter)) -> Result<(), StoreError> {
        f(&mut FailureCounter::default());
        Ok(())
    }
}

impl AccountStore for FleetStore {
    fn names(&self) -> Result<Box<dyn Iterator<Item = Name> + '_>, StoreError> {
        let mut names = Vec::new();
        loop {
            let page = self.some_names(names.last())?;
            if page.is_empty() {
                return Ok(Box::new(names.into_iter()));
            }
            names.extend(page);
        }
    }

    fn has_record(&self, name: &Name) -> Result<bool, StoreError> {
        let record = keys::record(name);
        let reply = self.read(&[&keys::meta(), &record], &Limit::Each(EACH).start())?;
        Ok(reply.values.get(1).is_some_and(Option::is_some))
    }

    fn rename_account(
        &self,
        old: &Name,
        new: (&Name, u32),
        f: &mut dyn FnMut(u32, &mut State),
    ) -> Result<Option<u32>, StoreError> {
        Ok(self.rename(old, new, f)?)
    }

    /// A record that does not open shows nothing: it is sealed whole.
    fn unproven_id(&self, _: &Name) -> Option<RecordId> {
        None
    }

    fn remove_account(&self, name: &Name) -> Result<bool, StoreError> {
        Ok(self.remove(name)?)
    }

    fn forget_primary(&self, _: &Name) -> Result<(), StoreError> {
        Ok(())
    }

    fn last_lines(&self, name: &Name) -> Result<Option<(State, Vec<String>)>, StoreError> {
        let view = self.view(name, None, &Limit::Each(EACH).start())?;
        let Some(Account { state, .. }) = view.account else { return Ok(None) };
        let value = StateValue { attempts: view.attempts, state, lines: view.lines };
        Ok(Some((value.state.clone(), value.audit_lines())))
    }
}

impl FleetStore {
    /// Moves an account in one transaction, with its last used steps.
    fn rename(
        &self,
        old: &Name,
        (new, uid): (&Name, u32),
        f: &mut dyn FnMut(u32, &mut State),
    ) -> Result<Option<u32>, FleetError> {
        let limit = Limit::Each(EACH);
        let left = limit.start();
        let view = self.view(old, None, &left)?;
        let Some(Account { record, mut state }) = view.account.clone() else { return Ok(None) };
        f(record.uid, &mut state);
        let values = self.renamed(&view, (&record, state), new, uid)?;
        let put = |(key, value): &(String, Vec<u8>)| {
            Ok(Op::Put(key.clone(), self.ring.seal(&view.meta.store, key, value)?))
        };
        let mut then = values.iter().map(put).collect::<Result<Vec<_>, FleetError>>()?;
        let mut compare = view.revisions;
        let gone = [keys::record(old), keys::state(old)];
        if old != new {
            compare.extend(values.iter().map(|(key, _)| (key.clone(), 0)));
            then.extend(gone.iter().cloned().map(Op::Delete));
        }
        match self.swap(&Txn { compare, then, otherwise: Vec::new() }, &left)? {
            Swapped::Differs(_) => Err(FleetError::Busy),
            Swapped::Done(revision) => {
                self.write_journal(&values, revision)?;
                if old != new {
                    self.journal_removed(&gone.each_ref().map(String::as_str), revision)?;
                }
                Ok(Some(record.uid))
            }
        }
    }

    fn renamed(
        &self,
        view: &View,
        (record, state): (&Record, State),
        new: &Name,
        uid: u32,
    ) -> Result<[(String, Vec<u8>); 2], FleetError> {
        let record = self.ring.current().reseal(record, new, uid).map_err(|error| local(&error))?;
        let (groups, attempts, lines) = (view.groups.clone(), view.attempts.clone(), view.lines.clone());
        Ok([
            (keys::record(new), RecordValue { groups, record }.to_bytes()),
            (keys::state(new), StateValue { attempts, state, lines }.to_bytes()),
        ])
    }
}
