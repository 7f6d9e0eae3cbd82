//! `qrtotp watch`.

use super::Sources;
use clap::{Args, ValueEnum};
use std::ffi::OsString;

#[derive(Debug, Args)]
pub struct Watch {
    /// A JSON object for each anomaly, a line each
    #[arg(long)]
    pub json: bool,
    /// Leave out what matters less
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Least::Info)]
    pub least: Least,
    #[command(flatten)]
    pub sources: Sources,
    /// Run this program for each anomaly, with these arguments as they stand and the anomaly as JSON on
    /// standard input
    ///
    /// Its environment is empty, and it may take 10 seconds. The next anomaly waits for it; no login does.
    #[arg(last = true, value_name = "PROGRAM")]
    pub hook: Vec<OsString>,
}

/// The lowest severity that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Least {
    Info,
    Notice,
    Warning,
    Alert,
}
