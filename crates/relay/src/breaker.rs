//! After three requests in a row without a verdict, further ones are refused at once for five seconds: each
//! sudo would wait for a dead network again. Meanwhile the relay itself tries to reach a verifier.

use qrtotp_clock::Deadline;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests in a row without a verdict.
const FAILURES: u32 = 3;
/// How long requests are refused then.
const REFUSAL: Duration = Duration::from_secs(5);

/// Counts failures.
#[derive(Default)]
pub struct Breaker(Mutex<Count>);

#[derive(Default)]
struct Count {
    failures: u32,
    until: Option<Deadline>,
    probing: bool,
}

impl Breaker {
    /// Whether a request may try.
    pub fn admits(&self) -> bool {
        self.count().until.as_ref().is_none_or(|until| until.left().is_zero())
    }

    /// A verifier was reached.
    pub fn succeeded(&self) {
        let mut count = self.count();
        (count.failures, count.until) = (0, None);
    }

    /// A request got no verdict. True: requests are refused from now on, and the caller is to probe, until
    /// [`Breaker::end_probe`].
    pub fn failed(&self) -> bool {
        let mut count = self.count();
        count.failures = count.failures.saturating_add(1);
        if count.failures < FAILURES {
            return false;
        }
        count.until = Some(Deadline::after(REFUSAL));
        !std::mem::replace(&mut count.probing, true)
    }

    /// The probe ended.
    pub fn end_probe(&self) {
        self.count().probing = false;
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_refuse_further_requests_and_one_probe_runs() {
        let breaker = Breaker::default();
        assert!(!breaker.failed() && !breaker.failed() && breaker.admits());
        breaker.succeeded();
        assert!(!breaker.failed() && !breaker.failed(), "it counts anew");
        assert!(breaker.failed() && !breaker.admits());
        assert!(!breaker.failed(), "one probe is enough");
        breaker.end_probe();
        breaker.succeeded();
        assert!(breaker.admits());
    }
}
