//! `qrtotp account`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Account {
    /// Make a record without devices
    ///
    /// For an account that a rule lets in without a code. With `notice` or `alert` in that rule, each such
    /// login then has a line in the account's own audit chain, which nobody can remove unnoticed. Enrolment
    /// at a login works as if there were no record.
    Add {
        /// The user
        user: String,
    },
    /// Move a record to a person's new user name
    ///
    /// Rename the user first, for example with `usermod -l NEW OLD`. Devices, recovery codes, used codes and
    /// token stay as they are, and the record is bound to the uid of NEW. A record that NEW already has is
    /// never replaced.
    Rename {
        /// The name that the record has now
        old: String,
        /// The person's name now, which the host must know
        new: String,
    },
    /// Bind a record to the uid that its user has now
    ///
    /// Until then the user's logins are denied, because the name may belong to somebody else now. Only for
    /// the same person: for anyone else `qrtotp enroll USER` starts anew.
    AdoptUid {
        /// Whose uid changed
        user: String,
    },
    /// Delete an account's record for good: devices, recovery codes, token, counted failures
    ///
    /// The account is then one that was never enrolled. If it is to be denied instead, use `qrtotp revoke
    /// USER --all`. It also deletes a record that cannot be read. A key of the account that is imported again
    /// within minutes may accept a used code.
    Remove {
        /// Whose record; the host need not know the user any more
        user: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}
