//! `qrtotp setup`: has services ask for codes. Without --apply it only shows what would change. With it, what
//! was there is kept, each step is checked, and whatever fails is undone; a systemd timer undoes all of it
//! unless the admin confirms that logins still work.

mod backup;
mod diff;
mod guide;
mod plan;
mod preview;
mod settings;
#[cfg(test)]
mod tests;
mod timer;
mod trial;

use super::config;
use super::doctor::{self, Files, NOT_STARTED, SshdFiles};
use crate::cli::{Setup, With};
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use crate::interrupt::{ENDING, Interrupts};
use crate::program::{Silence, output};
use crate::sshd::program;
use backup::Backup;
pub use backup::Rights;
pub use diff::unified;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use pam_stack::OURS;
pub use plan::{Change, KEY_VARIABLE, PERMIT, sshd_drop_in};
use plan::{Factors, plan};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_frontend::local;
use qrtotp_policy::Config;
use qrtotp_values::{ConfigDuration, UnixTime};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use trial::Trial;

const LEAST_CONFIRM: ConfigDuration = ConfigDuration::seconds(60);
const SSHD_PID: &str = "/run/sshd.pid";
/// How long sshd may take to start anew.
const RELOAD: Duration = Duration::from_secs(10);

pub fn run(path: &Path, args: &Setup) -> Result<Exit, Failure> {
    let path = &config_file(path)?;
    // Neither needs the configuration, which may be what is wrong.
    if args.undo && args.check {
        return undoable();
    }
    if args.undo {
        return undo(path);
    }
    if args.keep {
        return keep();
    }
    let files = Files::read();
    if args.services.is_empty() {
        return guided(path, &guide::ask(args, &files.tree)?, &files);
    }
    let (changes, with, config) = planned(path, args, &files)?;
    if !args.json {
        show(&changes)?;
    }
    check(path, &changes, None)?;
    make(path, &context_of(path, args)?, &changes, (with, config.as_ref()), args)
}

/// Shows the changes that the answers ask for, and makes them if the person agrees.
fn guided(path: &Path, args: &Setup, files: &Files) -> Result<Exit, Failure> {
    let (changes, with, config) = planned(path, args, files)?;
    show(&changes)?;
    if changes.is_empty() {
        return Ok(Exit::Done);
    }
    check(path, &changes, None)?;
    if !guide::agrees()? {
        return Err(Failure::Refused("nothing was changed".into()));
    }
    let args = Setup { apply: true, ..args.clone() };
    make(path, &Context::load(path)?, &changes, (with, config.as_ref()), &args)
}

/// What changes, the factor that sshd takes then, and the configuration if it changes.
fn planned(path: &Path, args: &Setup, files: &Files) -> Result<(Vec<Change>, With, Option<Config>), Failure> {
    let sshd_files = SshdFiles::below(Path::new("/"), &|_| Vec::new()).read;
    let drop_ins = sshd_files.iter().any(|read| read == Path::new("/etc/ssh/sshd_config.d"));
    let with = factors(args)?;
    let (mut changes, config) = match settings::plan(path, args)? {
        Some(settings) => (settings.changes, Some(settings.compiled.config)),
        None => (Vec::new(), None),
    };
    changes.extend(plan(&files.tree, &args.services, with, drop_ins).map_err(Failure::Refused)?);
    Ok((changes, with.sshd, config))
}

/// Shows changes that must rid the host of the finding `id`, and with --apply makes them.
pub fn mend(path: &Path, changes: &[Change], with: With, args: &Setup, id: &str) -> Result<Exit, Failure> {
    show(changes)?;
    check(path, changes, Some(id))?;
    make(path, &context_of(path, args)?, changes, (with, None), args)
}

fn context_of(path: &Path, args: &Setup) -> Result<Context, Failure> {
    if args.apply { Context::load(path) } else { Context::look(path) }
}

/// Tries the changes in a private copy of the host.
fn check(path: &Path, changes: &[Change], mends: Option<&str>) -> Result<(), Failure> {
    // A caller who can't make the changes can't make the copy.
    if changes.is_empty() || !geteuid().is_root() {
        return Ok(());
    }
    // Not loaded yet: that may apply a configuration that never was.
    preview::check(path, changes, &Context::look(path)?.config, mends)
}

