//! `qrtotp key`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum HardwareKey {
    /// Register a hardware ssh key (ed25519-sk or ecdsa-sk)
    ///
    /// The account needs an enrolled device. Asks for its code, then for a signature by the key over a new challenge:
    /// `ssh-keygen -Y sign` makes it. A rule with key = "hardware" takes the key from then on. `qrtotp status USER` shows registered keys,
    /// and `qrtotp revoke USER --credential ID` takes one away.
    Add(AddKey),
}

#[derive(Debug, Args)]
pub struct AddKey {
    /// Whose key
    pub user: Option<String>,
    /// Have this key sign here, by the user's ssh-agent (SSH_AUTH_SOCK) or the private key beside it
    ///
    /// `ssh-keygen` runs with the user's rights. Without --file, the command to run where the key is plugged in is shown, and its output
    /// is read from the terminal or standard input.
    #[arg(long, value_name = "PUB")]
    pub file: Option<PathBuf>,
    /// What to call the key, for example "blue token"
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Register it without a code of an enrolled device (it is logged)
    #[arg(long)]
    pub no_verify: bool,
}
