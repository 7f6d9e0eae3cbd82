//! What this verifier last read or wrote of accounts, so that most right answers need one request to etcd and
//! not two.
//!
//! It is a guess. Only an acceptance is made from it, by a transaction that compares the revision of each
//! value; all else is decided from what is read for it. Values are kept as etcd has them: sealed.

use crate::engine::Stored;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of values: those of some 15,000 accounts. What is beyond it is read again.
const MOST: usize = 64 << 20;

/// Values by their keys.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The connection that they came over. Another one can be to a restored backup, in which the same
    /// revision is of another value.
    connection: u64,
    values: HashMap<String, Option<Stored>>,
    bytes: usize,
}

impl Memory {
    /// The values of these keys, if each is known and they came over this connection.
    pub fn recall(&self, keys: &[String], connection: u64) -> Option<Vec<Option<Stored>>> {
        let known = self.lock();
        let values = || keys.iter().map(|key| known.values.get(key).cloned()).collect();
        (known.connection == connection).then(values).flatten()
    }

    /// Keeps values that came over this connection.
    pub fn note(&self, connection: u64, values: impl IntoIterator<Item = (String, Option<Stored>)>) {
        let mut known = self.lock();
        if known.connection != connection || known.bytes > MOST {
            *known = Known { connection, ..Known::default() };
        }
        for (key, stored) in values {
            known.bytes += size(&stored);
            let before = known.values.insert(key, stored);
            known.bytes -= before.as_ref().map_or(0, size);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(stored: &Option<Stored>) -> usize {
    stored.as_ref().map_or(0, |stored| stored.value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(revision: i64, length: usize) -> Option<Stored> {
        Some(Stored { value: vec![0; length], revision })
    }

    #[test]
    fn all_keys_are_known_from_the_same_connection_or_none_is() {
        let memory = Memory::default();
        let keys = ["a".to_owned(), "b".to_owned()];
        memory.note(1, [("a".to_owned(), stored(5, 1))]);
        assert_eq!(memory.recall(&keys, 1), None);
        memory.note(1, [("b".to_owned(), None)]);
        assert_eq!(memory.recall(&keys, 1), Some(vec![stored(5, 1), None]));
        assert_eq!(memory.recall(&keys, 2), None);
        memory.note(2, [("b".to_owned(), None)]);
        assert_eq!(memory.recall(&keys, 2), None, "the other one came over a connection that has ended");
    }

    #[test]
    fn it_is_bounded() {
        let memory = Memory::default();
        for number in 0..200 {
            memory.note(1, [(number.to_string(), stored(1, MOST / 100))]);
            assert!(memory.lock().values.len() <= 102);
        }
        for _ in 0..200 {
            memory.note(1, [("again".to_owned(), stored(1, MOST / 100))]);
        }
        assert!(memory.lock().values.len() > 1, "a value in place of another one takes no more room");
    }
}
