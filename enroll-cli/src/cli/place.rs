//! `qrtotp place`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Places {
    /// List an account's places, with the time of the last correct code from each
    ///
    /// A place is a network or an ssh key. The store has no addresses and no keys, so the list shows a digest
    /// of each place, which differs from account to account.
    List {
        /// Whose places
        user: String,
    },
    /// Forget an account's places, or one of them
    ///
    /// A rule with `remember` then asks for a code there again, too. The next correct code makes its place
    /// familiar again.
    Forget {
        /// Whose places
        user: String,
        /// The place: as `qrtotp place list` shows it, or an address or network; by default all
        place: Option<String>,
    },
}
