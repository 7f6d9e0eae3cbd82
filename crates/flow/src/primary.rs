//! Limits on guessing the primary factor, when the broker has it checked. Other modules may also count such
//! failures, but they may be missing, or unable to write there. Kept apart from the failures of codes, and
//! never read by a login: guessing here locks no user out of anything else.

use qrtotp_account::{FailureCounter, Gate, Name, ThrottleRules};
use qrtotp_audit::{AuditSink, Event, Kind, Subject};
use qrtotp_store::{PrimaryFailures, StoreError};
use qrtotp_values::UnixTime;

/// The count of one account.
pub struct PrimaryThrottle<'a> {
    /// The account.
    pub name: &'a Name,
    /// The limits; the same as for codes.
    pub rules: ThrottleRules,
    /// Where the count is kept.
    pub store: &'a dyn PrimaryFailures,
}

/// One guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// Counted as failed: check it now. The number of consecutive failures, this one included.
    Counted(u32),
    /// It must not be checked.
    Barred(Gate, u32),
}

impl PrimaryThrottle<'_> {
    fn update<T>(&self, f: impl Fn(&mut FailureCounter) -> T) -> Result<T, StoreError> {
        let mut result = None;
        self.store.update_primary(self.name, &mut |count| result = Some(f(count)))?;
        result.ok_or(StoreError::Busy) // always there: it ran at least once
    }

    /// The gate for a guess at `now`. Counts nothing.
    ///
    /// # Errors
    /// The store; deny.
    pub fn gate(&self, now: UnixTime) -> Result<(Gate, u32), StoreError> {
        self.update(|lane| {
            lane.clamp(now);
            (lane.gate(now, &self.rules), lane.failures)
        })
    }

    /// Counts a guess as failed, durably, before it is checked: neither a killed broker nor a dropped
    /// connection undoes the count.
    ///
    /// # Errors
    /// The store; deny.
    pub fn count(&self, now: UnixTime) -> Result<Guess, StoreError> {
        self.update(|lane| {
            lane.clamp(now);
            match lane.gate(now, &self.rules) {
                Gate::Open => {
                    lane.fail(now);
                    Guess::Counted(lane.failures)
                }
                gate => Guess::Barred(gate, lane.failures),
            }
        })
    }

    /// Clears all failures after a right guess.
    ///
    /// # Errors
    /// The store; deny.
    pub fn lift(&self, subject: &Subject, audit: &mut dyn AuditSink) -> Result<(), StoreError> {
        let lane = self.update(std::mem::take)?;
        let before = lane.failures.saturating_sub(1);
        if before >= self.rules.free_failures {
            let lifted = Event::new(Kind::ThrottleLifted, subject).reason("right_primary_factor");
            lifted.failures(before).emit(audit);
        }
        Ok(())
    }

    /// Records that the failures have just reached the number from which they cost waiting, or the last one
    /// that is allowed.
    pub fn report(&self, failures: u32, subject: &Subject, audit: &mut dyn AuditSink) {
        let reason = if failures == self.rules.disable_after.max(1) {
            "primary_factor_disabled"
        } else if failures == self.rules.free_failures.max(1) {
            "primary_factor_waiting"
        } else {
            return;
        };
        Event::new(Kind::ThrottleEngaged, subject).reason(reason).failures(failures).emit(audit);
    }
}
