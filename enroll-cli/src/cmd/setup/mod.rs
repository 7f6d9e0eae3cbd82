//! `qrtotp setup`: has services ask for codes. Without --apply it only shows what would change. With it, what
//! was there is kept, each step is checked, and whatever fails is undone; a systemd timer undoes all of it
//! unless the admin confirms that logins still work.

mod backup;
mod diff;
mod plan;
#[cfg(test)]
mod tests;
mod timer;
mod trial;

use super::config;
use super::doctor::{self, Files, SshdFiles};
use crate::cli::{Setup, With};
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use crate::interrupt::{ENDING, Interrupts};
use crate::program::{Silence, output};
use crate::sshd::program;
use backup::Backup;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_stack::OURS;
use plan::{Change, DROP_IN, Factors, plan};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_values::ConfigDuration;
use qrtotp_values::text::utc;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use trial::Trial;

const LEAST_CONFIRM: ConfigDuration = ConfigDuration::seconds(60);

pub fn run(path: &Path, args: &Setup) -> Result<Exit, Failure> {
    let path = &config_file(path)?;
    // Neither needs the configuration, which may be what is wrong.
    if args.undo && args.check {
        return undoable();
    }
    if args.undo {
        return undo();
    }
    if args.keep {
        return keep();
    }
    let context = Context::load(path)?;
    let files = Files::read();
    let sshd_files = SshdFiles::below(Path::new("/"), &|_| None).read;
    let drop_ins = sshd_files.iter().any(|read| read == Path::new("/etc/ssh/sshd_config.d"));
    let with = factors(args)?;
    let changes = plan(&files.tree, &args.services, with, drop_ins).map_err(Failure::Refused)?;
    let mut out = std::io::stdout();
    if changes.is_empty() {
        writeln!(out, "Nothing to change: all of them ask for a code.")?;
        return Ok(Exit::Done);
    }
    for change in &changes {
        write!(out, "{}", diff::unified(change))?;
    }
    if !args.apply {
        writeln!(out, "Nothing was changed. The same command with --apply makes these changes.")?;
        return Ok(Exit::Done);
    }
    ready(&context, args)?;
    let failures = || doctor::failures(path, &context.config);
    let trial =
        if trial::concerns(&changes) { Some(trial::prepare(&context, args, with.sshd)?) } else { None };
    apply(&changes, args, &failures, trial.as_ref())
}

/// The factor besides the code: without --with the one that sshd takes today, so that it never takes more.
fn factors(args: &Setup) -> Result<Factors, Failure> {
    let sshd = match args.with {
        Some(with) => return Ok(Factors { sshd: with, others: with }),
        None if args.services.iter().any(|service| service == "sshd") => doctor::Sshd::ask().factor(),
        None => Ok(With::Password),
    };
    let why =
        |why| Failure::Refused(format!("{why}; choose by `qrtotp setup --with key` or `--with password`"));
    Ok(Factors { sshd: sshd.map_err(why)?, others: With::Password })
}

/// Refuses where the changes would lock everybody out, or could not be undone by themselves.
fn ready(context: &Context, args: &Setup) -> Result<(), Failure> {
    let store = context.store()?;
    if !config::an_admin_has_a_device(&store) {
        let text = "nobody who can become root has a device; enrol one of them first, so that this host can be repaired: qrtotp enroll USER";
        return Err(Failure::Refused(text.into()));
    }
    if timer::is_armed() {
        let text = "an earlier set-up waits: `qrtotp setup --keep` keeps it, `qrtotp setup --undo` undoes it";
        return Err(Failure::Refused(text.into()));
    }
    if !args.no_timer && args.confirm < LEAST_CONFIRM {
        let text = format!(
            "--confirm must be at least {LEAST_CONFIRM}, so that the changes are made before they are undone"
        );
        return Err(Failure::Refused(text));
    }
    if !args.no_timer && !timer::is_possible() {
        let text = "systemd does not run here, so nothing can undo the changes by itself; with a root shell open, give --no-timer";
        return Err(Failure::Refused(text.into()));
    }
    Ok(())
}

