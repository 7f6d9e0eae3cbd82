//! The operations of a replicated key-value store that we need: transactions that compare revisions, and
//! lists of keys.
//!
//! All reads are linearizable. An error tells whether the request can have been carried out: see
//! [`EngineError`].

use std::time::Duration;
use thiserror::Error;

/// A key's value and the revision of the transaction that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The bytes.
    pub value: Vec<u8>,
    /// The revision; 0 is that of a key that is not there.
    pub revision: i64,
}

/// The revision of a key that may not be there.
pub(crate) fn revision_of(stored: Option<&Stored>) -> i64 {
    stored.map_or(0, |stored| stored.revision)
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads a key.
    Get(String),
    /// Writes a key.
    Put(String, Vec<u8>),
    /// Removes a key.
    Delete(String),
}

impl Op {
    /// Its key.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Get(key) | Self::Put(key, _) | Self::Delete(key) => key,
        }
    }

    /// Whether it only reads.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Get(_))
    }
}

/// If every key in `compare` has that revision: `then`, else `otherwise`. All or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// Keys and the revisions of their values; 0: not there.
    pub compare: Vec<(String, i64)>,
    /// Done if all are equal.
    pub then: Vec<Op>,
    /// Done if one differs.
    pub otherwise: Vec<Op>,
}

impl Txn {
    /// Reads these keys.
    pub(crate) fn read(keys: &[&str]) -> Self {
        Self { then: gets(keys), ..Self::default() }
    }
}

/// Reads of these keys.
pub(crate) fn gets(keys: &[&str]) -> Vec<Op> {
    keys.iter().map(|key| Op::Get((*key).to_owned())).collect()
}

/// The answer to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whether all compared keys were equal.
    pub equal: bool,
    /// The store's revision after the transaction.
    pub revision: i64,
    /// The values of the [`Op::Get`]s, in their order.
    pub values: Vec<Option<Stored>>,
    /// The number of the connection that it came over.
    pub connection: u64,
}

/// Some keys of a list, in order, with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub entries: Vec<(String, Stored)>,
    /// Whether there are more.
    pub more: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EngineError {
    /// The request was not carried out and never will be.
    #[error("{0}")]
    NotSent(String),
    /// As [`EngineError::NotSent`]: the database has reached its quota.
    #[error(
        "etcd's database has reached its quota, so it takes no writes; see docs/FLEET.md, \"Out of space\""
    )]
    NoSpace,
    /// As [`EngineError::NotSent`]: this version has known faults.
    #[error("etcd {0} is too old: 3.5.14 is the first version without known faults in its replication")]
    TooOld(String),
    /// The request may be carried out now, later or never.
    #[error("{0}; the request may or may not have been carried out")]
    Unknown(String),
}

/// A replicated key-value store.
pub trait Engine: Send + Sync {
    /// Carries out a transaction, within `limit`.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn transact(&self, txn: &Txn, limit: Duration) -> Result<Reply, EngineError>;

    /// Lists keys that begin with `prefix` and come after `after` (or the first ones, if it is empty).
    ///
    /// # Errors
    /// See [`EngineError`].
    fn list(&self, prefix: &str, after: &str, most: u32, limit: Duration) -> Result<Page, EngineError>;
}
