//! Creates what does not exist yet: the store itself, its sealing key, a first record. Each appears whole or
//! not at all. No login calls this.

use super::critical::with_critical_section;
use super::file::{FileStore, read_key};
use super::layout::{ACCOUNTS, KEY_FILE, RECORD, RECORD_NEW, STATE, TEMPORARY};
use super::lock::lock;
use super::marker::{INNER, MARKER, marker_text};
use super::record::{ANEW, write_new};
use super::{Account, Scope, SealKey, StoreError, TrustError, entries, open_dir, open_private_dir, slot};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, fsync, linkat, unlinkat};
use qrtotp_otp::{base32_encode, random_bytes};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NEW: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_CLOEXEC);
/// A marker whose key is not in its place yet.
const WAITING: &str = ".store.toml.new";
/// Longest wait for another process that creates the store, which takes milliseconds.
const CREATE_WAIT: Duration = Duration::from_secs(10);

impl FileStore {
    /// Opens the store, and makes it first if there is nothing yet: directory, sealing key, marker.
    ///
    /// # Errors
    /// As [`FileStore::open`]; also if a directory holds records but no marker, if a store's key is lost, or
    /// if nothing can be written.
    pub fn open_or_create(path: &Path, key_dir: &Path) -> Result<Self, StoreError> {
        if !exists(&path.join(MARKER))? {
            with_critical_section(|| prepare(path, key_dir))?;
        }
        let store = Self::open(path, key_dir)?;
        store.check_marker()?;
        with_critical_section(|| store.prepare_dummy())?;
        // On a read-only disk nobody is shown a key that can't be kept.
        faccessat(&store.accounts, ".", AccessFlags::W_OK, AtFlags::empty())
            .map_err(|errno| StoreError::io(path.join(ACCOUNTS), errno))?;
        Ok(store)
    }

    /// Whether there is a store, or part of one. If not, [`FileStore::open_or_create`] makes a store, or
    /// goes on with one whose making was interrupted.
    ///
    /// # Errors
    /// A path that can't be read.
    pub fn is_made(path: &Path, key_dir: &Path) -> Result<bool, StoreError> {
        let is_begun = || exists(&path.join(WAITING));
        Ok(exists(&path.join(MARKER))? || (exists(&key_dir.join(KEY_FILE))? && !is_begun()?))
    }

    /// Makes a record. False if there is one already.
    pub(super) fn create(&self, account: &Account) -> Result<bool, StoreError> {
        let record = self.record_text(&account.record, 0)?;
        let temporary = base32_encode(&random_bytes::<10>()?);
        let directory = self.temporary_dir()?;
        with_critical_section(|| {
            let directory = self.lock(directory)?;
            sweep(directory.as_fd());
            let made = self.create_in(directory.as_fd(), &temporary, account, &record);
            if !matches!(made, Ok(true)) {
                remove(directory.as_fd(), &temporary);
            }
            made
        })
    }

    /// The directory of unfinished and removed records.
    pub(super) fn temporary_dir(&self) -> Result<OwnedFd, StoreError> {
        let shown = self.path.join(TEMPORARY);
        open_private_dir(&self.root, TEMPORARY, &shown)?.ok_or(StoreError::Missing(shown))
    }

    /// A directory beside the accounts that is made when it is first needed, and its path.
    pub(super) fn private_dir(&self, name: &str) -> Result<(OwnedFd, PathBuf), StoreError> {
        let path = self.path.join(name);
        if let Some(dir) = open_private_dir(&self.root, name, &path)? {
            return Ok((dir, path));
        }
        self.check_marker()?; // makes nothing where a disk is not mounted
        match mkdirat(&self.root, name, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(StoreError::io(path, errno)),
        }
        fsync(&self.root).map_err(|errno| StoreError::io(&path, errno))?;
        let dir = open_private_dir(&self.root, name, &path)?;
        Ok((dir.ok_or_else(|| StoreError::io(&path, Errno::ENOENT))?, path))
    }

    fn create_in(
        &self,
        tmp: BorrowedFd<'_>,
        temporary: &str,
        account: &Account,
        record: &str,
    ) -> Result<bool, StoreError> {
        let shown = self.path_of(&account.record.name);
        let failed = |errno| StoreError::io(&shown, errno);
        mkdirat(tmp, temporary, Mode::from_bits_truncate(0o700)).map_err(failed)?;
        let dir = open_private_dir(&tmp, temporary, &shown)?.ok_or_else(|| failed(Errno::ENOENT))?;
        write_new(dir.as_fd(), RECORD, &shown.join(RECORD), NEW, record.as_bytes())?;
        write_new(dir.as_fd(), STATE, &shown.join(STATE), NEW, &slot::first(&account.state))?;
        fsync(&dir).map_err(failed)?;
        let accounts =
            open_private_dir(&self.root, ACCOUNTS, &shown)?.ok_or_else(|| failed(Errno::ENOENT))?;
        let name = account.record.name.file_name();
        // Replaces no record: rename(2) does not replace a directory that is not empty, and ours are never
        // empty.
        match renameat(tmp, temporary, &accounts, name.as_str()) {
            Ok(()) => {}
            Err(Errno::EEXIST | Errno::ENOTEMPTY) => return Ok(false),
            Err(errno) => return Err(failed(errno)),
        }
        for dir in [accounts.as_fd(), tmp] {
            fsync(dir).map_err(|errno| failed(errno).unsure())?;
        }
        Ok(true)
    }
}

