//! The limits on guessing at the primary factor, where the broker has it checked. What else counts such
//! failures belongs to other people's modules, and may be missing, or unable to write there. Kept apart from
//! the failures of codes, and never looked at by a login: whoever guesses here keeps nobody out of anything
//! else.

use qrtotp_account::{Gate, Name, ThrottleRules};
use qrtotp_audit::{AuditSink, Event, Kind, Subject};
use qrtotp_store::{Store, StoreError};
use qrtotp_values::UnixTime;

/// The count of one account.
pub struct PrimaryThrottle<'a, S> {
    /// Whose.
    pub name: &'a Name,
    /// The limits; the same as for codes.
    pub rules: ThrottleRules,
    /// Where it is kept.
    pub store: &'a S,
}

/// One guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// Counted as failed: it may be looked at now. The number of failures in a row with this one.
    Counted(u32),
    /// It must not be looked at.
    Barred(Gate, u32),
}

impl<S: Store> PrimaryThrottle<'_, S> {
    /// What a guess at `now` would be told. Counts nothing.
    ///
    /// # Errors
    /// The store; deny.
    pub fn gate(&self, now: UnixTime) -> Result<(Gate, u32), StoreError> {
        self.store.update_primary(self.name, |lane| {
            lane.clamp(now);
            (lane.gate(now, &self.rules), lane.failures)
        })
    }

    /// Counts a guess as failed, durably, before it is looked at: neither a killed broker nor a dropped
    /// connection makes it uncounted.
    ///
    /// # Errors
    /// The store; deny.
    pub fn count(&self, now: UnixTime) -> Result<Guess, StoreError> {
        self.store.update_primary(self.name, |lane| {
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

    /// The counted guess was right: all failures are forgotten.
    ///
    /// # Errors
    /// The store; deny.
    pub fn lift(&self, subject: &Subject, audit: &mut impl AuditSink) -> Result<(), StoreError> {
        let lane = self.store.update_primary(self.name, std::mem::take)?;
        let before = lane.failures.saturating_sub(1);
        if before >= self.rules.free_failures {
            let lifted = Event::new(Kind::ThrottleLifted, subject).reason("right_primary_factor");
            lifted.failures(before).emit(audit);
        }
        Ok(())
    }

    /// Records that the failures have just reached the number from which they cost waiting, or the last one
    /// that is allowed.
    pub fn report(&self, failures: u32, subject: &Subject, audit: &mut impl AuditSink) {
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
