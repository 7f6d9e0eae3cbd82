//! A store that does one operation per run. The code under test runs again from its beginning for every
//! further operation, with its earlier reads replayed. So unmodified code can be stopped at each of its
//! reads, writes and syncs.

use qrtotp_account::{Name, Record, State};
use qrtotp_store::{Account, SealKey, Store, StoreError};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// An account's two files, by their numbers on the [`Shelf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub record: u16,
    pub state: u16,
}

/// Every content that a file ever had.
#[derive(Default)]
pub(super) struct Shelf {
    records: RefCell<Vec<Record>>,
    states: RefCell<Vec<State>>,
}

impl Shelf {
    pub(super) fn put(&self, account: &Account) -> Disk {
        Disk { record: self.record(&account.record), state: self.state(&account.state) }
    }

    /// Records that differ only in a seal's nonce count as one.
    fn record(&self, record: &Record) -> u16 {
        let plain = |record: &Record| {
            let mut record = record.clone();
            record.credentials.iter_mut().for_each(|credential| credential.sealed.clear());
            record
        };
        number(&self.records, record, |a, b| plain(a) == plain(b))
    }

    fn state(&self, state: &State) -> u16 {
        number(&self.states, state, State::eq)
    }

    pub(super) fn account(&self, disk: Disk) -> Account {
        let record = self.records.borrow()[usize::from(disk.record)].clone();
        Account { record, state: self.states.borrow()[usize::from(disk.state)].clone() }
    }
}

fn number<T: Clone>(shelf: &RefCell<Vec<T>>, content: &T, same: impl Fn(&T, &T) -> bool) -> u16 {
    let mut shelf = shelf.borrow_mut();
    let known = shelf.iter().position(|known| same(known, content)).unwrap_or_else(|| {
        shelf.push(content.clone());
        shelf.len() - 1
    });
    u16::try_from(known).expect("few contents")
}

/// An actor's next operation on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// Read without the lock.
    Look,
    /// Wait for the lock and read.
    Lock,
    WriteState(u16),
    SyncState,
    /// Rename a new record into place.
    WriteRecord(u16),
    SyncRecord,
    Unlock,
}

/// Deliberate faults of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    NoLock,
    /// It answers before its writes are durable.
    NoSync,
    /// A new credential's record is written before its mark.
    RecordFirst,
    /// It assumes that others' writes are durable.
    TrustsOthers,
}

/// The result of a read; `None` for a write.
pub(super) type Seen = Option<Disk>;

pub(super) struct Replay<'a> {
    pub key: &'a SealKey,
    pub shelf: &'a Shelf,
    pub fault: Fault,
    pub seen: RefCell<VecDeque<Seen>>,
    /// The first operation that was not done before.
    pub next: RefCell<Option<Op>>,
    /// Set when further operations don't matter.
    pub finished: &'a Cell<bool>,
}

impl Replay<'_> {
    fn step(&self, op: Op) -> Result<Seen, StoreError> {
        if self.finished.get() || self.next.borrow().is_some() {
            return Err(StoreError::Busy);
        }
        if let Some(seen) = self.seen.borrow_mut().pop_front() {
            return Ok(seen);
        }
        *self.next.borrow_mut() = Some(op);
        Err(StoreError::Busy)
    }

    fn read(&self, op: Op) -> Result<Account, StoreError> {
        Ok(self.shelf.account(self.step(op)?.expect("what was read")))
    }

    fn write_state(&self, state: &State) -> Result<(), StoreError> {
        self.step(Op::WriteState(self.shelf.state(state)))?;
        self.sync(Op::SyncState)
    }

    /// A state that needs no change may have been written by a process that was killed before it was durable.
    fn keep_state(&self, old: &Account, state: &State) -> Result<(), StoreError> {
        if *state == old.state && self.fault != Fault::TrustsOthers {
            return self.sync(Op::SyncState);
        }
        if *state == old.state { Ok(()) } else { self.write_state(state) }
    }

    fn write_record(&self, record: &Record) -> Result<(), StoreError> {
        self.step(Op::WriteRecord(self.shelf.record(record)))?;
        self.sync(Op::SyncRecord)
    }

    fn sync(&self, op: Op) -> Result<(), StoreError> {
        if self.fault != Fault::NoSync {
            self.step(op)?;
        }
        Ok(())
    }

    /// The file store's order: marks that fit both records, the record, the rest.
    fn change(&self, old: &Account, new: &Account) -> Result<(), StoreError> {
        if new.record == old.record {
            self.keep_state(old, &new.state)?;
            return if self.fault == Fault::TrustsOthers { Ok(()) } else { self.sync(Op::SyncRecord) };
        }
        let mut both = old.state.clone();
        for mark in new.record.credentials.iter().filter_map(|credential| new.state.mark(credential.id)) {
            both.raise(mark.credential, mark.watermark, (mark.last_used != 0).then_some(mark.last_used));
        }
        if self.fault == Fault::RecordFirst {
            both = old.state.clone();
        }
        self.keep_state(old, &both)?;
        self.write_record(&new.record)?;
        if new.state == both { Ok(()) } else { self.write_state(&new.state) }
    }
}

impl Store for Replay<'_> {
    fn key(&self) -> &SealKey {
        self.key
    }

    fn load(&self, _: &Name) -> Result<Option<Account>, StoreError> {
        self.read(Op::Look).map(Some)
    }

    fn change_state(&self, _: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        let mut account = self.read(Op::Lock)?;
        let before = account.state.clone();
        f(&account.record, &mut account.state);
        if account.state != before {
            self.write_state(&account.state)?;
        }
        self.step(Op::Unlock)?;
        Ok(true)
    }

    fn simulate(&self, _: &mut dyn FnMut(&Record, &mut State)) {}

    fn change_account(&self, _: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        let old = self.read(Op::Lock)?;
        let mut new = Some(old.clone());
        f(&mut new);
        self.change(&old, &new.expect("a record is never removed"))?;
        self.step(Op::Unlock)?;
        Ok(())
    }
}
