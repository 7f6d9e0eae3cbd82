//! A double of etcd in memory: one linearizable store with revisions.

use qrtotp_fleet::{Engine, EngineError, Op, Page, Reply, Stored, Txn};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Keys and values. A copy is a backup.
#[derive(Clone, Default)]
pub struct Data {
    keys: BTreeMap<String, Stored>,
    pub revision: i64,
}

impl Data {
    /// Carries out a transaction.
    pub fn apply(&mut self, txn: &Txn) -> Reply {
        let revision_of = |key: &String| self.keys.get(key).map_or(0, |stored| stored.revision);
        let equal = txn.compare.iter().all(|(key, revision)| revision_of(key) == *revision);
        let ops = if equal { &txn.then } else { &txn.otherwise };
        let is_write = ops.iter().any(|op| !matches!(op, Op::Get(_)));
        self.revision += i64::from(is_write);
        let mut values = Vec::new();
        for op in ops {
            match op {
                Op::Get(key) => values.push(self.keys.get(key).cloned()),
                Op::Put(key, value) => {
                    let stored = Stored { value: value.clone(), revision: self.revision };
                    self.keys.insert(key.clone(), stored);
                }
                Op::Delete(key) => {
                    self.keys.remove(key);
                }
            }
        }
        Reply { equal, revision: self.revision, values, connection: 1 }
    }

    /// Has the values of `other` again, under a new revision.
    pub fn write_again(&mut self, other: &Self) {
        self.revision += 1;
        self.keys.clone_from(&other.keys);
        self.keys.values_mut().for_each(|stored| stored.revision = self.revision);
    }

    pub fn list(&self, prefix: &str, after: &str, most: u32) -> Page {
        let mut found = self.keys.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
        let entries = found.by_ref().take(most as usize).map(|(key, stored)| (key.clone(), stored.clone()));
        let entries = entries.collect();
        Page { entries, more: found.next().is_some() }
    }
}

/// A store that answers at once.
#[derive(Default)]
pub struct Memory {
    pub data: Mutex<Data>,
    /// Raised by a test that ends all connections.
    pub connection: std::sync::atomic::AtomicU64,
    /// How many requests there were.
    pub requests: std::sync::atomic::AtomicU64,
    /// The fate of the next transaction that compares.
    pub next_write: Mutex<Fate>,
}

/// The fate of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Answered,
    DoneAndLost,
    Lost,
}

impl Engine for Memory {
    fn transact(&self, txn: &Txn, _: Duration) -> Result<Reply, EngineError> {
        use std::sync::atomic::Ordering::SeqCst;
        self.requests.fetch_add(1, SeqCst);
        let connection = 1 + self.connection.load(SeqCst);
        let is_write = !txn.compare.is_empty();
        let fate =
            if is_write { std::mem::take(&mut *self.next_write.lock().unwrap()) } else { Fate::Answered };
        if fate == Fate::DoneAndLost {
            self.data.lock().unwrap().apply(txn);
        }
        if fate != Fate::Answered {
            return Err(EngineError::Unknown("no answer".to_owned()));
        }
        Ok(Reply { connection, ..self.data.lock().unwrap().apply(txn) })
    }

    fn list(&self, prefix: &str, after: &str, most: u32, _: Duration) -> Result<Page, EngineError> {
        Ok(self.data.lock().unwrap().list(prefix, after, most))
    }
}
