//! [`qrtotp_store::Store`] for one attempt, one session, or one admin's command.

use crate::attempts::{AnswerDigest, AttemptId, Tag};
use crate::change::{Change, Changed, Guess};
use crate::engine::{Op, Txn, gets, revision_of};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::keys::{self, HostId, HostName};
use crate::limit::{EACH, Left, Limit, Permit};
use crate::ring::local;
use crate::values::{Host, StateValue, Value};
use crate::view::View;
use qrtotp_account::{Decision, Name, Record, State};
use qrtotp_clock::Deadline;
use qrtotp_otp::random_bytes;
use qrtotp_store::{Account, SealKey, Store, StoreError};
use std::cell::{Cell, RefCell};

/// Bytes of audit lines in the state that refusals for nobody write.
const LINES: u16 = 2000;

/// An answer that a host wants verified.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The attempt's id.
    pub attempt: AttemptId,
    /// The host, by its certificate.
    pub host: HostId,
    /// The answer's digest.
    pub answer: AnswerDigest,
}

/// What [`Access::begin`] has read.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The host; an admin's access has none.
    pub host: Option<Host>,
    /// Whether it is of the account's groups.
    pub may_ask: bool,
    /// The fleet's policy in its applied form, if one was set.
    pub policy: Option<Vec<u8>>,
}

/// The store, as one attempt, session or command uses it.
pub struct Access<'a> {
    fleet: &'a FleetStore,
    /// None: an admin on a verifier.
    host: Option<HostId>,
    attempt: Option<(AttemptId, AnswerDigest)>,
    limit: Limit,
    permit: Option<&'a dyn Permit>,
    decision: Cell<Option<Decision>>,
    was_decided_before: Cell<bool>,
    failure: RefCell<Option<FleetError>>,
    /// The account of [`Access::begin`].
    account: RefCell<Option<Name>>,
    guess: Guess,
    /// Read by [`Access::begin`], for the first operation on this account.
    begun: RefCell<Option<(Name, View)>>,
    /// The values that the last operation read, if it wrote nothing. A simulated write goes on from there.
    read: RefCell<Option<Box<View>>>,
}

impl FleetStore {
    /// The store for one answer. The deadline holds for everything together.
    #[must_use]
    pub fn attempt(&self, asked: Asked, deadline: Deadline) -> Access<'_> {
        let attempt = Some((asked.attempt, asked.answer));
        Access::new(self, Some(asked.host), attempt, Limit::Together(deadline))
    }

    /// The store for a dialogue with a host, such as an enrolment: the host is compared in each change.
    #[must_use]
    pub fn session(&self, host: HostId) -> Access<'_> {
        Access::new(self, Some(host), None, Limit::Each(EACH))
    }

    /// The store for an admin's command on a verifier.
    #[must_use]
    pub fn admin(&self) -> Access<'_> {
        Access::new(self, None, None, Limit::Each(EACH))
    }
}

impl<'a> Access<'a> {
    fn new(
        fleet: &'a FleetStore,
        host: Option<HostId>,
        attempt: Option<(AttemptId, AnswerDigest)>,
        limit: Limit,
    ) -> Self {
        Self {
            fleet,
            host,
            attempt,
            limit,
            permit: None,
            decision: Cell::new(None),
            was_decided_before: Cell::new(false),
            failure: RefCell::new(None),
            account: RefCell::new(None),
            guess: Guess::default(),
            begun: RefCell::new(None),
            read: RefCell::new(None),
        }
    }

    /// Gives a permit back while it waits for etcd.
    #[must_use]
    pub fn with_permit(self, permit: &'a dyn Permit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// The attempt's decision, if it is known to be in etcd. Nothing else may be told to the host as a
    /// decision.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        self.decision.get()
    }

    /// Whether the decision was made by an earlier request of the same attempt: it is logged already.
    #[must_use]
    pub fn was_decided_before(&self) -> bool {
        self.was_decided_before.get()
    }

    /// Why the last operation failed; `None`: it did not.
    #[must_use]
    pub fn failure(&self) -> Option<FleetError> {
        self.failure.borrow().clone()
    }

    /// Begins with what this verifier remembers of host, account and policy, if that is all. The flow that
    /// follows can accept the answer, in a transaction that compares all of it, or does nothing. If
    /// [`Access::is_guess`] is still true after it, its outcome is void: [`Access::begin`], and again.
    #[must_use]
    pub fn guess(&self, name: &Name) -> Option<Begun> {
        let values = self.fleet.recall_all(name, self.host_name())?;
        let (mut view, policy) = self.fleet.open_all(name, self.host_name(), &values).ok()?;
        view.permit(self.host.as_ref()).ok()?;
        // It may have changed since, as the others may.
        view.revisions.push((keys::policy(), revision_of(values.last()?.as_ref())));
        self.guess.is_open.set(true);
        Some(self.begin_with(name, view, policy))
    }

    /// Whether what was answered since [`Access::guess`] is from memory alone.
    #[must_use]
    pub fn is_guess(&self) -> bool {
        self.guess.is_open.get()
    }

    /// Reads host, account and policy, if etcd has not just said what it holds in place of a guess. The next
    /// operation does not read again.
    ///
    /// # Errors
    /// The host is unknown, held or revoked; etcd does not answer.
    pub fn begin(&self, name: &Name) -> Result<Begun, FleetError> {
        self.guess.is_open.set(false);
        self.failure.take();
        let values = match self.guess.found.take() {
            Some(found) => found,
            None => self.fleet.read_all(name, self.host_name(), &self.left())?,
        };
        let (view, policy) = self.fleet.open_all(name, self.host_name(), &values)?;
        view.permit_host(self.host.as_ref())?;
        Ok(self.begin_with(name, view, policy))
    }

