//! The host as changes would make it, in a private copy, where it is judged before any of its files
//! changes.

use super::plan::Change;
use super::{backup, settings, test_sshd};
use crate::applied;
use crate::cmd::doctor::report::Severity;
use crate::cmd::doctor::{self, Problem};
use crate::error::Failure;
use crate::private::{apart, overlay, tmpfs};
use nix::sched::{CloneFlags, unshare};
use qrtotp_policy::Config;
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

/// Keeps what is written in the copy. Nothing that is judged lies there.
const LAYERS: &str = "/mnt";

/// Refuses changes with which sshd would not take its files, the configuration could not be applied, or
/// `doctor` would find a fault that it does not find today. `config`: the one in force. `mends`: the id of a
/// finding that must be gone.
///
/// # Errors
/// So it is, or the copy can't be made.
pub fn check(path: &Path, changes: &[Change], config: &Config, mends: Option<&str>) -> Result<(), Failure> {
    let known = doctor::problems(path, config);
    let missed =
        |now: &Problem| mends == Some(now.id) || (now.severity == Severity::Fail && !known.contains(now));
    let verdict = in_a_copy(changes, || {
        if changes.iter().any(|change| change.file.starts_with("/etc/ssh")) {
            test_sshd()?;
        }
        let found = if changes.iter().any(|change| settings::is_ours(path, &change.file)) {
            doctor::problems(path, &applied::compiled(path)?.config)
        } else {
            doctor::problems(path, config)
        };
        match found.into_iter().find(missed) {
            Some(problem) => Err(Failure::Refused(problem.to_string())),
            None => Ok(()),
        }
    });
    verdict.map_err(|failure| match failure {
        Failure::Refused(why) => Failure::Refused(format!("{why}; nothing was changed")),
        Failure::Error(why) => Failure::Error(format!("{why}; nothing was changed")),
        output @ Failure::Output(_) => output,
    })
}

/// Calls `check` where the changes are made, in memory.
fn in_a_copy(changes: &[Change], check: impl FnOnce() -> Result<(), Failure> + Send) -> Result<(), Failure> {
    // A thread can have a mount namespace of its own, which the programs that it starts share.
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|error| {
            let text = format!("the changes can't be tried in a private copy of the host: {error}");
            Failure::Error(format!("{text}; in a container without that right, make them by hand"))
        })?;
        let directories = directories(changes);
        apart()?;
        tmpfs(LAYERS, "mode=700")?;
        for directory in directories {
            overlay(LAYERS, &directory.display().to_string())?;
        }
        changes.iter().try_for_each(backup::apply)?;
        check()
    };
    thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// The directories in which files change, or appear with their directory, without those below another one.
fn directories(changes: &[Change]) -> Vec<&Path> {
    let existing: BTreeSet<&Path> = changes
        .iter()
        .filter_map(|change| change.file.ancestors().skip(1).find(|path| path.is_dir()))
        .collect();
    let is_first = |path: &&Path| !path.ancestors().skip(1).any(|above| existing.contains(above));
    existing.iter().copied().filter(is_first).collect()
}
