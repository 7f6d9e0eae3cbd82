//! What this verifier last read or wrote of accounts, so that most right answers need one request to etcd and
//! not two.
//!
//! It is a guess. Only an acceptance is made from it, by a transaction that compares the revision of each
//! value; all else is decided from what is read for it. Values are kept as etcd has them: sealed.

use crate::engine::Stored;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of keys and values, those of some 15,000 accounts. Beyond it all is read again.
const MOST: usize = 64 << 20;
/// Bytes of an entry without its key and value, about.
const ENTRY: usize = 100;

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

    /// Keeps values that came over this connection. Connections are numbered in their order.
    pub fn note(&self, connection: u64, values: impl IntoIterator<Item = (String, Option<Stored>)>) {
        let mut known = self.lock();
        if connection > known.connection || known.bytes > MOST {
            *known = Known { connection: connection.max(known.connection), ..Known::default() };
        }
        if connection == known.connection {
            values.into_iter().for_each(|(key, stored)| known.put(key, stored));
        }
    }

    /// Keeps values of keys that are known, such as those of a transaction over this connection.
    pub fn renew(&self, connection: u64, values: impl IntoIterator<Item = (String, Option<Stored>)>) {
        let mut known = self.lock();
        let values = values.into_iter().filter(|_| known.connection == connection);
        for (key, stored) in values.collect::<Vec<_>>() {
            if known.values.contains_key(&key) {
                known.put(key, stored);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn put(&mut self, key: String, stored: Option<Stored>) {
        let size = |stored: &Option<Stored>| stored.as_ref().map_or(0, |stored| stored.value.len());
        self.bytes += size(&stored);
        match self.values.get_mut(&key) {
            Some(before) => {
                self.bytes -= size(before);
                *before = stored;
            }
            None => {
                self.bytes += ENTRY + key.len();
                self.values.insert(key, stored);
            }
        }
    }
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
        memory.note(1, [("a".to_owned(), stored(5, 1))]);
        assert_eq!(memory.recall(&keys[1..], 2), Some(vec![None]), "a late one wipes nothing");
    }

    #[test]
    fn only_what_is_known_is_renewed() {
        let memory = Memory::default();
        let keys = ["a".to_owned(), "b".to_owned()];
        memory.note(1, [("a".to_owned(), stored(5, 1))]);
        memory.renew(1, keys.clone().map(|key| (key, stored(6, 2))));
        assert_eq!(memory.recall(&keys, 1), None);
        assert_eq!(memory.recall(&keys[..1], 1), Some(vec![stored(6, 2)]));
    }

    #[test]
    fn it_is_bounded() {
        let memory = Memory::default();
        for number in 0..MOST / ENTRY {
            memory.note(1, [(number.to_string(), None)]);
        }
        assert!(memory.lock().bytes <= MOST + 2 * ENTRY, "names that are not there take room, too");
        let memory = Memory::default();
        for number in 0..200 {
            memory.note(1, [(number.to_string(), stored(1, MOST / 100))]);
            assert!(memory.lock().values.len() <= 102);
        }
        let memory = Memory::default();
        memory.note(1, [("other".to_owned(), None)]);
        for _ in 0..200 {
            memory.note(1, [("again".to_owned(), stored(1, MOST / 100))]);
        }
        assert_eq!(memory.lock().values.len(), 2, "a value in place of another one takes no more room");
    }
}
