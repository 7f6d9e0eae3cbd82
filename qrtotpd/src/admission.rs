//! Admission: callers that have arrived and are not identified yet. Looking one up may take long if the user
//! database is slow, and a user with subordinate uids has 65,536 of them, none of which is an account. So
//! neighbouring uids share a few threads and places. A caller without a place waits or is sent away, without
//! delaying others or the accepting thread.

use crate::connection_limits::{self, leave};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Number of uids in a neighbourhood. Those of one user (subuid(5)) span at most two.
const NEIGHBOURS: u32 = 65_536;
/// Neighbours that are looked up at a time.
const AT_ONCE: usize = 8;
/// Threads that look callers up.
const LOOKUPS: usize = 192;
/// Connections of neighbours, including waiting ones: as many as can be served, when a whole office connects
/// at once.
const NEAR: usize = connection_limits::ALL;
/// Connections of all callers. Six users with all their subordinate uids may have that many.
const ALL: usize = 12 * NEAR;

/// Callers that are not identified yet; `G` is the data kept for each.
pub struct Admission<G> {
    inside: Mutex<Inside<G>>,
}

impl<G> Default for Admission<G> {
    fn default() -> Self {
        Self { inside: Mutex::new(Inside { all: 0, lookups: 0, near: HashMap::new() }) }
    }
}

struct Inside<G> {
    all: usize,
    lookups: usize,
    near: HashMap<u32, Neighbourhood<G>>,
}

struct Neighbourhood<G> {
    /// Connections of each uid.
    uids: HashMap<u32, usize>,
    /// Threads that look them up.
    lookups: usize,
    waiting: VecDeque<(u32, G)>,
}

/// What happens to an arriving caller.
pub enum Arrival<G> {
    /// A new thread is to look them up.
    Lookup(Lookup<G>, G),
    /// A thread that looks up others will come to them.
    Waits,
    /// There is no place for them.
    Full(G),
}

/// A thread that looks up one caller after the other; ends when no caller waits, or when dropped.
pub struct Lookup<G> {
    admission: Arc<Admission<G>>,
    near: u32,
    /// The uid that it looks up; `None`: it has ended.
    at: Option<u32>,
}

impl<G> Admission<G> {
    /// Takes in a connection of `uid`, which may have `each`. Never blocks.
    pub fn arrive(self: &Arc<Self>, uid: u32, each: usize, guest: G) -> Arrival<G> {
        let near = uid / NEIGHBOURS;
        let mut inside = self.inside();
        let Inside { all, lookups, near: hoods } = &mut *inside;
        let here = hoods.entry(near).or_insert_with(|| Neighbourhood {
            uids: HashMap::new(),
            lookups: 0,
            waiting: VecDeque::new(),
        });
        let own = here.uids.get(&uid).copied().unwrap_or(0);
        let free = own < each && here.uids.values().sum::<usize>() < NEAR && *all < ALL;
        let at_once = here.lookups < AT_ONCE && *lookups < LOOKUPS;
        let comes = at_once || here.lookups > 0; // a thread, to a caller that waits
        if !(free && comes) {
            inside.sweep(near);
            return Arrival::Full(guest);
        }
        *here.uids.entry(uid).or_default() += 1;
        *all += 1;
        if at_once {
            here.lookups += 1;
            *lookups += 1;
            return Arrival::Lookup(Lookup { admission: Arc::clone(self), near, at: Some(uid) }, guest);
        }
        here.waiting.push_back((uid, guest));
        Arrival::Waits
    }

    /// True if no caller is here.
    pub fn is_empty(&self) -> bool {
        self.inside().all == 0
    }

    fn inside(&self) -> MutexGuard<'_, Inside<G>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

impl<G> Inside<G> {
    /// Removes one connection of `uid`.
    fn leave(&mut self, near: u32, uid: u32) {
        self.all -= 1;
        if let Some(here) = self.near.get_mut(&near) {
            leave(&mut here.uids, &uid);
        }
    }

    /// Ends a thread. Callers that no other thread would come to are dropped.
    fn end(&mut self, near: u32) {
        self.lookups -= 1;
        if let Some(here) = self.near.get_mut(&near) {
            here.lookups -= 1;
            let left = if here.lookups == 0 { std::mem::take(&mut here.waiting) } else { VecDeque::new() };
            left.iter().for_each(|(uid, _)| self.leave(near, *uid));
        }
        self.sweep(near);
    }

