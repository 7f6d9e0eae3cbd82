//! Why an enrolment token is not taken.

use qrtotp_messages::{Message, text};
use std::fmt;

/// Why a token does not allow a request.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum TokenRefusal {
    /// It was used.
    Consumed,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
    /// Its QR code was shown as often as allowed.
    ShowsUsedUp,
    /// A code confirms only a QR code that was shown.
    NotShown,
    /// The code that belongs to it is too old.
    CodeExpired,
    /// Too many wrong codes.
    CodeTriesUsedUp,
    /// Not its code.
    CodeWrong,
    /// Its QR code was shown again since; only the last one counts.
    ShownAgain,
}

impl TokenRefusal {
    /// For the user.
    #[must_use]
    pub fn message(self) -> Message {
        match self {
            Self::Consumed => text::TOKEN_CONSUMED,
            Self::Expired => text::TOKEN_EXPIRED,
            Self::Revoked => text::TOKEN_REVOKED,
            Self::ShowsUsedUp => text::TOKEN_SHOWS_USED_UP,
            Self::NotShown => text::TOKEN_NOT_SHOWN,
            Self::CodeExpired => text::TOKEN_CODE_EXPIRED,
            Self::CodeTriesUsedUp => text::TOKEN_CODE_TRIES_USED_UP,
            Self::CodeWrong => text::TOKEN_CODE_WRONG,
            Self::ShownAgain => text::TOKEN_SHOWN_AGAIN,
        }
    }

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

impl std::error::Error for TokenRefusal {}

/// In English.
impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}
