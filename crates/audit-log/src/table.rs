//! Tables of a fixed size, which nobody can fill up.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Most entries of a table.
pub(crate) const MOST: usize = 16_384;

/// A table that forgets what was not touched for longest.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    entries: HashMap<K, (i64, V)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Default> Table<K, V> {
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(crate) fn entry(&mut self, key: K, now: i64) -> &mut V {
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.forget();
        }
        let entry = self.entries.entry(key).or_default();
        entry.0 = now;
        &mut entry.1
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key);
    }

    /// Forgets the older half. (Not one at a time: that would look through all of them for each.)
    fn forget(&mut self) {
        let mut times: Vec<i64> = self.entries.values().map(|(time, _)| *time).collect();
        let (_, middle, _) = times.select_nth_unstable(MOST / 2);
        let middle = *middle;
        self.entries.retain(|_, (time, _)| *time > middle);
    }
}

#[cfg(test)]
impl<K, V> Table<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
