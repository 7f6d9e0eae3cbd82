//! `qrtotp key`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum HardwareKey {
    /// Register a hardware ssh key (ed25519-sk or ecdsa-sk)
    ///
    /// The account needs an enrolled device. Asks for its code, then for a signature by the key over a new
    /// challenge: shows the `ssh-keygen -Y sign` command to run where the key is plugged in, and reads what
    /// it prints. A rule with key = "hardware" takes the key from then on. `qrtotp status USER` shows
    /// registered keys, and `qrtotp revoke USER --credential ID` takes one away.
    Add(AddKey),
}

#[derive(Debug, Args)]
pub struct AddKey {
    /// Whose key
    pub user: Option<String>,
    /// What to call the key, for example "blue token"
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Register it without a code of an enrolled device (it is logged)
    #[arg(long)]
    pub no_verify: bool,
    /// Register it without showing its fingerprint and asking
    #[arg(long)]
    pub yes: bool,
}
