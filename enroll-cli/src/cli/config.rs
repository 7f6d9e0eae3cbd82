//! `qrtotp config …`.

use clap::{Args, Subcommand, ValueEnum};
use qrtotp_values::ConfigDuration;
use std::convert::Infallible;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check the files of the configuration and the store; changes nothing
    ///
    /// Reads FILE and the files of conf.d beside it, runs their tests, and says whether this configuration is
    /// applied.
    ///
    /// Exit code 0: fine, perhaps with warnings. 1: a test fails, or something is dangerous or denies
    /// everybody. 2: the configuration can't be used.
    Check,
    /// Show which logins `apply` would decide differently, and which settings it would change
    ///
    /// Compares for every account of the store, and for those that rules name: sshd from each network of a
    /// rule and from elsewhere, with and without a key; sudo and su-l at a terminal; login at the console.
    ///
    /// Exit code 0: nothing changes. 1: something does. 2: the configuration can't be used.
    Diff,
    /// Apply the edited configuration: logins use it from now on
    ///
    /// Refuses and changes nothing if a file has a fault, if a test fails, or if the configuration would lock
    /// out the person who applies it, every account that can become root, or an emergency account.
    Apply(Apply),
    /// Confirm what was applied with --confirm
    Confirm,
    /// Go back to an earlier applied configuration
    ///
    /// Refuses and changes nothing if that configuration would lock somebody out today, as `apply` does. The
    /// files stay as they are: correct them before the next `apply`.
    Rollback(Rollback),
    /// List the applied configurations that are kept: the newest and the 20 before it
    List,
    /// Show an applied configuration: its settings and its rules
    Show {
        /// Its number, as `list` shows it; by default the one in force
        number: Option<u64>,
    },
    /// Edit the main file, then check and apply it
    ///
    /// Opens a copy in $VISUAL, $EDITOR, editor or vi. The file is replaced only if the new text has no
    /// errors.
    Edit,
    /// Say how a login would be decided, by which rule, and why the rules before it do not match
    ///
    /// Exit code 0, or 1 if the login would be denied.
    Explain(Explain),
    /// Run the tests of the configuration
    ///
    /// Exit code 0, or 1 if a test fails.
    Test {
        /// A file with tests; its tests are run instead of those in the configuration
        file: Option<PathBuf>,
    },
    /// Print the blocks of sshd_config that rules with "skip" need
    ///
    /// Clients without a terminal, such as `sftp -b`, benefit from a "skip" only if sshd asks for nothing
    /// after the key.
    Sshd,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// Go back to the previous configuration unless you run `qrtotp config confirm` within this time, 1m to
    /// 24h
    #[arg(long, value_name = "TIME")]
    pub confirm: Option<ConfigDuration>,
    /// Apply even if it locks somebody out; the reason goes into the system log
    #[arg(long, value_name = "REASON")]
    pub force: Option<String>,
    /// Do nothing if this configuration is applied already
    #[arg(long)]
    pub if_changed: bool,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// Its number, as `list` shows it; by default the one before the newest
    pub number: Option<u64>,
    /// Go back even if that locks somebody out; the reason goes into the system log
    #[arg(long, value_name = "REASON")]
    pub force: Option<String>,
}

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Familiarity {
    /// A correct code came from here
    Familiar,
    /// Any other
    New,
}

/// The method that sshd accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// Any key
    Any,
    /// A registered hardware key
    Hardware,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The user that logs in
    #[arg(long)]
    pub user: String,
    /// The PAM service
    #[arg(long, default_value = "sshd", value_parser = as_libpam_reads)]
    pub service: String,
    /// The remote host, or `local`; by default an address of no network for sshd, and `local` for other
    /// services
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// The terminal, such as tty1 or pts/0; by default `ssh` for sshd, and none for other services
    #[arg(long)]
    pub tty: Option<String>,
    /// The caller of sudo or su
    #[arg(long, value_name = "USER", default_value = "")]
    pub by: String,
    /// Assume that a correct code came from the same place in the last 30 days, or not
    #[arg(long, default_value = "new")]
    pub place: Familiarity,
    /// Assume that sshd accepted a public key, or one that is registered as a hardware key
    #[arg(long, value_name = "KIND", value_enum, num_args = 0..=1, default_missing_value = "any")]
    pub key: Option<Key>,
    /// Assume that the account is in these groups
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub groups: Option<Vec<String>>,
    /// Assume this time, in the zone of the configuration, such as 2026-12-05T20:00
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Show the rules behind the one that decides, too
    #[arg(long)]
    pub all: bool,
    /// JSON
    #[arg(long)]
    pub json: bool,
    /// Use the edited files instead of the applied configuration
    #[arg(long)]
    pub edited: bool,
}

/// A service's name as libpam reads it: without a path, in lower case.
pub fn as_libpam_reads(typed: &str) -> Result<String, Infallible> {
    Ok(typed.rsplit('/').next().unwrap_or_default().to_ascii_lowercase())
}
