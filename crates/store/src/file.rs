//! The file store: one directory per account below `accounts/`. Its lock is flock(2) on that directory, which
//! is never replaced.

use super::layout::{ACCOUNTS, KEY_FILE, SMALL_LIMIT};
use super::lock::{Locked, lock};
use super::{Readers, SealKey, StoreError, TrustError};
use super::{entries, open_dir, open_file, open_private_dir, read_all};
use nix::fcntl::AtFlags;
use nix::sys::stat::{fstat, fstatat};
use qrtotp_account::Name;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest wait for a lock, for example while another login to the same account holds it.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The store in a directory of this host.
#[derive(Debug)]
pub struct FileStore {
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    pub(super) accounts: OwnedFd,
    pub(super) key: SealKey,
    pub(super) lock_wait: Duration,
    /// See [`FileStore::take_killed_holder`]; 0: none.
    pub(super) killed_holder: AtomicI32,
}

/// Reads the sealing key beside the configuration.
///
/// # Errors
/// Missing, readable by others, or not a key.
pub(super) fn read_key(dir: impl AsFd, dir_path: &Path) -> Result<SealKey, StoreError> {
    let path = dir_path.join(KEY_FILE);
    let file = match open_file(&dir, KEY_FILE, &path, false, Readers::OwnerOnly) {
        Err(TrustError::Missing(path)) => return Err(StoreError::KeyMissing(path)),
        other => other?,
    };
    let text = Zeroizing::new(read_all(&file, &path, SMALL_LIMIT)?);
    SealKey::parse(&text).map_err(|_| StoreError::KeyDamaged(path))
}

impl FileStore {
    /// Opens the store in `path` with the key in the directory `key_dir`.
    ///
    /// # Errors
    /// A directory is missing or can't be trusted; no key.
    pub fn open(path: &Path, key_dir: &Path) -> Result<Self, StoreError> {
        Self::open_beside(path, open_dir(key_dir)?, key_dir)
    }

    /// As [`FileStore::open`], with the key's directory already open.
    pub fn open_beside(path: &Path, dir: impl AsFd, key_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with_key(path, read_key(dir, key_dir)?)
    }

    pub(super) fn open_with_key(path: &Path, key: SealKey) -> Result<Self, StoreError> {
        let root = match open_dir(path) {
            Err(TrustError::Missing(path)) => return Err(StoreError::Missing(path)),
            other => other?,
        };
        let accounts = path.join(ACCOUNTS);
        let accounts = open_private_dir(&root, ACCOUNTS, &accounts)?
            .ok_or_else(|| StoreError::Missing(accounts.clone()))?;
        Ok(Self {
            path: path.to_owned(),
            root,
            accounts,
            key,
            lock_wait: LOCK_WAIT,
            killed_holder: AtomicI32::new(0),
        })
    }

    /// The same store, but a held lock is [`StoreError::Busy`] at once.
    #[must_use]
    pub fn without_waiting(self) -> Self {
        Self { lock_wait: Duration::ZERO, ..self }
    }

    pub(super) fn path_of(&self, name: &Name) -> PathBuf {
        let name = name.file_name();
        let mut path = PathBuf::with_capacity(self.path.as_os_str().len() + ACCOUNTS.len() + name.len() + 2);
        path.extend([self.path.as_path(), Path::new(ACCOUNTS), Path::new(&name)]);
        path
    }

    /// The account's directory; `None` if it has none and the markers prove that this is the right store.
    pub(super) fn account_dir(&self, name: &Name) -> Result<Option<OwnedFd>, StoreError> {
        let dir = open_private_dir(&self.accounts, &name.file_name(), &self.path_of(name))?;
        if dir.is_none() {
            self.check_marker()?;
        }
        Ok(dir)
    }

    /// As [`lock`], with this store's wait. [`FileStore::take_killed_holder`] reports a killed holder.
    pub(super) fn lock(&self, dir: OwnedFd) -> Result<Locked, StoreError> {
        lock(dir, self.lock_wait, |pid| self.killed_holder.store(pid.as_raw(), Ordering::Relaxed))
    }

    /// The process that was killed since the last call because it held a lock and made no progress.
    #[must_use]
    pub fn take_killed_holder(&self) -> Option<i32> {
        Some(self.killed_holder.swap(0, Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Locks an account whose record is to change. Busy if the directory was renamed or removed in the
    /// meantime.
    pub(super) fn lock_account(&self, dir: OwnedFd, name: &Name) -> Result<Locked, StoreError> {
        let dir = self.lock(dir)?;
        let ours = fstat(&dir).map_err(|errno| StoreError::io(self.path_of(name), errno))?;
        match fstatat(&self.accounts, &*name.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => Ok(dir),
            _ => Err(StoreError::Busy),
        }
    }

    /// The names of all accounts that have a record, in no order.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn names(&self) -> Result<impl Iterator<Item = Name>, StoreError> {
        self.check_marker()?;
        let shown = self.path.join(ACCOUNTS);
        let dir = entries(&self.accounts).map_err(|errno| StoreError::io(shown, errno))?;
        Ok(dir.filter_map(|entry| Name::from_file_name(entry.ok()?.file_name().to_str().ok()?)))
    }
}
