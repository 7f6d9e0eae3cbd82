//! Why an answer is not accepted, and the reason's word in the log.

/// Why two consecutive codes are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// This familiar place gave ten wrong ones today.
    Guessed,
    /// An accepted code was given again from another place, and this place is not familiar.
    Intercepted,
}

/// Why an answer was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No code of any device.
    WrongCode,
    /// A code that was accepted before, or an older one.
    Replayed,
    /// One of the last accepted codes, typed again, as a mail client does for days; not checked, not counted.
    Repeated,
    /// One code from a place that must give two in a row today; not checked, not counted.
    TwoCodesDue(Due),
    /// Not shaped like a code; not counted.
    Malformed,
    /// Too soon after wrong ones; not checked.
    Throttled(u32),
    /// Too many wrong ones; only a recovery code is checked.
    Disabled,
    /// The host knows no such user.
    UnknownUser,
    /// The account never had a credential.
    NotEnrolled,
    /// Its credentials were revoked.
    Revoked,
    /// The name now belongs to another uid.
    UidChanged,
    /// A secret does not open.
    Damaged,
    /// Not enough memory to hash a recovery code.
    NoMemory,
    /// A rule of the policy says so.
    RuleDenied,
    /// A recovery code under a rule that takes none; not counted.
    RecoveryNotHere,
}

impl Refusal {
    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::WrongCode => "wrong_code",
            Self::Replayed => "replayed_code",
            Self::Repeated => "replayed_code",
            Self::TwoCodesDue(_) => "two_codes_due",
            Self::Malformed => "malformed",
            Self::Throttled(_) => "throttled",
            Self::Disabled => "disabled",
            Self::UnknownUser => "unknown_user",
            Self::NotEnrolled => "not_enrolled",
            Self::Revoked => "revoked",
            Self::UidChanged => "uid_changed",
            Self::Damaged => "record_damaged",
            Self::NoMemory => "no_memory",
            Self::RuleDenied => "rule_denied",
            Self::RecoveryNotHere => "recovery_not_here",
        }
    }

    /// Whether the answer was counted as a failure.
    pub(super) fn is_counted(self) -> bool {
        matches!(self, Self::WrongCode | Self::Replayed | Self::NoMemory)
    }
}
