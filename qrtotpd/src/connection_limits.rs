//! Limits on the number of connections served at a time. No user can take all of them: each has a few, and a
//! place is kept free for the first connection of a user who has none. Only for identified callers; see
//! `admission.rs`.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of one user.
pub const EACH: usize = 4;
/// Connections of a service of `[broker.services]`, whose users share them.
pub const SERVICE: usize = 64;
/// From this many connections on, only services get a second one.
const MANY: usize = 32;
/// Connections of all users.
pub const ALL: usize = 256;

/// The connections being served.
#[derive(Default)]
pub struct ConnectionLimits {
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    people: HashMap<u32, usize>,
    /// One more each, for short requests.
    short: HashMap<u32, usize>,
}

/// The kind of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For any request.
    Full,
    /// For a request without questions: a user who has taken all their places can still unlock their screen.
    Short,
}

/// One connection; freed when dropped.
pub struct ConnectionPermit {
    connections: Arc<ConnectionLimits>,
    uid: u32,
    pub kind: Kind,
}

impl ConnectionLimits {
    /// Whether there is no place left for `uid`, identified or not, which may have `each` places.
    pub fn are_taken(&self, uid: u32, each: usize) -> bool {
        self.taken().free_for(uid, each).is_none()
    }

    /// A place for an identified user, if there is one for them.
    pub fn take(self: &Arc<Self>, uid: u32, each: usize) -> Option<ConnectionPermit> {
        let mut taken = self.taken();
        let kind = taken.free_for(uid, each)?;
        *taken.of(kind).entry(uid).or_default() += 1;
        Some(ConnectionPermit { connections: Arc::clone(self), uid, kind })
    }

    /// True if no caller is being served.
    pub fn is_empty(&self) -> bool {
        let taken = self.taken();
        taken.people.is_empty() && taken.short.is_empty()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner) // counts are never half-changed
    }
}

impl Taken {
    fn free_for(&self, uid: u32, each: usize) -> Option<Kind> {
        let own = self.people.get(&uid).copied().unwrap_or(0);
        let people = self.people.values().sum::<usize>();
        let all = people + self.short.len();
        if all >= ALL {
            return None;
        }
        if own < each && (people < MANY || own == 0 || each > EACH) {
            return Some(Kind::Full);
        }
        (!self.short.contains_key(&uid)).then_some(Kind::Short)
    }

    fn of(&mut self, kind: Kind) -> &mut HashMap<u32, usize> {
        match kind {
            Kind::Full => &mut self.people,
            Kind::Short => &mut self.short,
        }
    }
}

impl ConnectionPermit {
    /// Whether it may hold a dialogue, which takes long: of a service's many places only as many as a user
    /// has.
    pub fn is_for_dialogues(&self) -> bool {
        let own = self.connections.taken().people.get(&self.uid).copied().unwrap_or(0);
        self.kind == Kind::Full && own <= EACH
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        leave(self.connections.taken().of(self.kind), &self.uid);
    }
}

/// Subtracts one from the count of `who`.
pub fn leave<K: Hash + Eq>(counts: &mut HashMap<K, usize>, who: &K) {
    if let Some(own) = counts.get_mut(who) {
        *own -= 1;
        if *own == 0 {
            counts.remove(who);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn full(connections: &Arc<ConnectionLimits>, uid: u32) -> Option<ConnectionPermit> {
        connections.take(uid, EACH).filter(|seat| seat.kind == Kind::Full)
    }

    #[test]
    fn one_user_gets_a_few_seats_and_never_those_of_others() {
        let connections = Arc::<ConnectionLimits>::default();
        let held: Vec<_> = (0..1000).filter_map(|_| connections.take(1000, EACH)).collect();
        assert_eq!(held.len(), EACH + 1);
        assert!(connections.are_taken(1000, EACH) && !connections.are_taken(1001, EACH));
        assert!(connections.take(1001, EACH).is_some());
        drop(held);
        assert!(connections.take(1000, EACH).is_some() && connections.is_empty());
    }

    #[test]
    fn whoever_waits_in_all_their_seats_has_one_left_for_what_is_soon_over() {
        let connections = Arc::<ConnectionLimits>::default();
        let held: Vec<_> = (0..EACH).filter_map(|_| full(&connections, 1000)).collect();
        assert_eq!(held.len(), EACH);
        let short = connections.take(1000, EACH).unwrap();
        assert_eq!(short.kind, Kind::Short);
        assert!(connections.take(1000, EACH).is_none());
        drop(short);
        assert_eq!(connections.take(1000, EACH).unwrap().kind, Kind::Short);
    }

    #[test]
    fn where_many_are_served_everybody_gets_one_and_uid_0_no_more_than_others() {
        let connections = Arc::<ConnectionLimits>::default();
        let mut held: Vec<_> =
            (1000..1008).flat_map(|uid| [uid; EACH]).filter_map(|uid| full(&connections, uid)).collect();
        assert_eq!(held.len(), MANY);
        held.extend((2000..3000).filter_map(|uid| full(&connections, uid)));
        assert_eq!(held.len(), ALL);
        assert!(
            connections.take(2000, EACH).is_none()
                && connections.take(5000, EACH).is_none()
                && connections.take(0, EACH).is_none()
        );
        assert!(held.iter().all(ConnectionPermit::is_for_dialogues));
        held.truncate(MANY);
        assert_eq!(connections.take(1000, EACH).unwrap().kind, Kind::Short, "no second one");
        assert!(full(&connections, 5000).is_some(), "but a first one");
    }

    #[test]
    fn a_service_gets_more_seats_and_leaves_first_ones_to_others() {
        let connections = Arc::<ConnectionLimits>::default();
        let held: Vec<_> = (0..1000).filter_map(|_| connections.take(26, SERVICE)).collect();
        assert_eq!(held.len(), SERVICE + 1);
        assert!(held.iter().all(|seat| !seat.is_for_dialogues()));
        assert!(full(&connections, 1000).is_some());
    }
}
