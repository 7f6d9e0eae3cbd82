//! `qrtotp man DIR`: a page per command, `qrtotp.1`, `qrtotp-enroll.1`, `qrtotp-token-issue.1` ….

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use clap::CommandFactory;
use std::path::Path;

pub fn run(dir: &Path) -> Result<Exit, Failure> {
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, dir).map_err(|error| {
        Failure::Error(format!(
            "can't write man pages to {}: {error}; create the directory first",
            dir.display()
        ))
    })?;
    Ok(Exit::Done)
}
