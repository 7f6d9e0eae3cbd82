//! Resynchronisation: two consecutive codes reveal how far a device's clock is off (RFC 6238 §6, RFC 4226
//! §7.4). Both are always requested, and count as one guess, because a reply to the first alone would be an
//! oracle with a wide window.

use super::answer::Answer;
use super::refusal::Refusal;
use super::verification::{Proof, Verification};
use super::{Echo, NoAnswer, SelfService};
use qrtotp_account::{CredentialId, EnrolmentStatus, Name, Record};
use qrtotp_store::StoreError;
use qrtotp_values::text::clock_offset;
use std::fmt;
use thiserror::Error;

/// Why a device was not resynchronised. Nothing changed except the count of failures, to which every answer
/// except an empty one adds.
#[derive(Debug, Error)]
pub enum ResyncError {
    /// No device to resynchronise.
    #[error("{0} is not enrolled; `qrtotp enroll {0}` enrols a device")]
    NotEnrolled(Name),
    /// No answer.
    #[error("the dialogue ended; nothing was changed")]
    NoAnswer,
    /// Not two consecutive unused codes of a device whose clock is at most ten minutes off.
    #[error(
        "those were not two consecutive codes of an enrolled device, unused, with a clock at most ten minutes off; \
         check the phone's clock, wait for a new code, and try again"
    )]
    Refused(&'static str),
    /// Too soon after wrong codes; these were not checked.
    #[error("too soon after wrong codes, so these were not checked; wait {0} s and give two new ones")]
    Throttled(u32),
    /// Too many wrong codes; none is checked.
    #[error(
        "codes are disabled after too many wrong ones; a recovery code at a login, or `qrtotp unlock`, lifts it"
    )]
    Disabled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A device whose drift is now known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resynchronized {
    /// Its id.
    pub credential: CredentialId,
    /// Seconds by which its clock is ahead of ours.
    pub ahead: i64,
}

impl fmt::Display for Resynchronized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, clock) = (self.credential, clock_offset(self.ahead));
        write!(f, "Done: the clock of {id} is {clock}. From now on its codes are taken as its clock goes.")
    }
}

impl SelfService<'_, '_> {
    /// Asks for two consecutive codes and stores the device's drift. Both codes are used up.
    ///
    /// # Errors
    /// See [`ResyncError`].
    pub fn resync(mut self) -> Result<Resynchronized, ResyncError> {
        let record = self.ctx.store.load(self.name)?.map(|account| account.record);
        let enrolled = |record: &Record| record.standing() == EnrolmentStatus::Enrolled;
        if !record.is_some_and(|record| record.uid == self.uid && enrolled(&record)) {
            return Err(ResyncError::NotEnrolled(self.name.clone()));
        }
        let mut ask = |prompt| self.dialog.ask(prompt, Echo::On).map_err(|NoAnswer| ResyncError::NoAnswer);
        let first = ask("The code that the app shows now: ")?;
        let second = ask("The next one, as soon as it shows it: ")?;
        match self.verify(&Answer::two_codes(&first, &second))?.verification {
            Verification::Accepted { proof: Proof::Resynchronized(credential, _, ahead), .. } => {
                Ok(Resynchronized { credential, ahead })
            }
            Verification::Accepted { .. } => Err(ResyncError::Refused("unexpected")),
            Verification::Refused { why: Refusal::Throttled(seconds), .. } => {
                Err(ResyncError::Throttled(seconds))
            }
            Verification::Refused { why: Refusal::Disabled, .. } => Err(ResyncError::Disabled),
            Verification::Refused { why, .. } => Err(ResyncError::Refused(why.reason())),
        }
    }
}
