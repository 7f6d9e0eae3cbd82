//! Possible proofs of the primary factor at a login.

/// A possible proof, besides a device, that the user at the prompt owns the account.
#[derive(Clone, Copy)]
pub(super) enum Factor<'a> {
    /// Nothing taken by an earlier module.
    None,
    /// A password, not proven yet.
    Password(&'a [u8]),
    /// A password that this login has proven.
    ProvenPassword,
    /// Perhaps the one-time code of the account's token.
    TokenCode(&'a [u8]),
}
