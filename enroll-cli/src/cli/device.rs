//! `qrtotp device`.

use clap::{Args, Subcommand};
use qrtotp_core::account::CredentialId;

#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices: id, label, kind of code, last use, and how far the clock is off, where that is known
    List {
        /// Whose; without it, for root everybody's, and for others their own
        user: Option<String>,
        /// JSON: an array, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Give a device another label
    Rename(Rename),
    /// Revoke devices; the very next login sees it
    ///
    /// With the last device the account is revoked: its logins are denied until it is enrolled again.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Rename {
    /// Whose device; by default, your own
    pub user: Option<String>,
    /// Which, for example c-7F3K2M; `qrtotp device list USER` lists them. Not needed where there is only one
    #[arg(long, value_name = "ID")]
    pub credential: Option<CredentialId>,
    /// What to call it, for example "Alice's phone"
    #[arg(long, value_name = "TEXT")]
    pub label: String,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// Whose devices; by default, your own
    pub user: Option<String>,
    /// Only this one, for example c-7F3K2M; `qrtotp device list USER` lists them
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub credential: Option<CredentialId>,
    /// All of them, and the recovery codes
    #[arg(long)]
    pub all: bool,
}
