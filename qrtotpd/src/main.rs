//! `qrtotpd`, the broker: users without root enrol and manage their own account through it, and PAM
//! applications without root have their user's code verified. In the role `verifier` it decides the logins of
//! a fleet's hosts. A thin front end of `qrtotp_flow`; docs/BROKER.md and docs/FLEET.md describe the
//! protocols.
#![deny(unsafe_code)] // except for an exported function, pam.rs

mod accept;
mod admission;
mod arguments;
mod attempt;
mod broker;
mod caller;
mod connection_limits;
mod devices;
mod listen;
mod log;
mod of_fleet;
mod owner;
mod pam;
mod primary;
mod remote;
mod request;
mod request_store;
mod served;
mod services;
mod session;
mod tunnel;
mod verifier;
mod verify;
mod work_limits;

use arguments::{Arguments, Role, Task};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::process::ExitCode;

const PROGRAM: &str = "qrtotpd";
/// Open files for all callers that are served or wait, as in qrtotpd.service.
const FILES: u64 = 4096;

fn main() -> ExitCode {
    qrtotp_frontend::shield_memory();
    room_for_files();
    std::panic::set_hook(Box::new(|info| {
        // Only the place: a panic's text may hold a typed secret.
        if let Some(place) = info.location() {
            let _ = writeln!(
                std::io::stderr(),
                "{PROGRAM}: a mistake of ours at {}:{}",
                place.file(),
                place.line()
            );
        }
    }));
    let ended = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Task::Serve(arguments)) => match arguments.role {
            Role::Broker => listen::run(&arguments),
            Role::Verifier => verifier::run(arguments.listen.as_deref(), &arguments.config),
        },
        Ok(Task::PrimaryFactor) => return pam::child(),
        Ok(Task::Print(text)) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => Err(problem),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{PROGRAM}: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Raises the limit of open files: a shell's limit is too low for a crowd.
fn room_for_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < FILES
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), hard);
    }
}
