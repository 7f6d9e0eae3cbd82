//! One file per command. Each one: load, resolve whose account, call the flow, say what came of it.

mod completions;
mod config;
mod enroll;
mod import;
mod man;
mod recovery;
mod revoke;
mod status;
mod token;
mod unlock;
mod verify;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::{Exit, Failure};

/// Runs what was asked for.
pub fn run(cli: Cli) -> Result<Exit, Failure> {
    let context = || Context::load(&cli.config);
    match cli.command {
        Command::Enroll(args) => enroll::run(&context()?, args),
        Command::Status(args) => status::run(&context()?, args),
        Command::Verify { user } => verify::run(&context()?, user),
        Command::Import(what) => import::run(&context()?, what),
        Command::Recovery(what) => recovery::run(&context()?, what),
        Command::Revoke(args) => revoke::run(&context()?, &args),
        Command::Unlock { user } => unlock::run(&context()?, &user),
        Command::Token(what) => token::run(&context()?, what),
        Command::Config(crate::cli::Config::Check) => config::check(&context()?),
        Command::Completions { shell } => completions::run(shell),
        Command::Man { dir } => man::run(&dir),
    }
}
