//! What `Watch` remembers, in tables of a fixed size.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

/// Most entries of a table: accounts, networks.
pub(super) const MOST: usize = 16_384;
/// Places, failures and successes of an account.
const PLACES: usize = 8;
const FAILURES: usize = 32;
const SUCCESSES: usize = 4;
/// Names of a network that were refused.
const NAMES: usize = 32;

/// A table that forgets what was not touched for longest.
pub(super) struct Table<K, V> {
    entries: HashMap<K, (i64, V)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Default> Table<K, V> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn entry(&mut self, key: K, now: i64) -> &mut V {
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.forget();
        }
        let entry = self.entries.entry(key).or_default();
        entry.0 = now;
        &mut entry.1
    }

    /// Forgets the older half. (Not one at a time: that would look through all of them for each.)
    fn forget(&mut self) {
        let mut times: Vec<i64> = self.entries.values().map(|(time, _)| *time).collect();
        let (_, middle, _) = times.select_nth_unstable(MOST / 2);
        let middle = *middle;
        self.entries.retain(|_, (time, _)| *time > middle);
    }
}

/// An account's places, failures and last successes.
#[derive(Debug, Default)]
pub(super) struct Account {
    places: Vec<(String, i64)>,
    failures: VecDeque<(i64, String)>,
    successes: VecDeque<(i64, String, bool)>,
    /// When and where the last code was accepted.
    pub(super) last_code: Option<(i64, String)>,
    pub(super) recovery_used: Option<i64>,
}

impl Account {
    pub(super) fn is_familiar(&self, place: &str, since: i64) -> bool {
        self.places.iter().any(|(known, last)| known == place && *last >= since)
    }

    pub(super) fn familiar_since(&self, since: i64) -> Vec<String> {
        self.places.iter().filter(|(_, last)| *last >= since).map(|(place, _)| place.clone()).collect()
    }

    pub(super) fn failures_since(&self, since: i64, from: impl Fn(&str) -> bool) -> usize {
        self.failures.iter().filter(|(at, place)| *at >= since && from(place)).count()
    }

    pub(super) fn fail(&mut self, place: &str, now: i64) {
        self.failures.push_back((now, place.to_owned()));
        if self.failures.len() > FAILURES {
            self.failures.pop_front();
        }
    }

    /// The other place, if the last two successes were at `place` and at that one, and none of the three by a
    /// key.
    pub(super) fn alternates(&self, place: &str, by_key: bool, since: i64) -> Option<String> {
        let mut last = self.successes.iter().rev();
        let (other, before) = (last.next()?, last.next()?);
        let recent = before.0 >= since && !by_key && !other.2 && !before.2;
        let remote = place != "local" && other.1 != "local";
        (recent && remote && before.1 == place && other.1 != place).then(|| other.1.clone())
    }

    pub(super) fn accept(&mut self, place: &str, now: i64, by_key: bool, by_code: bool) {
        self.failures.retain(|(_, from)| from != place);
        self.successes.push_back((now, place.to_owned(), by_key));
        if self.successes.len() > SUCCESSES {
            self.successes.pop_front();
        }
        if by_code {
            self.last_code = Some((now, place.to_owned()));
        }
        if let Some(known) = self.places.iter_mut().find(|(known, _)| known == place) {
            known.1 = now;
            return;
        }
        if self.places.len() >= PLACES {
            self.places.sort_by_key(|(_, last)| *last);
            self.places.remove(0);
        }
        self.places.push((place.to_owned(), now));
    }
}

/// A network, and who was refused there and did not get in since.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) refused: VecDeque<(i64, String)>,
}

impl Network {
    /// How many names were refused since `since`, with this one.
    pub(super) fn refuse(&mut self, user: &str, now: i64, since: i64) -> usize {
        self.refused.retain(|(at, name)| *at >= since && name != user);
        self.refused.push_back((now, user.to_owned()));
        if self.refused.len() > NAMES {
            self.refused.pop_front();
        }
        self.refused.len()
    }
}

/// The network of a remote host, within which dynamic addresses stay familiar: /24 of IPv4, /56 of IPv6. A
/// name stands for itself.
pub(super) fn network_of(host: &str) -> String {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(address)) => {
            let network = std::net::Ipv6Addr::from_bits(address.to_bits() >> 72 << 72);
            format!("{network}/56")
        }
        Err(_) => host.chars().take(255).collect(),
    }
}

#[cfg(test)]
impl<K, V> Table<K, V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
