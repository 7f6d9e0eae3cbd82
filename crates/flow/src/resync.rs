//! Resynchronisation: two consecutive codes reveal how far a device's clock is off (RFC 6238 §6, RFC 4226
//! §7.4). Both are always requested, and count as one guess, because a reply to the first alone would be an
//! oracle with a wide window.

use super::answer::Answer;
use super::refusal::Refusal;
use super::verification::{Proof, Verification};
use super::{Echo, NoAnswer, SelfService};
use qrtotp_account::{CredentialId, EnrolmentStatus, Name, Record};
use qrtotp_messages::{Message, text};
use qrtotp_store::StoreError;
use thiserror::Error;

/// Why a device was not resynchronised. Nothing changed except the count of failures, to which every answer
/// except an empty one adds.
#[derive(Debug, Error)]
#[error("{}", self.message())]
pub enum ResyncError {
    /// No device to resynchronise.
    NotEnrolled(Name),
    /// No answer.
    NoAnswer,
    /// Not two consecutive unused codes of a device whose clock is at most ten minutes off.
    Refused(&'static str),
    /// Too soon after wrong codes; these were not checked.
    Throttled(u32),
    /// Too many wrong codes; none is checked.
    Disabled,
    /// The store failed.
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

impl ResyncError {
    /// For the user; the cause in English if something is broken.
    #[must_use]
    pub fn message(&self) -> Message {
        match self {
            Self::NotEnrolled(name) => text::not_enrolled(name),
            Self::NoAnswer => text::NO_ANSWER,
            Self::Refused(_) => text::NOT_TWO_CODES,
            Self::Throttled(seconds) => text::two_codes_too_soon(seconds),
            Self::Disabled => text::CODES_DISABLED,
            Self::Store(error) => Message::verbatim(error.to_string()),
        }
    }
}

impl Resynchronized {
    /// For the user.
    #[must_use]
    pub fn message(&self) -> Message {
        let seconds = &self.ahead.unsigned_abs();
        match self.ahead {
            0 => text::resynced_in_step(&self.credential),
            1.. => text::resynced_ahead(&self.credential, seconds),
            _ => text::resynced_behind(&self.credential, seconds),
        }
    }
}

impl SelfService<'_, '_> {
    /// Asks for two consecutive codes and stores the device's drift. Both codes are used up.
    ///
    /// # Errors
    /// See [`ResyncError`].
    pub fn resync(mut self) -> Result<Resynchronized, ResyncError> {
        let record = self.ctx.store.load(self.name)?.map(|account| account.record);
        let enrolled = |record: &Record| record.enrolment_status() == EnrolmentStatus::Enrolled;
        if !record.is_some_and(|record| record.uid == self.uid && enrolled(&record)) {
            return Err(ResyncError::NotEnrolled(self.name.clone()));
        }
        let mut ask =
            |question: Message| self.dialog.ask(question, Echo::On).map_err(|NoAnswer| ResyncError::NoAnswer);
        let first = ask(text::ASK_CODE_NOW)?;
        let second = ask(text::ASK_NEXT_CODE)?;
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
