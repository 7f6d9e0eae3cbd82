//! The setting `first_login`.

/// What happens to an account without a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstLogin {
    /// Denied, at the same prompt as everybody.
    #[default]
    Deny,
    /// Whoever gave the primary factor enrols a device, once.
    Enroll,
    /// The same, but only with a live enrolment token.
    Token,
    /// Gets in without a code until `allow_until`, and is told so.
    Allow,
}
