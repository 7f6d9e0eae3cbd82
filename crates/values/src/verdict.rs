//! The decision on a login.

/// How a login was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The second factor was given.
    Accepted,
    /// It was not.
    Denied,
    /// The module does not decide.
    Ignored,
}

impl Verdict {
    /// The word in the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Denied => "denied",
            Self::Ignored => "ignored",
        }
    }

    /// The byte in a frame.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Denied => 0,
            Self::Accepted => 1,
            Self::Ignored => 2,
        }
    }

    /// As [`Verdict::to_byte`]; `None` for any other byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Denied),
            1 => Some(Self::Accepted),
            2 => Some(Self::Ignored),
            _ => None,
        }
    }
}