/// Removes leftovers of crashes from the directory of unfinished records. We hold its lock, so no other
/// process is using it.
fn sweep(tmp: BorrowedFd<'_>) {
    let Ok(dir) = entries(tmp) else { return };
    for entry in dir.flatten() {
        if let Ok(name) = entry.file_name().to_str()
            && !name.starts_with('.')
        {
            remove(tmp, name);
        }
    }
}

/// Removes an unfinished or removed record. Files that can't be removed stay for the next sweep: nothing
/// reads them.
pub(super) fn remove(tmp: BorrowedFd<'_>, name: &str) {
    if let Ok(Some(dir)) = open_private_dir(&tmp, name, Path::new(name)) {
        for file in [RECORD, RECORD_NEW, STATE] {
            let _ = unlinkat(&dir, file, UnlinkatFlags::NoRemoveDir);
        }
    }
    let _ = unlinkat(tmp, name, UnlinkatFlags::RemoveDir);
}

/// The order makes every crash harmless: a waiting marker, the key, the marker among the accounts, the marker
/// in its place. So a key without any marker belonged to a store that is missing now, and must not be
/// replaced.
fn prepare(path: &Path, key_dir: &Path) -> Result<(), StoreError> {
    let root = lock(make_root(path)?, CREATE_WAIT, |_| ())?;
    if exists(&path.join(MARKER))? {
        return Ok(());
    }
    for name in [ACCOUNTS, TEMPORARY] {
        match mkdirat(&root, name, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(StoreError::io(path.join(name), errno)),
        }
    }
    let accounts_path = path.join(ACCOUNTS);
    let accounts = open_private_dir(&root, ACCOUNTS, &accounts_path)?
        .ok_or_else(|| StoreError::io(&accounts_path, Errno::ENOENT))?;
    // Not std's reader, which panics if closing the directory fails.
    for entry in entries(&accounts).map_err(|errno| StoreError::io(&accounts_path, errno))? {
        let expected = |name: &[u8]| [&b"."[..], b"..", INNER.as_bytes()].contains(&name);
        if !entry.is_ok_and(|entry| expected(entry.file_name().to_bytes())) {
            return Err(StoreError::MarkerLost(path.to_owned()));
        }
    }
    let marker = waiting_marker(root.as_fd(), path, key_dir)?;
    let inner = accounts_path.join(INNER);
    write_new(accounts.as_fd(), INNER, &inner, ANEW, marker.as_bytes())?;
    fsync(&accounts).map_err(|errno| StoreError::io(&inner, errno))?;
    renameat(&root, WAITING, &root, MARKER).map_err(|errno| StoreError::io(path.join(MARKER), errno))?;
    fsync(&root).map_err(|errno| StoreError::io(path, errno))
}

/// The text of a waiting marker that opens with the key. Makes both if there is no key.
fn waiting_marker(root: BorrowedFd<'_>, path: &Path, key_dir: &Path) -> Result<String, StoreError> {
    let waiting = path.join(WAITING);
    let keys = open_dir(key_dir)?;
    match read_key(&keys, key_dir) {
        Ok(key) => {
            let text = std::fs::read_to_string(&waiting).unwrap_or_default();
            if key.open_text(Scope::Marker, "", &text).is_err() {
                return Err(StoreError::Emptied(path.to_owned(), key_dir.join(KEY_FILE)));
            }
            Ok(text)
        }
        Err(StoreError::KeyMissing(_)) => {
            let (key, text) = SealKey::generate()?;
            let marker = marker_text(&key, random_bytes()?)?;
            write_new(root, WAITING, &waiting, ANEW, marker.as_bytes())?;
            fsync(root).map_err(|errno| StoreError::io(path, errno))?;
            link_new(keys.as_fd(), key_dir, KEY_FILE, text.as_bytes())?;
            Ok(marker)
        }
        Err(error) => Err(error),
    }
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::std_io(path, &e)),
    }
}

fn make_root(path: &Path) -> Result<OwnedFd, StoreError> {
    match open_dir(path) {
        Err(TrustError::Missing(missing)) if missing == path => {}
        other => return Ok(other?),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(TrustError::Form(path.to_owned()).into());
    };
    let parent_fd = open_dir(parent)?;
    match mkdirat(&parent_fd, name, Mode::from_bits_truncate(0o700)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(StoreError::io(path, errno)),
    }
    fsync(&parent_fd).map_err(|errno| StoreError::io(parent, errno))?;
    Ok(open_dir(path)?)
}

/// Makes a whole file appear under an unused name.
fn link_new(dir: BorrowedFd<'_>, dir_path: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = format!(".{name}.{}", base32_encode(&random_bytes::<10>()?));
    let shown = dir_path.join(name);
    write_new(dir, &temporary, &shown, NEW, bytes)?;
    let named = match linkat(dir, temporary.as_str(), dir, name, AtFlags::empty()) {
        // No hard links, as on FAT. A rename that replaces nothing has the same effect, but not every file
        // system supports it.
        Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {
            renameat2(dir, temporary.as_str(), dir, name, RenameFlags::RENAME_NOREPLACE)
        }
        other => other,
    };
    let _ = unlinkat(dir, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
    named.map_err(|errno| match errno {
        Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOSYS => StoreError::FileSystem(shown.clone()),
        _ => StoreError::io(&shown, errno),
    })?;
    fsync(dir).map_err(|errno| StoreError::io(&shown, errno))
}
