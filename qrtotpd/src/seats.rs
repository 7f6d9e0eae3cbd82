//! How many connections are served at a time. Nobody can take all of them: everybody has a few, and a place for the
//! first connection of somebody who has none is kept free.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of one user. Each may hash a code, which takes 19 MiB.
const EACH: usize = 4;
/// Connections from which on nobody gets a second one.
const MANY: usize = 32;
/// Connections of all users. What is above is root's.
const ALL: usize = 256;

/// Who is being served.
#[derive(Default)]
pub struct Seats(Mutex<HashMap<u32, usize>>);

/// One connection; freed when dropped.
pub struct Seat {
    seats: Arc<Seats>,
    uid: u32,
}

impl Seats {
    /// A seat for a connection of `uid`, if there is one for them.
    pub fn take(self: &Arc<Self>, uid: u32) -> Option<Seat> {
        let mut taken = self.taken();
        let (own, total) = (taken.get(&uid).copied().unwrap_or(0), taken.values().sum::<usize>());
        let free = own < EACH && (total < MANY || own == 0) && (total < ALL || uid == 0);
        free.then(|| {
            *taken.entry(uid).or_default() += 1;
            Seat { seats: Arc::clone(self), uid }
        })
    }

    /// True if nobody is being served.
    pub fn is_empty(&self) -> bool {
        self.taken().is_empty()
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // counts are never half-changed
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(own) = taken.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_gets_a_few_seats_and_never_those_of_others() {
        let seats = Arc::<Seats>::default();
        let held: Vec<_> = (0..1000).filter_map(|_| seats.take(1000)).collect();
        assert_eq!(held.len(), EACH);
        assert!(seats.take(1001).is_some());
        drop(held);
        assert!(seats.take(1000).is_some() && seats.is_empty());
    }

    #[test]
    fn where_many_are_served_everybody_gets_one_and_root_is_never_kept_out() {
        let seats = Arc::<Seats>::default();
        let mut held: Vec<_> = (1000..1008)
            .flat_map(|uid| (0..EACH).map(move |_| uid))
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|uid| seats.take(uid))
            .collect();
        assert_eq!(held.len(), MANY);
        held.extend((2000..3000).filter_map(|uid| seats.take(uid)));
        assert_eq!(held.len(), ALL);
        assert!(seats.take(2000).is_none() && seats.take(5000).is_none());
        assert!(seats.take(0).is_some());
        held.truncate(MANY);
        assert!(seats.take(1000).is_none() && seats.take(5000).is_some(), "no second one, but a first one");
    }
}
