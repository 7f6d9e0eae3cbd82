//! `qrtotp token`.

use clap::{Args, Subcommand};
use qrtotp_account::KeyFingerprint;
use qrtotp_values::ConfigDuration;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Issue a token, or many
    ///
    /// An account that already has a valid token keeps it and is reported; the other accounts still get
    /// theirs. Exit code 1 if any got none.
    Issue(Issue),
    /// List all accounts' tokens, ended ones too
    List {
        /// JSON, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Show one account's token
    Show {
        /// The user
        user: String,
        /// JSON, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Take a token back
    Revoke {
        /// The user
        user: String,
    },
}

#[derive(Debug, Args)]
pub struct Issue {
    #[command(flatten)]
    pub users: TokenUsers,
    /// How long it lives, such as 30m, 24h or 7d; by default as the configuration says
    #[arg(long, value_name = "TIME")]
    pub expires: Option<ConfigDuration>,
    /// Give it a one-time code that the person must type, too; the code is shown once, here. On a verifier it
    /// always has one
    #[arg(long)]
    pub code: bool,
    /// Bind it to the ssh keys that let the user in now; logging in with one of them proves who enrols
    ///
    /// Reads the files of sshd's AuthorizedKeysFile with the user's own rights and lists the keys that it
    /// binds. Check the list: any process of the user may have added a key. Keys that are added later are
    /// worthless. Lines with any option (restrict, command=, from=, cert-authority ...) are left out and
    /// named. Certificates and keys of an AuthorizedKeysCommand are not seen. If no key is left, no token is
    /// issued. With several accounts, those with a device are skipped and named.
    #[arg(long)]
    pub keys_now: bool,
    /// Bind it to the ssh key with this fingerprint, as `ssh-keygen -lf FILE` prints it; may be repeated
    #[arg(long, value_name = "SHA256:...", conflicts_with_all = ["group", "from_file"])]
    pub key: Vec<KeyFingerprint>,
    /// JSON, with times in Unix seconds; an array if you ask for several accounts
    #[arg(long)]
    pub json: bool,
}

/// The users that get a token.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TokenUsers {
    /// The user that gets the token
    pub user: Option<String>,
    /// Issue tokens to all members of this group, also those whose primary group it is
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Issue tokens to the users named in this file, one a line; # begins a comment, - is standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}
