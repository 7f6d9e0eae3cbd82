//! Why an enrolment ended without a credential.

use qrtotp_account::{CredentialId, TokenRefusal};
use qrtotp_otp::RandomError;
use qrtotp_store::{SealError, StoreError};
use thiserror::Error;

/// Why an enrolment ended without a credential. The account is unchanged.
#[derive(Debug, Error)]
pub enum EnrollError {
    /// The token does not allow it.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// As many devices as allowed.
    #[error("{0} devices are enrolled already, as many as allowed; revoke one first")]
    TooManyDevices(usize),
    /// The code of an enrolled device was not right.
    #[error("that was not a code of an enrolled device; nothing was changed")]
    NotProven(&'static str),
    /// Three wrong first codes.
    #[error("three wrong codes; nothing was changed. Check the clock of the phone and start again")]
    WrongCodes,
    /// The QR code waited too long.
    #[error("the QR code waited for too long and is no longer valid; start again")]
    TimeUp,
    /// No answer, or no way to show a QR code.
    #[error("the dialogue ended; nothing was changed")]
    NoAnswer,
    /// The person gave up.
    #[error("given up; nothing was changed")]
    GivenUp,
    /// Neither the configuration nor a token allows it; the reason's word.
    #[error("enrolling needs an administrator: ask for an enrolment token")]
    NotAllowed(&'static str),
    /// The record belongs to a deleted user of the same name.
    #[error(
        "the record belongs to a former user of this name; an administrator must enrol the account again"
    )]
    UidChanged,
    /// Another process changed the account in the meantime.
    #[error("the account was changed in the meantime; start again")]
    Changed,
    /// The secret is enrolled already.
    #[error("this secret is enrolled already as {0}")]
    Known(CredentialId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Sealing or hashing failed.
    #[error("{0}")]
    Seal(String),
}

impl EnrollError {
    /// True if the user was refused, false if something is broken.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::Random(_) | Self::Seal(_))
    }

    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Token(refusal) => refusal.as_str(),
            Self::TooManyDevices(_) => "too_many_devices",
            Self::NotProven(reason) => reason,
            Self::WrongCodes => "wrong_code",
            Self::TimeUp => "time_up",
            Self::NoAnswer => "no_answer",
            Self::GivenUp => "given_up",
            Self::NotAllowed(reason) => reason,
            Self::UidChanged => "uid_changed",
            Self::Changed => "changed_meanwhile",
            Self::Known(_) => "secret_known",
            Self::Store(error) => error.reason(),
            Self::Random(_) => "no_random_numbers",
            Self::Seal(_) => "seal",
        }
    }
}

impl From<SealError> for EnrollError {
    fn from(error: SealError) -> Self {
        Self::Seal(error.to_string())
    }
}
