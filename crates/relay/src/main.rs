//! `qrtotp-relay`: carries a login host's requests to the fleet's verifiers, over TLS. Not root, so that a
//! fault in TLS is not root's. It decides nothing: requests and verdicts are signed with a key that it does
//! not have. docs/FLEET.md describes it.
#![forbid(unsafe_code)]

mod arguments;
mod breaker;
mod identity;
mod keeper;
mod listen;
mod pool;
mod relay;
mod session;
mod verifier;

use arguments::{Arguments, Task};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ended = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Task::Serve(arguments)) => listen::run(&arguments),
        Ok(Task::Print(text)) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => Err(problem),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "qrtotp-relay: {problem}");
            ExitCode::from(2)
        }
    }
}