/// With --apply makes the changes. `with`: the factor that sshd takes then, besides the code, and the
/// configuration if it changes.
fn make(
    path: &Path,
    context: &Context,
    changes: &[Change],
    (with, config): (With, Option<&Config>),
    args: &Setup,
) -> Result<Exit, Failure> {
    let done = if args.apply && !changes.is_empty() {
        ready(context, config.unwrap_or(&context.config), args)?;
        let concerned = trial::concerns(changes) && !args.json;
        let trial = if concerned { Some(trial::prepare(context, args, with)?) } else { None };
        Some(apply(path, changes, args, trial.as_ref())?)
    } else {
        None
    };
    let mut out = std::io::stdout();
    match done {
        _ if args.json => serde_json::to_writer_pretty(&mut out, &report(changes, done.as_ref()))
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out))?,
        None if changes.is_empty() => {}
        None => {
            writeln!(out, "Nothing was changed. The same command with --apply makes these changes.")?;
        }
        Some(Done { undone_at: None }) => {
            writeln!(out, "Done. Log in from a second terminal now. `qrtotp setup --undo` undoes it.")?;
        }
        Some(Done { undone_at: Some(until) }) => writeln!(
            out,
            "Done. Log in from a second terminal, and there, as root: qrtotp setup --keep\n\
             Without that everything is undone at {}.",
            local(until)
        )?,
    }
    Ok(Exit::Done)
}

fn show(changes: &[Change]) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    if changes.is_empty() {
        writeln!(out, "Nothing to change: all of them ask for a code.")?;
        return Ok(());
    }
    for change in changes {
        write!(out, "{}", diff::unified(change))?;
    }
    Ok(())
}

/// The JSON, described in the command's help.
fn report(changes: &[Change], done: Option<&Done>) -> serde_json::Value {
    let change = |change: &Change| json!({"file": change.file, "diff": diff::unified(change)});
    json!({
        "version": 1,
        "applied": done.is_some(),
        "undone_at": done.and_then(|done| done.undone_at),
        "changes": changes.iter().map(change).collect::<Vec<_>>(),
    })
}

/// The factor besides the code: without --with the one that sshd takes today, so that it never takes more.
fn factors(args: &Setup) -> Result<Factors, Failure> {
    let has_sshd = args.services.iter().any(|service| service == "sshd");
    let sshd = match args.with {
        // Only sshd sees keys: with it, the others go on to take passwords.
        Some(with) if has_sshd => return Ok(Factors { sshd: with, others: With::Password }),
        Some(with) => return Ok(Factors { sshd: with, others: with }),
        None if has_sshd => doctor::Sshd::ask().factor(),
        None => Ok(With::Password),
    };
    let why =
        |why| Failure::Refused(format!("{why}; choose by `qrtotp setup --with`: password, key or either"));
    Ok(Factors { sshd: sshd.map_err(why)?, others: With::Password })
}

