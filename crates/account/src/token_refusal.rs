//! Why an enrolment token is not taken.

use thiserror::Error;

/// Why a token does not allow a request.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum TokenRefusal {
    /// It was used.
    #[error("the enrolment token was already used; ask an administrator for a new one")]
    Consumed,
    /// Its time is over.
    #[error("the enrolment token has expired; ask an administrator for a new one")]
    Expired,
    /// It was taken back.
    #[error("the enrolment token was revoked; ask an administrator for a new one")]
    Revoked,
    /// Its QR code was shown as often as allowed.
    #[error(
        "the enrolment token's QR code was shown as often as allowed; ask an administrator for a new one"
    )]
    ShowsUsedUp,
    /// A code confirms only a QR code that was shown.
    #[error("no QR code of this enrolment token was shown yet")]
    NotShown,
    /// The code that belongs to it is too old.
    #[error("the code that belongs to the enrolment token has expired; ask an administrator for a new token")]
    CodeExpired,
    /// Too many wrong codes.
    #[error("too many wrong codes for the enrolment token; ask an administrator for a new one")]
    CodeTriesUsedUp,
    /// Not its code.
    #[error("that is not the code of the enrolment token")]
    CodeWrong,
    /// Its QR code was shown again since; only the last one counts.
    #[error("a newer QR code of this enrolment token was shown; use that one, or start again")]
    ShownAgain,
}

impl TokenRefusal {
    /// The reason's word in the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumed => "token_consumed",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
            Self::ShowsUsedUp => "token_shows_used_up",
            Self::NotShown => "token_not_shown",
            Self::ShownAgain => "token_shown_again",
            Self::CodeExpired => "token_code_expired",
            Self::CodeTriesUsedUp => "token_code_tries_used_up",
            Self::CodeWrong => "token_code_wrong",
        }
    }
}
