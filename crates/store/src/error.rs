//! Errors of the store. The messages are for the admin and say what to do; a login never shows them.

use super::{TrustError, errno};
use nix::errno::Errno;
use qrtotp_account::KeyId;
use qrtotp_otp::RandomError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the store failed. Every one of these denies a login.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A directory or file of the store can't be trusted or read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store was never made, or is not mounted.
    #[error(
        "{0} is missing: the store is not mounted, was emptied, or was never made; mount or restore it; `qrtotp enroll` makes the first one"
    )]
    Missing(PathBuf),
    /// The key of an earlier store exists, but the directory is empty.
    #[error(
        "{0} is empty, but its sealing key exists, so there was a store once: mount or restore it; only to give up all that was enrolled, move {1} away"
    )]
    Emptied(PathBuf, PathBuf),
    /// Records without their marker.
    #[error("{0} holds records but no store.toml; restore the whole directory from its backup")]
    MarkerLost(PathBuf),
    /// The marker does not open.
    #[error(
        "{0} is damaged or was made with another sealing key; restore it and seal.key from their backups"
    )]
    Marker(PathBuf),
    /// The store belongs to another key.
    #[error(
        "{path} belongs to sealing key {expected}, but {found} is installed; restore seal.key from its backup"
    )]
    WrongKey {
        /// The marker.
        path: PathBuf,
        /// The key that the store was made with.
        expected: KeyId,
        /// The key in the key file.
        found: KeyId,
    },
    /// There is a store, but no key to it.
    #[error("{0} is missing; restore it from its backup (without it no secret of this store can be opened)")]
    KeyMissing(PathBuf),
    /// The key file holds something else.
    #[error("{0} holds no sealing key; restore it from its backup")]
    KeyDamaged(PathBuf),
    /// One of a record's two files is missing.
    #[error(
        "{0} is missing from the record; restore the record's directory, or move it away and enrol the account anew (with `nullok` it is admitted until then)"
    )]
    Incomplete(PathBuf),
    /// A record that does not open or parse.
    #[error(
        "{path} is damaged ({why}); restore the record's directory, or move it away and enrol the account anew (with `nullok` it is admitted until then)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// A short reason.
        why: &'static str,
    },
    /// Another process held the account's lock for too long.
    #[error("the account's record was in use for too long; try again")]
    Busy,
    /// The caller's file size limit forbids our writes.
    #[error("the process may not write files (ulimit -f)")]
    FileSizeLimit,
    /// A new file can't appear whole there without the risk of replacing another one.
    #[error(
        "{0} can't be made: its file system has neither hard links nor a rename that replaces nothing; keep the configuration on another one, such as ext4"
    )]
    FileSystem(PathBuf),
    /// The system reported an error.
    #[error("{path}: {errno}")]
    Io {
        /// The path of the read or write.
        path: PathBuf,
        /// The system's error.
        errno: Errno,
    },
    /// The system reported neither that a write was kept nor that it was lost.
    #[error("{path}: {errno}; the write may or may not have been kept")]
    Unsure {
        /// The path of the write.
        path: PathBuf,
        /// The system's error.
        errno: Errno,
    },
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A store that many hosts share failed.
    #[error("{error}")]
    Shared {
        /// Its word in the audit log.
        reason: &'static str,
        /// Its own error.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    pub(super) fn io(path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self::Io { path: path.into(), errno }
    }

    pub(super) fn std_io(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::io(path, errno(error))
    }

    /// The same failure, after a write had begun.
    pub(super) fn unsure(self) -> Self {
        match self {
            Self::Io { path, errno } => Self::Unsure { path, errno },
            other => other,
        }
    }

    /// True if the account's own record is at fault, not the store.
    #[must_use]
    pub fn is_record_fault(&self) -> bool {
        matches!(self, Self::Incomplete(_) | Self::Damaged { .. })
    }

    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trust(error) => error.reason(),
            Self::Missing(_) | Self::Emptied(..) | Self::MarkerLost(_) => "store_missing",
            Self::Marker(_) => "store_damaged",
            Self::WrongKey { .. } => "key_wrong",
            Self::KeyMissing(_) => "key_missing",
            Self::KeyDamaged(_) => "key_damaged",
            Self::Incomplete(_) => "record_incomplete",
            Self::Damaged { .. } => "record_damaged",
            Self::Busy => "store_busy",
            Self::FileSizeLimit => "file_size_limit",
            Self::Io { errno: Errno::ENOSPC | Errno::EDQUOT, .. } => "disk_full",
            Self::Io { errno: Errno::EROFS, .. } => "disk_read_only",
            Self::Io { .. } | Self::FileSystem(_) => "store_io",
            Self::Unsure { .. } => "may_be_kept",
            Self::Random(_) => "no_random_numbers",
            Self::Shared { reason, .. } => reason,
        }
    }
}