/// Refuses where the changes would lock everybody out, or could not be undone by themselves.
fn ready(context: &Context, config: &Config, args: &Setup) -> Result<(), Failure> {
    if config.fleet.name.is_some() {
        // Its verifiers have the devices.
        if !reaches_a_verifier()? {
            let text =
                "no verifier of the fleet is reached, so nobody could log in; see `qrtotp fleet status`";
            return Err(Failure::Refused(text.into()));
        }
    } else if !config::an_admin_gets_in(config, &*context.store()?, &args.services)? {
        let text = "nobody who can become root has a device, nor may enrol at these services; enrol one of them first, so that this host can be repaired: qrtotp enroll USER";
        return Err(Failure::Refused(text.into()));
    }
    if timer::is_armed() {
        return Err(waits());
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

/// Whether `qrtotp fleet status` reaches a verifier.
fn reaches_a_verifier() -> Result<bool, Failure> {
    let mut status = Command::new(std::env::current_exe()?);
    Ok(status.args(["fleet", "status"]).stdout(Stdio::null()).status()?.success())
}

/// Changes that were made.
struct Done {
    /// When they are undone unless they are kept.
    undone_at: Option<UnixTime>,
}

fn apply(path: &Path, changes: &[Change], args: &Setup, trial: Option<&Trial>) -> Result<Done, Failure> {
    // Ctrl-C, also at the trial's questions, takes everything back.
    let interrupts = Interrupts::hold(ENDING).map_err(std::io::Error::from)?;
    let backup = Backup::save(changes, &[])?;
    let until = SystemClock.now() + args.confirm.as_seconds();
    let done = (|| {
        if !args.no_timer {
            timer::arm(path, until)?;
        }
        // sshd must demand a key before a PAM file stops asking for the password.
        let (first, pam) = changes.split_at(changes.iter().take_while(|change| !is_pam(change)).count());
        first.iter().try_for_each(backup::apply)?;
        take_effect(path, first.iter().map(|change| change.file.as_path()))?;
        pam.iter().try_for_each(backup::apply)?;
        trial.map_or(Ok(()), |trial| trial::run(trial, &interrupts))
    })();
    let done = match interrupts.came() {
        true => done.and(Err(Failure::Refused("it was interrupted".into()))),
        false => done,
    };
    if let Err(failure) = done {
        take_back(path, &backup)?;
        interrupts.forget();
        return Err(Failure::Refused(format!("{failure}; everything is as it was")));
    }
    Ok(Done { undone_at: (!args.no_timer).then_some(until) })
}

/// Puts rights and files right that no login goes by in a way that could lock anybody out, so that neither a
/// timer nor a trial is needed. `setup --undo` undoes them.
pub fn make_at_once(path: &Path, changes: &[Change], rights: &[Rights]) -> Result<(), Failure> {
    if timer::is_armed() {
        return Err(waits());
    }
    let backup = Backup::save(changes, rights)?;
    let done = changes
        .iter()
        .try_for_each(backup::apply)
        .and_then(|()| rights.iter().try_for_each(|rights| rights.apply(&rights.after)));
    if let Err(failure) = done {
        take_back(path, &backup)?;
        return Err(Failure::Refused(format!("{failure}; everything is as it was")));
    }
    Ok(())
}

fn waits() -> Failure {
    let text = "an earlier set-up waits: `qrtotp setup --keep` keeps it, `qrtotp setup --undo` undoes it";
    Failure::Refused(text.into())
}

/// The timer goes before the journal: killed anywhere, it is still there for what is left, and never meets an
/// earlier set-up's journal.
fn take_back(path: &Path, backup: &Backup) -> Result<Vec<PathBuf>, Failure> {
    let undone = backup.restore()?;
    let in_effect = take_effect(path, undone.iter().map(PathBuf::as_path));
    timer::disarm()?;
    backup.close()?;
    in_effect.map(|()| undone)
}

fn is_pam(change: &Change) -> bool {
    change.file.starts_with("/etc/pam.d")
}

/// Has sshd and logins go by files that changed.
fn take_effect<'f>(path: &Path, mut changed: impl Iterator<Item = &'f Path> + Clone) -> Result<(), Failure> {
    if changed.clone().any(|file| settings::is_ours(path, file)) {
        settings::apply(path)?;
    }
    if changed.any(|file| file.starts_with("/etc/ssh")) { reload_sshd() } else { Ok(()) }
}

fn undo(path: &Path) -> Result<Exit, Failure> {
    let backup = Backup::newest().ok_or_else(|| Failure::Refused("nothing is left to undo".into()))?;
    let undone = take_back(path, &backup)?;
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

/// Asks sshd whether it takes its files.
fn test_sshd() -> Result<(), Failure> {
    let Some(sshd) = program() else { return Ok(()) };
    let mut test = Command::new(sshd);
    test.arg("-t");
    match output(test) {
        Ok(_) => Ok(()),
        Err(Silence::Refuses(words)) if words.contains(NOT_STARTED) => Ok(()),
        Err(Silence::Unasked(words) | Silence::Refuses(words)) => {
            Err(Failure::Refused(format!("sshd refuses its configuration: {words}")))
        }
    }
}

/// Has a running sshd read its files, if it can, and waits until it listens again.
pub fn reload_sshd() -> Result<(), Failure> {
    test_sshd()?;
    // Without one, sshd is started for each connection, or not at all.
    let pid = std::fs::read_to_string(SSHD_PID).ok().and_then(|text| text.trim().parse().ok());
    let is_sshd = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sshd")
    };
    let Some(pid) = pid.filter(is_sshd) else { return Ok(()) };
    let written = || {
        let file = std::fs::metadata(SSHD_PID).ok()?;
        Some((file.ino(), file.mtime(), file.mtime_nsec()))
    };
    let before = written();
    kill(Pid::from_raw(pid), Signal::SIGHUP)
        .map_err(|error| Failure::Error(format!("sshd can't be reloaded: {error}")))?;
    // It starts anew, and writes the file once it listens. A login before that meets the old settings, or is
    // cut off.
    let mut deadline = Deadline::after(RELOAD);
    while written().is_none_or(|now| Some(now) == before) && deadline.pause() {}
    if is_sshd(&pid) {
        Ok(())
    } else {
        Err(Failure::Error(
            "sshd ended when it read its new files; start it again: systemctl start ssh".into(),
        ))
    }
}
