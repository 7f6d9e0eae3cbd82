//! The process that [`super::owner`] asks. It acts as the user, who can neither signal nor trace it.

use super::owner::{CONTENT, ERROR, NOTHING, OWNER_TASKS, OwnerTask, REFUSED};
use super::source::{Source, is_there};
use crate::error::{Failure, shown};
use nix::unistd::User;
use qrtotp_import::MAX_GOOGLE;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// The process itself.
pub fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.collect();
    let done = match words.as_slice() {
        [task, user, path] => run_task(task, user, Path::new(path)),
        _ => return ExitCode::from(2),
    };
    let (first, bytes) = match done {
        Ok(Some(content)) => (CONTENT, content),
        Ok(None) => (NOTHING, Zeroizing::default()),
        Err(Failure::Refused(why)) => (REFUSED, Zeroizing::new(why.into_bytes())),
        Err(failure) => (ERROR, Zeroizing::new(failure.to_string().into_bytes())),
    };
    let mut out = std::io::stdout();
    match out.write_all(&[first]).and_then(|()| out.write_all(&bytes)).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

fn run_task(task: &OsStr, user: &OsStr, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let mut expected = Zeroizing::new(Vec::with_capacity(MAX_GOOGLE + 1)); // never grows, so nothing is left behind
    let read = std::io::stdin().take(MAX_GOOGLE as u64).read_to_end(&mut expected);
    read.map_err(|error| Failure::Error(format!("standard input: {error}")))?;
    let unknown = || Failure::Error("this command is not for people".into());
    let task = OWNER_TASKS.iter().find(|(_, word)| task == *word).ok_or_else(unknown)?.0;
    let user = user.to_str().and_then(|name| User::from_name(name).ok().flatten()).ok_or_else(unknown)?;
    if task == OwnerTask::Find && !is_there(path, &user)? {
        return Ok(None);
    }
    let source = Source::open_of_user(path, &user)?;
    if task != OwnerTask::Shred {
        return Ok(source.map(|source| source.bytes));
    }
    match source.filter(|source| source.bytes == expected) {
        Some(source) => source.shred(None).map(|()| None),
        None => Err(Failure::Error(format!(
            "its keys are here, but {} is not overwritten: it was changed meanwhile; give this command again",
            shown(path)
        ))),
    }
}
