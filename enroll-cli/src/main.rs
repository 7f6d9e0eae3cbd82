//! `qrtotp`: enrols, administers and diagnoses second factors. A thin face on `qrtotp_core::flow`: it parses, asks,
//! shows and maps results to exit codes (0 done, 1 refused, 2 error); it decides nothing about codes or records.
#![forbid(unsafe_code)]

mod cli;
mod cmd;
mod context;
mod error;
mod hidden;
mod input;
mod interrupt;
mod look;
mod picture;
mod terminal;

use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    no_core_dumps();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::explain(&error),
    };
    match cmd::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if this fails, too.
            let _ = writeln!(std::io::stderr(), "qrtotp: {failure}");
            failure.exit().into()
        }
    }
}

/// Secrets pass through this process; a crash must not write them to disk, nor may another process of the same
/// user look into it. Best effort: a kernel that refuses is no reason to refuse to work.
fn no_core_dumps() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
}
