//! A store that does one operation per run. The code under test runs again from its beginning for every
//! further operation, with its earlier reads replayed. So unmodified code can be stopped at each of its
//! reads, writes and syncs.

use qrtotp_account::{Name, Record, State};
use qrtotp_store::{Account, SealKey, Store, StoreError};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// A file's content, by its number on the [`Shelf`], and its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Revised {
    content: u16,
    revision: u8,
}

/// An account's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub record: Revised,
    /// The next record, before it is renamed.
    pub beside: Option<Revised>,
    pub state: Revised,
}

impl Disk {
    /// The record that the state belongs to.
    fn current(self) -> Option<Revised> {
        let belongs = |record: &Revised| record.revision == self.state.revision;
        Some(self.record).filter(belongs).or(self.beside.filter(belongs))
    }
}

/// Every content that a file ever had.
#[derive(Default)]
pub(super) struct Shelf {
    records: RefCell<Vec<Record>>,
    states: RefCell<Vec<State>>,
}

impl Shelf {
    pub(super) fn put(&self, account: &Account) -> Disk {
        let first = |content| Revised { content, revision: 0 };
        let (record, state) = (first(self.record(&account.record)), first(self.state(&account.state)));
        Disk { record, beside: None, state }
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

    /// The account if its files fit.
    pub(super) fn account(&self, disk: Disk) -> Option<Account> {
        let record = self.records.borrow()[usize::from(disk.current()?.content)].clone();
        Some(Account { record, state: self.states.borrow()[usize::from(disk.state.content)].clone() })
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
    WriteState(Revised),
    SyncState,
    /// Write the next record beside the present one.
    WriteBeside(Revised),
    /// Make it durable, and the directory with its name.
    SyncBeside,
    /// Rename it over the present one.
    Rename,
    SyncDirectory,
    Unlock,
}

/// Deliberate faults of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    NoLock,
    /// It answers before its writes are durable.
    NoSync,
    /// The state refers to a record that is not durable yet.
    StateFirst,
    /// A change that was cut off is finished before its state is durable.
    RenameFirst,
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

    fn read(&self, op: Op) -> Result<(Disk, Account), StoreError> {
        let disk = self.step(op)?.expect("what was read");
        let damaged = || StoreError::Incomplete("account.toml".into());
        Ok((disk, self.shelf.account(disk).ok_or_else(damaged)?))
    }

    fn write_state(&self, state: &State, revision: u8) -> Result<(), StoreError> {
        self.step(Op::WriteState(Revised { content: self.shelf.state(state), revision }))?;
        self.sync(Op::SyncState)
    }

    fn rename(&self) -> Result<(), StoreError> {
        self.step(Op::Rename)?;
        self.sync(Op::SyncDirectory)
    }

    /// The file store's way to finish a change that was cut off.
    fn finish(&self, disk: Disk) -> Result<(), StoreError> {
        if disk.current() == Some(disk.record) {
            return Ok(());
        }
        if self.fault != Fault::RenameFirst {
            self.sync(Op::SyncState)?;
        }
        self.rename()
    }

    fn sync(&self, op: Op) -> Result<(), StoreError> {
        if self.fault != Fault::NoSync {
            self.step(op)?;
        }
        Ok(())
    }

    /// The file store's order: the next record beside the present one, the state, the renaming.
    fn change(&self, disk: Disk, old: &Account, new: &Account) -> Result<(), StoreError> {
        let revision = disk.state.revision;
        if new.record == old.record {
            // An unchanged state may have been written by a process that was killed before it was durable.
            let is_same = new.state == old.state;
            return if is_same { self.sync(Op::SyncState) } else { self.write_state(&new.state, revision) };
        }
        let revision = revision + 1;
        self.step(Op::WriteBeside(Revised { content: self.shelf.record(&new.record), revision }))?;
        if self.fault != Fault::StateFirst {
            self.sync(Op::SyncBeside)?;
        }
        self.write_state(&new.state, revision)?;
        self.rename()
    }
}

impl Store for Replay<'_> {
    fn key(&self) -> &SealKey {
        self.key
    }

    fn load(&self, _: &Name) -> Result<Option<Account>, StoreError> {
        self.read(Op::Look).map(|(_, account)| Some(account))
    }

    fn change_state(&self, _: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        let (disk, mut account) = self.read(Op::Lock)?;
        let before = account.state.clone();
        f(&account.record, &mut account.state);
        if account.state != before {
            self.write_state(&account.state, disk.state.revision)?;
        }
        self.step(Op::Unlock)?;
        Ok(true)
    }

    fn simulate(&self, _: &mut dyn FnMut(&Record, &mut State)) {}

    fn change_account(&self, _: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        let (disk, old) = self.read(Op::Lock)?;
        self.finish(disk)?;
        let mut new = Some(old.clone());
        f(&mut new);
        self.change(disk, &old, &new.expect("a record is never removed"))?;
        self.step(Op::Unlock)?;
        Ok(())
    }
}
