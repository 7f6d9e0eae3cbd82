//! `qrtotp audit`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Audit {
    #[command(flatten)]
    pub show: Show,
    #[command(subcommand)]
    pub what: Option<What>,
}

#[derive(Debug, Subcommand)]
pub enum What {
    /// Prove that no line was changed, removed, added, moved or repeated, and name each one that was
    ///
    /// Every line that tells of a change of an account carries a hash over itself and the line before: a
    /// chain, whose last hash is in the store. A line that is missing is called lost if the store still has
    /// it word for word (`audit repair` logs it again), else missing. Root on this host could compute a new
    /// chain. --against compares with lines, heads or a checkpoint that were saved elsewhere.
    ///
    /// Exit code 0: all lines fit. 1: something was found. 2: it could not be checked.
    Verify {
        /// Compare with lines of this log that were saved elsewhere, with what `audit heads` printed, or with
        /// a checkpoint
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        /// A JSON object for each finding, a line each, and one with the counts
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Log lines again that were lost and that the store still has
    Repair {
        #[command(flatten)]
        sources: Sources,
    },
    /// Print the number and hash of each account's last line, and of the host's, to be kept elsewhere for
    /// `audit verify --against`
    Heads,
    /// Save the last hash of every account's log, so that `audit verify` notices an account that was removed
    /// by hand or put back from a backup
    ///
    /// Saves the hashes in the store, and logs one hash over all of them. Also logs which records were made
    /// at logins, and which are gone. `systemctl enable --now qrtotp-checkpoint.timer` makes a checkpoint
    /// every hour; the store keeps the last 30. `qrtotp config apply` makes one, too.
    Checkpoint {
        /// Verify the log first, for ten minutes at most, and keep the result for `qrtotp metrics`
        ///
        /// Exit code 1: lines were changed, removed or added. Then no checkpoint is made: look at what
        /// `qrtotp audit verify` names, and accept it without --verify.
        #[arg(long)]
        verify: bool,
        /// Print the checkpoint for paper, too: its line of the log, its hash as eight words, and the line as
        /// QR code
        ///
        /// A line that was scanned from it into a file is one for `audit verify --against`.
        #[arg(long)]
        print: bool,
    },
    /// Count logins, refusals and changes, and accounts that need attention
    Summary {
        /// How many days to cover
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
        #[command(flatten)]
        sources: Sources,
    },
    /// Write one HTML page for an auditor: whether the log is whole, who applied which configuration, logins
    /// in plots and numbers
    ///
    /// The page needs no other file, no script and no network. It prints, and follows the reader's choice of
    /// light or dark. It names accounts and remote hosts unless --pseudonyms is given; only root can read the
    /// file.
    ///
    /// Exit code 0: nothing was found in the log; 1: something, which the page tells, too; 2: there is no
    /// page, or not every account could be read.
    Report {
        /// The file to write, which is replaced; - is standard output
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
        /// How many days to cover, today included
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=400))]
        days: u32,
        /// Numbers instead of the names of accounts, administrators and remote hosts
        #[arg(long)]
        pseudonyms: bool,
        #[command(flatten)]
        sources: Sources,
    },
}

/// Where lines come from.
#[derive(Debug, Default, Args)]
pub struct Sources {
    /// Read this log instead of the journal and /var/log/auth.log*; - is standard input. May be repeated, the
    /// oldest first; on a verifier in any order, for the logs of all verifiers
    #[arg(long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Show only events of this account. Repeated options of one kind are alternatives; those of different
    /// kinds must all match
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Show only events of accounts that are in this group now
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Show only events of this PAM service; `qrtotp` is the command, `qrtotpd` the broker
    #[arg(long, value_name = "NAME")]
    pub service: Vec<String>,
    /// Show only events of this kind, such as login or token_issued
    #[arg(long, value_name = "KIND")]
    pub event: Vec<String>,
    /// Show only logins and proofs of a device with this result
    #[arg(long, value_name = "RESULT", value_parser = ["accepted", "denied", "ignored"])]
    pub result: Vec<String>,
    /// Show only events with this reason
    #[arg(long, value_name = "REASON")]
    pub reason: Vec<String>,
    /// Show only logins that this rule decided
    #[arg(long, value_name = "NAME")]
    pub rule: Vec<String>,
    /// Show only events from this remote host, or from this network, such as 192.0.2.0/24
    #[arg(long, value_name = "NETWORK")]
    pub from: Vec<String>,
    /// From this time on: 2026-11-29, "2026-11-29 10:00" (UTC), or so long ago: 90d, 12h, 30m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// A JSON object for each event, a line each: docs/audit.schema.json describes it, `ecs` is the Elastic
    /// Common Schema, `ocsf` the Open Cybersecurity Schema Framework
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "plain")]
    pub json: Option<Form>,
    /// Show the country and the network operator of remote addresses by this database in MaxMind's format,
    /// such as GeoLite2-Country.mmdb or GeoLite2-ASN.mmdb. May be repeated
    #[arg(long, value_name = "FILE")]
    pub geo: Vec<PathBuf>,
    /// Go on with new events until interrupted
    #[arg(long, conflicts_with_all = ["file", "until"])]
    pub follow: bool,
    #[command(flatten)]
    pub sources: Sources,
}

/// A form of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Keys as in the log
    Plain,
    /// Elastic Common Schema
    Ecs,
    /// Open Cybersecurity Schema Framework
    Ocsf,
}
