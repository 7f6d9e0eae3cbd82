//! Limits on concurrent work. Hashing takes 19 MiB, a PAM child also needs memory, and there are many
//! connections. A request that waits for anything (an answer, a lock, a PAM child) holds no turn.

use crate::connection_limits::leave;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Requests that may compute, or use the disk, at a time. A verifier's wait for etcd is none of that.
const AT_WORK: usize = 8;
/// PAM children. A user may take minutes to answer a child's question.
const CHECKS: usize = 32;
/// PAM children of one user.
const CHECKS_EACH: usize = 2;
/// Requests of one user that wait for a lock.
const WAITS_EACH: usize = 2;

/// The turns that are taken.
#[derive(Default)]
pub struct WorkLimits {
    at_work: Mutex<usize>,
    freed: Condvar,
}

/// A connection's turn; it holds one except during [`WorkPermit::away`] and while it waits for etcd.
pub struct WorkPermit(Arc<WorkLimits>);

impl WorkPermit {
    /// Waits for the first turn.
    pub fn wait(work: &Arc<WorkLimits>) -> Self {
        work.enter();
        Self(Arc::clone(work))
    }

    /// Gives the turn to others while `f` waits.
    pub fn away<T>(&self, f: impl FnOnce() -> T) -> T {
        let back = Back(&self.0);
        back.0.leave();
        f()
    }
}

impl qrtotp_fleet::Permit for WorkPermit {
    fn give_back(&self) {
        self.0.leave();
    }

    fn take_again(&self) {
        self.0.enter();
    }
}

/// Takes a turn again when dropped, on every path.
struct Back<'a>(&'a WorkLimits);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.enter();
    }
}

impl Drop for WorkPermit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl WorkLimits {
    fn enter(&self) {
        let waited = self.freed.wait_while(self.at_work(), |at_work| *at_work >= AT_WORK);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn leave(&self) {
        *self.at_work() -= 1;
        self.freed.notify_one();
    }

    fn at_work(&self) -> MutexGuard<'_, usize> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

/// A limit on an operation, for each user and in all.
pub struct Limit<K: Eq + Hash = u32> {
    each: usize,
    all: usize,
    running: Mutex<HashMap<K, usize>>,
}

/// A user's place in it; freed when dropped.
pub struct LimitPermit<'a, K: Eq + Hash = u32>(&'a Limit<K>, K);

impl Limit {
    /// PAM children.
    pub fn of_checks() -> Self {
        Self::new(CHECKS_EACH, CHECKS)
    }

    /// Requests that wait for a lock.
    pub fn of_waits() -> Self {
        Self::new(WAITS_EACH, usize::MAX)
    }
}

impl<K: Eq + Hash + Clone> Limit<K> {
    /// So many for each, and in all.
    pub fn new(each: usize, all: usize) -> Self {
        Self { each, all, running: Mutex::default() }
    }

    /// `None`: `who`, or all together, have reached the limit.
    pub fn begin(&self, who: &K) -> Option<LimitPermit<'_, K>> {
        let mut running = self.running();
        let own = running.get(who).copied().unwrap_or(0);
        let free = own < self.each && running.values().sum::<usize>() < self.all;
        free.then(|| {
            *running.entry(who.clone()).or_default() += 1;
            LimitPermit(self, who.clone())
        })
    }
}

impl<K: Eq + Hash> Limit<K> {
    fn running(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

impl<K: Eq + Hash> Drop for LimitPermit<'_, K> {
    fn drop(&mut self) {
        leave(&mut self.0.running(), &self.1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn no_more_work_at_a_time_than_turns_and_who_is_away_holds_none() {
        let limits = Arc::<WorkLimits>::default();
        let working = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let permit = WorkPermit::wait(&limits);
                    for _ in 0..20 {
                        assert!(working.fetch_add(1, Ordering::SeqCst) < AT_WORK);
                        thread::yield_now();
                        working.fetch_sub(1, Ordering::SeqCst);
                        permit.away(thread::yield_now);
                    }
                });
            }
        });
        assert_eq!(*limits.at_work(), 0);
    }

    #[test]
    fn all_turns_are_free_while_everybody_is_away() {
        let limits = Arc::<WorkLimits>::default();
        let held: Vec<_> = (0..AT_WORK).map(|_| WorkPermit::wait(&limits)).collect();
        let done = held[0].away(|| thread::scope(|s| s.spawn(|| drop(WorkPermit::wait(&limits))).join()));
        assert!(done.is_ok());
    }

    #[test]
    fn nobody_has_more_than_two_checks_nor_do_all_together_have_too_many() {
        let checks = Limit::of_checks();
        let own: Vec<_> = (0..5).filter_map(|_| checks.begin(&1000)).collect();
        assert_eq!(own.len(), CHECKS_EACH);
        let others: Vec<_> = (2000..3000).filter_map(|uid| checks.begin(&uid)).collect();
        assert_eq!(own.len() + others.len(), CHECKS);
        drop(others);
        assert!(checks.begin(&1000).is_none() && checks.begin(&1001).is_some());
    }
}
