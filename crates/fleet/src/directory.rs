//! A verifier's own directory: one daemon owns it, and commands may work beside the daemon.

use crate::error::FleetError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";

/// The process that uses a verifier's directory.
#[derive(Debug)]
pub(crate) enum User {
    /// The daemon: it alone writes `seen` and the witness. Holds the lock of the directory.
    Daemon(#[allow(dead_code)] File),
    /// A command: it reads `seen` again and again, because the daemon goes on writing witnesses.
    Command,
}

impl User {
    /// Takes the directory for a daemon, until the result is dropped.
    pub fn daemon(directory: &Path) -> Result<Self, FleetError> {
        let path = directory.join(LOCK);
        let failed = |error: std::io::Error| FleetError::Local(format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::Daemon(file)),
            Err(TryLockError::WouldBlock) => Err(FleetError::Taken(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    pub fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }
}

/// The directory of a verifier's own files, and its user.
#[derive(Debug)]
pub(crate) struct OwnDirectory {
    pub path: PathBuf,
    pub user: User,
}
