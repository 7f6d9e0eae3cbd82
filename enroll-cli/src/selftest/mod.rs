//! `qrtotp selftest`: tries the installation, in namespaces of its own with throwaway accounts and a
//! throwaway store. It changes no file of the host, and asks for no real account.

mod accounts;
mod dialogue;
mod module;
mod phone;
mod qr;
mod report;
mod services;
mod world;

use crate::cli::Selftest;
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use qrtotp_policy::DEFAULT_PATH;
use report::SelftestReport;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The argument that starts the process inside.
pub const WORD: &str = "selftest-inside";

pub fn run(path: &Path, args: &Selftest) -> Result<Exit, Failure> {
    if config_file(path)? != Path::new(DEFAULT_PATH) {
        let text = format!("it tries the logins of this host, which read {DEFAULT_PATH}; leave out --config");
        return Err(Failure::Error(text));
    }
    let context = Context::look(path)?;
    accounts::are_free()?;
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC;
    unshare(own).map_err(|error| {
        Failure::Error(format!(
            "can't make namespaces: {error}; nothing was tried. In a container, run it on its host"
        ))
    })?;
    // The first process of the new pid namespace: its end is the end of all that it has started.
    let mut inside = Command::new("/proc/self/exe");
    inside.arg0("qrtotp").arg(WORD).arg(if args.json { "json" } else { "text" });
    inside.env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE"); // the questions are known in English
    let status = inside.arg(&context.config.state_dir.0).status()?;
    match status.code() {
        Some(0) => Ok(Exit::Done),
        Some(1) => Ok(Exit::Refused),
        Some(_) => Ok(Exit::Error),
        None => Err(Failure::Error(format!("the test was ended by {status}"))),
    }
}

/// The process inside.
pub fn run_inside(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    // The caller's may keep the throwaway accounts from their own files.
    umask(Mode::from_bits_truncate(0o022));
    let json = words.next().is_some_and(|form| form == "json");
    let state_dir = words.next().unwrap_or_default();
    let tried = world::enter(Path::new(&state_dir)).and_then(|world| {
        let mut report = SelftestReport::default();
        module::check(&world, &mut report)?;
        qr::check(&world, &mut report)?;
        services::check_sshd(&world, &mut report)?;
        services::check_sudo(&world, &mut report)?;
        report.end_progress();
        Ok(report)
    });
    let mut out = std::io::stdout();
    let written = tried.and_then(|report| {
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let written = if json { report.write_json(&mut out) } else { report.write(colour, &mut out) };
        written.map(|()| report.exit()).map_err(Failure::Output)
    });
    match written {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Nobody is left to tell if this fails, too.
            let _ = writeln!(std::io::stderr(), "qrtotp: {failure}");
            Exit::Error.into()
        }
    }
}
