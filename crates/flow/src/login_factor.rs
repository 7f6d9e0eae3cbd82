//! What a login may prove the primary factor by.

/// What may prove that the person at the prompt is the account's owner, besides a device.
#[derive(Clone, Copy)]
pub(super) enum Factor<'a> {
    /// Nothing that a module before us has taken.
    None,
    /// A password, not proven yet.
    Password(&'a [u8]),
    /// A password that this login has proven.
    ProvenPassword,
    /// Perhaps the one-time code of the account's token.
    TokenCode(&'a [u8]),
}
