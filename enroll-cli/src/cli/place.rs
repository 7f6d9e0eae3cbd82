//! `qrtotp place`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Places {
    /// List an account's places, with the time of the last right code from each
    ///
    /// A place is shown by a digest that differs from account to account: addresses and keys are not stored.
    List {
        /// Whose places
        user: String,
    },
    /// Forget an account's places, or one of them
    ///
    /// Codes that a rule with `remember` need not ask for again at these places end, too. The next right code
    /// makes its place familiar again.
    Forget {
        /// Whose places
        user: String,
        /// The place: as `qrtotp place list` shows it, or an address or network. By default all
        place: Option<String>,
    },
}
