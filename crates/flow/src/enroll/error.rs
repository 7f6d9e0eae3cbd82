//! Why an enrolment ended without a credential.

use qrtotp_account::{CredentialId, TokenRefusal};
use qrtotp_messages::{Message, text};
use qrtotp_otp::RandomError;
use qrtotp_store::{SealError, StoreError};
use std::fmt;

/// Why an enrolment ended without a credential. The account is unchanged.
#[derive(Debug)]
pub enum EnrollError {
    /// The token does not allow it.
    Token(TokenRefusal),
    /// As many devices as allowed.
    TooManyDevices(usize),
    /// The code of an enrolled device was not right.
    NotProven(&'static str),
    /// Three wrong first codes.
    WrongCodes,
    /// The QR code waited too long.
    TimeUp,
    /// No answer, or no way to show a QR code.
    NoAnswer,
    /// The person gave up.
    GivenUp,
    /// Neither the configuration nor a token allows it; the reason's word.
    NotAllowed(&'static str),
    /// The record belongs to a deleted user of the same name.
    UidChanged,
    /// Another process changed the account in the meantime.
    Changed,
    /// The secret is enrolled already.
    Known(CredentialId),
    /// The store failed.
    Store(StoreError),
    /// No random numbers.
    Random(RandomError),
    /// Sealing or hashing failed.
    Seal(String),
}

impl EnrollError {
    /// For the user; the cause in English if something is broken.
    #[must_use]
    #[inline(never)] // one copy in the module
    pub fn message(&self) -> Message {
        match self {
            Self::Token(refusal) => refusal.message(),
            Self::TooManyDevices(count) => text::too_many_devices(count),
            Self::NotProven(_) => text::DEVICE_NOT_PROVEN,
            Self::WrongCodes => text::THREE_WRONG_CODES,
            Self::TimeUp => text::TIME_UP,
            Self::NoAnswer => text::NO_ANSWER,
            Self::GivenUp => text::GIVEN_UP,
            Self::NotAllowed(_) => text::ENROLLING_NOT_ALLOWED,
            Self::UidChanged => text::FORMER_USER,
            Self::Changed => text::CHANGED_MEANWHILE,
            Self::Known(device) => text::secret_known(device),
            Self::Store(error) => Message::verbatim(error.to_string()),
            Self::Random(error) => Message::verbatim(error.to_string()),
            Self::Seal(error) => Message::verbatim(error.clone()),
        }
    }

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

impl std::error::Error for EnrollError {}

/// In English.
impl fmt::Display for EnrollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl From<TokenRefusal> for EnrollError {
    fn from(refusal: TokenRefusal) -> Self {
        Self::Token(refusal)
    }
}

impl From<StoreError> for EnrollError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RandomError> for EnrollError {
    fn from(error: RandomError) -> Self {
        Self::Random(error)
    }
}