fn apply(
    changes: &[Change],
    args: &Setup,
    failures: &dyn Fn() -> Vec<String>,
    trial: Option<&Trial>,
) -> Result<Exit, Failure> {
    // Ctrl-C, also at the trial's questions, takes everything back.
    let interrupts = Interrupts::hold(ENDING).map_err(std::io::Error::from)?;
    let known = failures();
    let backup = Backup::save(changes)?;
    let until = SystemClock.now() + args.confirm.as_seconds();
    let done = (|| {
        if !args.no_timer {
            timer::arm(until)?;
        }
        for change in changes {
            backup::apply(change)?;
            if change.file == Path::new(DROP_IN) {
                reload_sshd()?;
            }
        }
        match failures().into_iter().find(|failure| !known.contains(failure)) {
            Some(failure) => Err(Failure::Refused(failure)),
            None => trial.map_or(Ok(()), |trial| trial::run(trial, &interrupts)),
        }
    })();
    let done = match interrupts.came() {
        true => done.and(Err(Failure::Refused("it was interrupted".into()))),
        false => done,
    };
    if let Err(failure) = done {
        take_back(&backup)?;
        interrupts.forget();
        return Err(Failure::Refused(format!("{failure}; everything is as it was")));
    }
    let mut out = std::io::stdout();
    if args.no_timer {
        writeln!(out, "Done. Log in from a second terminal now. `qrtotp setup --undo` undoes it.")?;
    } else {
        writeln!(
            out,
            "Done. Log in from a second terminal, and there, as root: qrtotp setup --keep\n\
             Without that everything is undone at {}.",
            utc(until)
        )?;
    }
    Ok(Exit::Done)
}

/// The timer goes before the journal: killed anywhere, it is still there for what is left, and never meets an
/// earlier set-up's journal.
fn take_back(backup: &Backup) -> Result<Vec<PathBuf>, Failure> {
    let undone = backup.restore()?;
    let has_sshd = undone.iter().any(|file| file == Path::new(DROP_IN));
    let reloaded = if has_sshd { reload_sshd() } else { Ok(()) };
    timer::disarm()?;
    backup.close()?;
    reloaded.map(|()| undone)
}

fn undo() -> Result<Exit, Failure> {
    let backup = Backup::newest().ok_or_else(|| Failure::Refused("nothing is left to undo".into()))?;
    let undone = take_back(&backup)?;
    let undone: Vec<String> = undone.iter().map(|file| file.display().to_string()).collect();
    writeln!(std::io::stdout(), "As before: {}", undone.join(", "))?;
    Ok(Exit::Done)
}

fn undoable() -> Result<Exit, Failure> {
    let names_us =
        |text: &str| text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(OURS));
    let mut out = std::io::stdout();
    for (file, text) in backup::before_all()? {
        if file.starts_with("/etc/pam.d") && !text.as_deref().is_some_and(names_us) {
            writeln!(out, "{}", file.display())?;
        }
    }
    Ok(Exit::Done)
}

fn keep() -> Result<Exit, Failure> {
    if !timer::is_armed() {
        return Err(Failure::Refused("no set-up waits to be kept".into()));
    }
    timer::disarm()?;
    writeln!(std::io::stdout(), "Kept. `qrtotp setup --undo` still undoes it.")?;
    Ok(Exit::Done)
}

/// Has a running sshd read its files, if it can.
fn reload_sshd() -> Result<(), Failure> {
    let Some(sshd) = program() else { return Ok(()) };
    let mut test = Command::new(sshd);
    test.arg("-t");
    if let Err(Silence::Unasked(words) | Silence::Refuses(words)) = output(test) {
        return Err(Failure::Refused(format!("sshd refuses its configuration: {words}")));
    }
    // Without one, sshd is started for each connection, or not at all.
    let pid = std::fs::read_to_string("/run/sshd.pid").ok().and_then(|text| text.trim().parse().ok());
    let is_sshd = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sshd")
    };
    let Some(pid) = pid.filter(is_sshd) else { return Ok(()) };
    kill(Pid::from_raw(pid), Signal::SIGHUP)
        .map_err(|error| Failure::Error(format!("sshd can't be reloaded: {error}")))
}
