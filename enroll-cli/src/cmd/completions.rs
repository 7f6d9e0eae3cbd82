//! `qrtotp completions SHELL`.

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use clap::CommandFactory;
use std::io::Write;

pub fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new(); // the generator panics where its writer fails
    clap_complete::generate(shell, &mut Cli::command(), "qrtotp", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}
