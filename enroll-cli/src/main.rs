//! `qrtotp`: enrols, administers and diagnoses second factors. A thin face on `qrtotp_flow`: it parses, asks,
//! shows and maps results to exit codes (0 done, 1 refused, 2 error); it decides nothing about codes or
//! records.
#![forbid(unsafe_code)]

mod applied;
mod caller;
mod cli;
mod cmd;
mod context;
mod error;
mod fleet_member;
mod host_names;
mod input;
mod interrupt;
mod language;
mod no_echo;
mod picture;
mod private;
mod program;
mod progress;
mod qr_style;
mod replaced_file;
mod selftest;
mod sshd;
mod terminal;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    qrtotp_frontend::shield_memory();
    if let Some(exit) = cmd::internal(std::env::args_os().skip(1)) {
        return exit;
    }
    let json = std::env::args_os().any(|word| word == "--json");
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::explain(&error, json),
    };
    match cmd::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if this fails, too.
            let _ = match json {
                true => writeln!(std::io::stdout(), "{}", failure.json()),
                false => Ok(()),
            };
            let _ = writeln!(std::io::stderr(), "qrtotp: {failure}");
            failure.exit().into()
        }
    }
}
