//! `qrtotp doctor`.

use super::audit::Sources;
use super::config::{Key, as_libpam_reads};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Doctor {
    /// Show failures and warnings only
    #[arg(long)]
    pub problems: bool,
    /// JSON, with times in Unix seconds
    #[arg(long)]
    pub json: bool,
    /// Show the automatic fix for findings with this id, if there is one that can be undone
    #[arg(long, value_name = "ID", conflicts_with_all = ["problems", "json"])]
    pub fix: Option<String>,
    /// Change it. PAM files and sshd's settings as `qrtotp setup --apply` does: undone after 10 minutes
    /// without `qrtotp setup --keep`
    #[arg(long, requires = "fix")]
    pub apply: bool,
    /// Don't undo the change automatically; only if you can reach the console
    #[arg(long, requires = "apply")]
    pub no_timer: bool,
    #[command(subcommand)]
    pub what: Option<DoctorWhat>,
}

/// A login that is told, not made.
#[derive(Debug, Args)]
pub struct ReplayedLogin {
    /// The user who logs in
    pub user: String,
    /// The PAM service
    #[arg(long, default_value = "sshd", value_parser = as_libpam_reads)]
    pub service: String,
    /// The remote host, or `local`; by default 203.0.113.1, an example address, for sshd, and `local`
    /// for other services
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// The caller of sudo or su
    #[arg(long, value_name = "USER", default_value = "")]
    pub by: String,
    /// Assume that sshd accepted a public key, or one that is registered as a hardware key
    #[arg(long, value_name = "KIND", value_enum, num_args = 0..=1, default_missing_value = "any")]
    pub key: Option<Key>,
}

#[derive(Debug, Subcommand)]
pub enum DoctorWhat {
    /// Explain what would happen at a login: sshd's demands, the PAM lines, the rule, the questions
    ///
    /// Assumes that all answers are right and that the user comes from a new place. Exit code 1 if nobody
    /// gets in.
    Login(ReplayedLogin),
    /// Explain the last refused login of an account, from the log
    ///
    /// Exit code 1 if the log has none.
    Last {
        /// The user
        user: String,
        #[command(flatten)]
        sources: Sources,
    },
}
