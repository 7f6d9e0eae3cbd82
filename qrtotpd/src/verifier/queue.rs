//! Requests of one account wait for each other: they would only conflict in the store. Few may wait, so
//! nobody can fill the verifier with requests of one account.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests of one account that may wait besides the one that is worked on.
const WAITING: usize = 4;
/// How long one may wait: nobody waits longer for its verdict.
const PATIENCE: Duration = Duration::from_secs(3);

/// The accounts with requests.
#[derive(Default)]
pub struct Queue {
    accounts: Mutex<HashMap<String, Account>>,
    freed: Condvar,
}

#[derive(Default)]
struct Account {
    /// Those that wait, and the one that is worked on.
    present: usize,
    at_work: bool,
}

/// An account's turn; given up when dropped.
pub struct QueuePermit {
    queue: Arc<Queue>,
    account: String,
}

impl Queue {
    /// Waits for the account's turn. `None`: too many wait already, or it took too long.
    pub fn enter(self: &Arc<Self>, account: &str) -> Option<QueuePermit> {
        let mut accounts = self.accounts();
        let entry = accounts.entry(account.to_owned()).or_default();
        if entry.present > WAITING {
            return None;
        }
        entry.present += 1;
        let busy = |accounts: &mut HashMap<String, Account>| {
            accounts.get(account).is_some_and(|account| account.at_work)
        };
        let waited = self.freed.wait_timeout_while(accounts, PATIENCE, busy);
        let (mut accounts, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            leave(&mut accounts, account);
            return None;
        }
        accounts.entry(account.to_owned()).or_default().at_work = true;
        Some(QueuePermit { queue: Arc::clone(self), account: account.to_owned() })
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

fn leave(accounts: &mut HashMap<String, Account>, account: &str) {
    if let Some(entry) = accounts.get_mut(account) {
        entry.present = entry.present.saturating_sub(1);
        if entry.present == 0 {
            accounts.remove(account);
        }
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        let mut accounts = self.queue.accounts();
        if let Some(entry) = accounts.get_mut(&self.account) {
            entry.at_work = false;
        }
        leave(&mut accounts, &self.account);
        self.queue.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn one_request_of_an_account_is_worked_on_four_wait_and_more_are_refused() {
        let queue: Arc<Queue> = Arc::default();
        let first = queue.enter("alice").unwrap();
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.enter("alice").is_some())
            })
            .collect();
        while queue.accounts().get("alice").unwrap().present < 5 {
            thread::yield_now();
        }
        assert!(queue.enter("alice").is_none());
        assert!(queue.enter("bob").is_some(), "others do not wait");
        drop(first);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        assert!(queue.accounts().is_empty(), "nothing is kept");
    }

    #[test]
    fn no_two_requests_of_an_account_are_worked_on_at_a_time() {
        let (queue, at_work): (Arc<Queue>, AtomicUsize) = (Arc::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let permit = queue.enter("alice").unwrap();
                        assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        at_work.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
    }
}
