//! Throwaway accounts, in the private copy of /etc only.

use crate::error::Failure;
use nix::unistd::{Uid, User};
use std::fs::OpenOptions;
use std::io::Write;

/// For the module, sshd and sudo: none spoils another one's codes.
pub const MODULE: &str = "qrtotp-test-1";
pub const SSHD: &str = "qrtotp-test-2";
pub const SUDO: &str = "qrtotp-test-3";
const NAMES: [&str; 3] = [MODULE, SSHD, SUDO];

/// It is worth nothing outside of the namespaces.
pub const PASSWORD: &str = "correct horse 7";
const HASH: &str = "$6$rounds=1000$qrtotpharness$8zYZTh/Y.R5kjbVp6hSW8oKSTLGQvq2nSg8i0zJca7h6SefR9/EwVQrK3FTCZuOJIq2l.AlLfIP/YT/BtItpM/";
/// Where uids are looked for: beyond those of people, before those of systemd.
const UIDS: std::ops::Range<u32> = 59_000..60_000;

/// # Errors
/// The host has one of these accounts.
pub fn are_free() -> Result<(), Failure> {
    match NAMES.into_iter().find(|name| matches!(User::from_name(name), Ok(Some(_)))) {
        Some(name) => Err(Failure::Refused(format!(
            "this host has an account {name}, the name of a throwaway account; rename or remove it"
        ))),
        None => Ok(()),
    }
}

/// Adds them. Gives their uids, in the order of [`NAMES`].
///
/// # Errors
/// The files can't be written.
pub fn add() -> Result<[u32; 3], Failure> {
    let mut free = UIDS.filter(|uid| matches!(User::from_uid(Uid::from_raw(*uid)), Ok(None)));
    let mut uids = [0; 3];
    for (name, uid) in NAMES.into_iter().zip(&mut uids) {
        *uid = free.next().ok_or_else(|| Failure::Error(format!("no uid of {UIDS:?} is free")))?;
        append("/etc/passwd", &format!("{name}:x:{uid}:{uid}::/home/{name}:/bin/sh"))?;
        append("/etc/group", &format!("{name}:x:{uid}:"))?;
        append("/etc/shadow", &format!("{name}:{HASH}:20000:0:99999:7:::"))?;
        let home = format!("/home/{name}");
        std::fs::create_dir(&home)?;
        std::os::unix::fs::chown(&home, Some(*uid), Some(*uid))?;
    }
    Ok(uids)
}

/// A line, also behind one that has no end.
pub fn append(file: &str, line: &str) -> Result<(), Failure> {
    let written = OpenOptions::new().append(true).open(file).and_then(|mut open| write!(open, "\n{line}\n"));
    written.map_err(|error| {
        Failure::Error(format!("can't add to {file}, seen through the private copy: {error}"))
    })
}