    fn begin_with(&self, name: &Name, view: View, policy: Option<Vec<u8>>) -> Begun {
        let may_ask = view.permit(self.host.as_ref()).is_ok();
        let begun = Begun { host: view.host.clone(), may_ask, policy };
        self.account.replace(Some(name.clone()));
        self.begun.replace(Some((name.clone(), view)));
        begun
    }

    /// The account's last audit lines, as logged but without `detail`, in no order.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn audit_lines(&self, name: &Name) -> Result<Vec<String>, FleetError> {
        let view = self.view(name)?;
        let Some(account) = view.account else { return Ok(Vec::new()) };
        Ok(StateValue { attempts: view.attempts, state: account.state, lines: view.lines }.audit_lines())
    }

    fn left(&self) -> Left<'_> {
        self.limit.start().with_permit(self.permit)
    }

    fn host_name(&self) -> Option<&HostName> {
        self.host.as_ref().map(|host| &host.name)
    }

    /// The values that were read at the beginning, if they are of this account and not used up.
    fn begun(&self, name: &Name) -> Option<View> {
        self.begun.take().filter(|(begun, _)| begun == name).map(|(_, view)| view)
    }

    fn observe<T>(&self, result: Result<T, FleetError>) -> Result<T, StoreError> {
        self.failure.replace(result.as_ref().err().cloned());
        Ok(result?)
    }

    fn view(&self, name: &Name) -> Result<View, FleetError> {
        let view = self.fleet.view(name, self.host_name(), &self.left())?;
        view.permit(self.host.as_ref())?;
        Ok(view)
    }

    fn change(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<Changed, FleetError> {
        let (id, answer) = match self.attempt {
            Some(attempt) => attempt,
            None => {
                let id = AttemptId::generate().map_err(|error| local(&error))?;
                (id, AnswerDigest::of(id, b""))
            }
        };
        let tag: Tag = random_bytes().map_err(|error| local(&error))?;
        let (host, left, first) = (self.host.as_ref(), self.left(), self.begun(name));
        if self.is_guess() && first.is_none() {
            return Err(FleetError::Busy);
        }
        let change = Change { id, answer, host, tag, decided: self.decision.get(), guess: &self.guess, left };
        let changed = self.fleet.change(name, &change, first, f);
        if self.is_guess() {
            return Err(FleetError::Busy);
        }
        match &changed {
            Ok(Changed::Kept(decision)) if self.attempt.is_some() => self.decision.set(*decision),
            Err(FleetError::Decided(decision)) => {
                self.was_decided_before.set(true);
                self.decision.set(Some(*decision));
            }
            _ => {}
        }
        changed
    }

    /// Writes what a refusal would have written, under a key that nothing reads.
    fn write_dummy(&self, f: &mut dyn FnMut(&Record, &mut State)) -> Result<(), FleetError> {
        let (fleet, left) = (self.fleet, self.left());
        let begun = || self.begun.take().map(|(_, view)| Box::new(view));
        let view = match self.read.take().or_else(begun) {
            Some(view) => view,
            None => Box::new(fleet.view(&fleet.dummy.name, self.host_name(), &left)?),
        };
        let mut state = State::new(fleet.dummy.id);
        f(&fleet.dummy, &mut state);
        if state == State::new(fleet.dummy.id) {
            return Ok(());
        }
        self.swap_dummy(&view, state, &left)
    }

    fn swap_dummy(&self, view: &View, state: State, left: &Left<'_>) -> Result<(), FleetError> {
        let fleet = self.fleet;
        let decision = state.decision;
        // As long as the lines of most accounts.
        let lines = [LINES.to_le_bytes().as_slice(), &[b'x'; LINES as usize]].concat();
        let key = keys::dummy_account(&fleet.verifier);
        let value = StateValue { attempts: view.attempts.clone(), state, lines }.to_bytes();
        let value = fleet.ring.seal(&view.meta.store, &key, &value)?;
        let keys: Vec<&str> = view.revisions.iter().map(|(key, _)| key.as_str()).collect();
        let (compare, otherwise) = (view.revisions.clone(), gets(&keys));
        let mut then = vec![Op::Put(key, value)];
        if let (Some(host), Some(name), Some(Decision::Refused)) =
            (self.host_name(), &*self.account.borrow(), decision)
        {
            then.push(fleet.count_failure(host, name, view, &mut None)?);
        }
        let txn = Txn { compare, then, otherwise };
        fleet.swap(&txn, left).map(|_| ())
    }
}

impl Store for Access<'_> {
    fn key(&self) -> &SealKey {
        self.fleet.ring.current()
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        if let Some((begun, view)) = &*self.begun.borrow()
            && begun == name
        {
            let account = view.permit(self.host.as_ref()).map(|()| view.account.clone());
            return self.observe(account);
        }
        if self.is_guess() {
            return self.observe(Err(FleetError::Busy));
        }
        Ok(self.observe(self.view(name))?.account)
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        self.read.take();
        let changed = self.observe(self.change(name, &mut |account| {
            if let Some(account) = account {
                f(&account.record, &mut account.state);
            }
        }))?;
        let (view, is_there) = match changed {
            Changed::Kept(..) => (None, true),
            Changed::Nothing(view) => (Some(view), true),
            Changed::NoRecord(view) => (Some(view), false),
        };
        self.read.replace(view);
        Ok(is_there)
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        if self.is_guess() {
            return;
        }
        let _ = self.write_dummy(f); // the answer is a refusal anyway
    }

    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        self.read.take();
        self.observe(self.change(name, f)).map(|_| ())
    }
}
