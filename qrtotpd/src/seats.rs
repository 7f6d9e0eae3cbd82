//! How many connections are served at a time. Nobody can take all of them: everybody has a few, and a place for the
//! first connection of somebody who has none is kept free. Until it is known that a uid is somebody's, all such share a
//! lobby: a user with subordinate uids has 65,536 of them, and none is a person.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections of one user.
const EACH: usize = 4;
/// Connections from which on nobody gets a second one.
const MANY: usize = 32;
/// Connections of all users. What is above is root's.
const ALL: usize = 256;
/// Connections of whom nobody knows yet.
const LOBBY: usize = 64;
/// How long the door waits for somebody to leave the lobby: long enough for a look into /etc/passwd, and too short to
/// hold up the others where the user database hangs.
const PATIENCE: Duration = Duration::from_millis(2);

/// Who is being served.
#[derive(Default)]
pub struct Seats {
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Default)]
struct Taken {
    lobby: HashMap<u32, usize>,
    people: HashMap<u32, usize>,
    /// One more each, for what is soon over.
    short: HashMap<u32, usize>,
}

/// Which place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of somebody who is to be found out.
    Lobby,
    /// For anything.
    Full,
    /// For a request that asks nothing: whoever has taken all their places can still have their screen unlocked.
    Short,
}

/// One connection; freed when dropped.
pub struct Seat {
    seats: Arc<Seats>,
    uid: u32,
    pub kind: Kind,
}

impl Seats {
    /// A place in the lobby for a connection of `uid`.
    pub fn arrive(self: &Arc<Self>, uid: u32) -> Option<Seat> {
        let full = |taken: &mut Taken| taken.lobby.values().sum::<usize>() >= LOBBY && uid != 0;
        let waited = self.freed.wait_timeout_while(self.taken(), PATIENCE, full);
        let mut taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        let free = !full(&mut taken) && taken.lobby.get(&uid).is_none_or(|own| *own < EACH);
        free.then(|| self.seat(&mut taken, uid, Kind::Lobby))
    }

    /// A seat for somebody who is known now, if there is one for them.
    pub fn take(self: &Arc<Self>, uid: u32) -> Option<Seat> {
        let mut taken = self.taken();
        let own = taken.people.get(&uid).copied().unwrap_or(0);
        let people = taken.people.values().sum::<usize>();
        let all = people + taken.short.len();
        if all >= ALL && uid != 0 {
            return None;
        }
        if own < EACH && (people < MANY || own == 0) {
            return Some(self.seat(&mut taken, uid, Kind::Full));
        }
        (!taken.short.contains_key(&uid)).then(|| self.seat(&mut taken, uid, Kind::Short))
    }

    fn seat(self: &Arc<Self>, taken: &mut Taken, uid: u32, kind: Kind) -> Seat {
        *taken.of(kind).entry(uid).or_default() += 1;
        Seat { seats: Arc::clone(self), uid, kind }
    }

    /// True if nobody is being served.
    pub fn is_empty(&self) -> bool {
        let taken = self.taken();
        [&taken.lobby, &taken.people, &taken.short].iter().all(|counts| counts.is_empty())
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner) // counts are never half-changed
    }
}

impl Taken {
    fn of(&mut self, kind: Kind) -> &mut HashMap<u32, usize> {
        match kind {
            Kind::Lobby => &mut self.lobby,
            Kind::Full => &mut self.people,
            Kind::Short => &mut self.short,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        leave(self.seats.taken().of(self.kind), &self.uid);
        self.seats.freed.notify_all();
    }
}

/// One less of `who`.
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

    fn full(seats: &Arc<Seats>, uid: u32) -> Option<Seat> {
        seats.take(uid).filter(|seat| seat.kind == Kind::Full)
    }

    #[test]
    fn one_user_gets_a_few_seats_and_never_those_of_others() {
        let seats = Arc::<Seats>::default();
        let held: Vec<_> = (0..1000).filter_map(|_| seats.take(1000)).collect();
        assert_eq!(held.len(), EACH + 1);
        assert!(seats.take(1001).is_some());
        drop(held);
        assert!(seats.take(1000).is_some() && seats.is_empty());
    }

    #[test]
    fn whoever_waits_in_all_their_seats_has_one_left_for_what_is_soon_over() {
        let seats = Arc::<Seats>::default();
        let held: Vec<_> = (0..EACH).filter_map(|_| full(&seats, 1000)).collect();
        assert_eq!(held.len(), EACH);
        let short = seats.take(1000).unwrap();
        assert_eq!(short.kind, Kind::Short);
        assert!(seats.take(1000).is_none());
        drop(short);
        assert_eq!(seats.take(1000).unwrap().kind, Kind::Short);
    }

    #[test]
    fn where_many_are_served_everybody_gets_one_and_root_is_never_kept_out() {
        let seats = Arc::<Seats>::default();
        let mut held: Vec<_> =
            (1000..1008).flat_map(|uid| [uid; EACH]).filter_map(|uid| full(&seats, uid)).collect();
        assert_eq!(held.len(), MANY);
        held.extend((2000..3000).filter_map(|uid| full(&seats, uid)));
        assert_eq!(held.len(), ALL);
        assert!(seats.take(2000).is_none() && seats.take(5000).is_none());
        assert!(seats.take(0).is_some());
        held.truncate(MANY);
        assert_eq!(seats.take(1000).unwrap().kind, Kind::Short, "no second one");
        assert!(full(&seats, 5000).is_some(), "but a first one");
    }

    #[test]
    fn a_thousand_uids_that_are_nobodys_take_no_seat_of_a_person() {
        let seats = Arc::<Seats>::default();
        let held: Vec<_> = (100_000..101_000).filter_map(|uid| seats.arrive(uid)).collect();
        assert_eq!(held.len(), LOBBY);
        assert!(seats.arrive(1000).is_none() && seats.arrive(0).is_some());
        assert!(full(&seats, 1000).is_some());
        drop(held);
        let own: Vec<_> = (0..10).filter_map(|_| seats.arrive(1000)).collect();
        assert_eq!(own.len(), EACH);
    }

    #[test]
    fn the_door_waits_for_a_place_in_the_lobby_that_is_soon_free() {
        let seats = Arc::<Seats>::default();
        let mut held: Vec<_> = (0..100).filter_map(|uid| seats.arrive(uid + 100_000)).collect();
        let last = held.pop();
        let freeing = std::thread::spawn(move || drop(last));
        assert!((0..1000).any(|_| seats.arrive(1000).is_some()));
        freeing.join().unwrap();
    }
}
