//! The setting `first_login`.

/// What happens to an account without a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstLogin {
    /// Denied, at the same prompt as all other accounts.
    #[default]
    Deny,
    /// Enrols a device once the primary factor is proven.
    Enroll,
    /// The same, but only with a live enrolment token.
    Token,
    /// Gets in without a code until `allow_until`, and sees a notice.
    Allow,
}

impl FirstLogin {
    /// Whether a login may enrol a first device.
    #[must_use]
    pub fn enrols(self) -> bool {
        matches!(self, Self::Enroll | Self::Token)
    }
}