    /// Forgets a group of neighbours without callers.
    fn sweep(&mut self, near: u32) {
        if self.near.get(&near).is_some_and(|here| here.uids.is_empty() && here.lookups == 0) {
            self.near.remove(&near);
        }
    }
}

impl<G> Lookup<G> {
    /// Finishes one caller, and goes to the next waiting one or ends. Callers that arrive after the end get
    /// another thread.
    pub fn next(&mut self) -> Option<(u32, G)> {
        let mut inside = self.admission.inside();
        inside.leave(self.near, self.at.take()?);
        let next = inside.near.get_mut(&self.near).and_then(|here| here.waiting.pop_front());
        match &next {
            Some((uid, _)) => self.at = Some(*uid),
            None => inside.end(self.near),
        }
        next
    }
}

impl<G> Drop for Lookup<G> {
    fn drop(&mut self) {
        let Some(uid) = self.at else { return };
        let mut inside = self.admission.inside();
        inside.leave(self.near, uid);
        inside.end(self.near);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::connection_limits::EACH;

    type Lookups = Vec<Lookup<u32>>;

    /// All of them at once; the threads that look, and how many found a place.
    fn crowd(admission: &Arc<Admission<u32>>, uids: impl Iterator<Item = u32>) -> (Lookups, usize) {
        let mut lookups = Vec::new();
        let mut found = 0;
        for uid in uids {
            match admission.arrive(uid, EACH, uid) {
                Arrival::Lookup(lookup, _) => lookups.push(lookup),
                Arrival::Waits => {}
                Arrival::Full(_) => continue,
            }
            found += 1;
        }
        (lookups, found)
    }

    #[test]
    fn all_subordinate_uids_of_a_user_leave_threads_and_places_to_others() {
        let admission = Arc::<Admission<u32>>::default();
        let (lookups, found) = crowd(&admission, 100_000..165_536);
        assert_eq!((lookups.len(), found), (2 * AT_ONCE, 2 * NEAR));
        let (people, found) = crowd(&admission, 1000..1010);
        assert_eq!((people.len(), found), (AT_ONCE, 10));
        drop((lookups, people));
        assert!(admission.is_empty() && admission.inside().near.is_empty());
    }

    #[test]
    fn all_who_can_be_served_may_come_at_once() {
        let admission = Arc::<Admission<u32>>::default();
        let (lookups, found) = crowd(&admission, 1000..1256);
        assert_eq!((lookups.len(), found), (AT_ONCE, 256));
    }

    #[test]
    fn however_many_neighbourhoods_come_the_threads_are_limited_and_nobody_waits_without_one() {
        let admission = Arc::<Admission<u32>>::default();
        let (lookups, _) =
            crowd(&admission, (0..50).map(|near| near * NEIGHBOURS).flat_map(|uid| uid + 1..uid + 10));
        assert_eq!(lookups.len(), LOOKUPS);
        assert!(matches!(admission.arrive(50 * NEIGHBOURS, EACH, 0), Arrival::Full(_)));
        assert!(matches!(admission.arrive(2, EACH, 0), Arrival::Waits));
        drop(lookups);
        assert!(admission.is_empty() && admission.inside().lookups == 0);
    }

    #[test]
    fn nobody_waits_for_a_thread_that_has_found_nobody_waiting() {
        let admission = Arc::<Admission<u32>>::default();
        let (mut lookups, _) = crowd(&admission, 1000..1008);
        assert_eq!(lookups.len(), AT_ONCE);
        lookups.iter_mut().for_each(|lookup| assert!(lookup.next().is_none()));
        assert!(matches!(admission.arrive(1008, EACH, 0), Arrival::Lookup(..)));
        drop(lookups);
        assert!(admission.is_empty() && admission.inside().lookups == 0);
    }

    #[test]
    fn one_uid_has_a_few_places_and_all_together_have_a_limit() {
        let admission = Arc::<Admission<u32>>::default();
        let (own, found) = crowd(&admission, std::iter::repeat_n(1000, 1000));
        assert_eq!(found, EACH);
        let more =
            crowd(&admission, (0..40).map(|near| near * NEIGHBOURS).flat_map(|uid| uid + 1..uid + 200));
        assert_eq!(found + more.1, ALL);
        assert!(matches!(admission.arrive(1001, EACH, 0), Arrival::Full(_)));
        assert!(matches!(admission.arrive(0, EACH, 0), Arrival::Full(_)));
        drop((own, more));
        assert!(admission.is_empty());
    }

    #[test]
    fn who_waits_is_looked_at_in_turn_and_nobody_is_left_waiting_for_a_thread_that_is_gone() {
        let admission = Arc::<Admission<u32>>::default();
        let (mut lookups, found) = crowd(&admission, 1000..1020);
        assert_eq!((lookups.len(), found), (AT_ONCE, 20));
        let mut first = lookups.remove(0);
        let seen: Vec<u32> = (0..3).map(|_| first.next().unwrap().1).collect();
        assert_eq!(seen, [1008, 1009, 1010]);
        drop(first);
        assert_eq!(lookups[0].next().unwrap().1, 1011);
        lookups.clear();
        assert!(admission.is_empty(), "the rest were let go");
    }
}
