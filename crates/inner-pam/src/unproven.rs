//! Reasons why a password is not proven.

/// Why a password is not proven.
#[derive(Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The service refused it.
    Wrong,
    /// The service succeeded, or failed, without exactly one hidden question: it says nothing about the
    /// password.
    NotAsked(&'static str),
    /// The password is right, but the service's account part refuses the account; libpam's text.
    Account(String),
    /// There was no transaction, or another user came out of it.
    Unavailable(String),
}
