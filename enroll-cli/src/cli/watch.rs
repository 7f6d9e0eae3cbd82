//! `qrtotp watch`.

use super::Sources;
use clap::{Args, ValueEnum};
use qrtotp_audit_log::RULES;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Watch {
    /// A JSON object for each anomaly, a line each
    #[arg(long)]
    pub json: bool,
    /// Leave out what matters less
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Least::Info)]
    pub least: Least,
    /// Leave out what this rule finds, such as many-enrolments on a roll-out day; or only about one account
    /// or network, such as spray=198.51.100.0/24. May be repeated
    #[arg(long, value_name = "RULE[=ABOUT]", value_parser = expected)]
    pub expect: Vec<(String, Option<String>)>,
    /// Keep in this file how far the log was read, and go on from there after a restart. It also counts the
    /// anomalies, for `qrtotp metrics`
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub state: Option<PathBuf>,
    #[command(flatten)]
    pub sources: Sources,
    /// Run this program for each anomaly, with these arguments as they stand and the anomaly as JSON on
    /// standard input
    ///
    /// Its environment is empty, and it may take 10 seconds. It runs for one anomaly after the other, and the
    /// log is read on meanwhile. If 64 anomalies wait for it, it is not run for further ones; standard error
    /// names those.
    #[arg(last = true, value_name = "PROGRAM")]
    pub hook: Vec<OsString>,
}

fn expected(text: &str) -> Result<(String, Option<String>), String> {
    let (rule, about) = text.split_once('=').map_or((text, None), |(rule, about)| (rule, Some(about)));
    if !RULES.contains(&rule) {
        return Err(format!("there is no such rule; there are {}", RULES.join(", ")));
    }
    Ok((rule.to_owned(), about.map(str::to_owned)))
}

/// The lowest severity that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Least {
    Info,
    Notice,
    Warning,
    Alert,
}
