//! The file store: one directory per account below `accounts/`. Its lock is flock(2) on that directory, which is
//! never replaced.

use super::critical::undisturbed;
use super::lock::lock;
use super::{Account, Readers, Scope, SealKey, Store, StoreError, TrustError, slot};
use super::{open_dir, open_file, open_private_dir, read_all, read_exact};
use crate::account::{KeyId, Name, Record, State};
use crate::otp::{base32_decode, base32_encode};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::fsync;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const KEY_FILE: &str = "seal.key";
pub(super) const MARKER: &str = "store.toml";
pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const TEMPORARY: &str = "tmp";
pub(super) const RECORD: &str = "account.toml";
pub(super) const STATE: &str = "state";
const RECORD_NEW: &str = "account.toml.new";
/// Most bytes of an `account.toml`: 32 credentials and a token are some 12 kB.
const RECORD_LIMIT: usize = 32 * 1024;
const SMALL_LIMIT: usize = 1024;
/// How long a login waits for another one of the same account.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The store in a directory of this host.
#[derive(Debug)]
pub struct FileStore {
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    accounts: OwnedFd,
    pub(super) key: SealKey,
}

/// The marker: a directory that opens with our key is our store, and an account without a record there is un-enrolled.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    version: u32,
    store: String,
    key: String,
}

impl Marker {
    pub(super) fn text(key: &SealKey, store: [u8; 16]) -> Result<String, StoreError> {
        let marker = Self { version: 1, store: base32_encode(&store), key: key.id().to_string() };
        let failed = || StoreError::Marker(MARKER.into());
        let text = toml::to_string(&marker).map_err(|_| failed())?;
        key.seal_text(Scope::Marker, "", &text).map_err(|_| failed())
    }
}

/// Reads the sealing key beside the configuration.
///
/// # Errors
/// Missing, readable by others, or not a key.
pub(super) fn read_key(dir: impl AsFd, dir_path: &Path) -> Result<SealKey, StoreError> {
    let path = dir_path.join(KEY_FILE);
    let file = match open_file(dir, KEY_FILE, &path, false, Readers::OwnerOnly) {
        Err(TrustError::Missing(path)) => return Err(StoreError::KeyMissing(path)),
        other => other?,
    };
    let text = read_all(file, &path, SMALL_LIMIT)?;
    SealKey::parse(&text).map_err(|_| StoreError::KeyDamaged(path))
}

impl FileStore {
    /// Opens the store in `path` with the key in the directory `key_dir`.
    ///
    /// # Errors
    /// A directory is missing or can't be trusted; no key.
    pub fn open(path: &Path, key_dir: &Path) -> Result<Self, StoreError> {
        let key = read_key(open_dir(key_dir)?, key_dir)?;
        Self::open_with_key(path, key)
    }

    pub(super) fn open_with_key(path: &Path, key: SealKey) -> Result<Self, StoreError> {
        let root = match open_dir(path) {
            Err(TrustError::Missing(path)) => return Err(StoreError::Missing(path)),
            other => other?,
        };
        let accounts = path.join(ACCOUNTS);
        let accounts = open_private_dir(&root, ACCOUNTS, &accounts)?
            .ok_or_else(|| StoreError::Missing(accounts.clone()))?;
        Ok(Self { path: path.to_owned(), root, accounts, key })
    }

    pub(super) fn path_of(&self, name: &Name) -> PathBuf {
        self.path.join(ACCOUNTS).join(name.file_name())
    }

    /// Proves that this directory is the store that the key belongs to.
    ///
    /// # Errors
    /// The marker is missing, damaged, or of another key.
    pub fn check_marker(&self) -> Result<(), StoreError> {
        let path = self.path.join(MARKER);
        let file = match open_file(&self.root, MARKER, &path, false, Readers::OwnerOnly) {
            Err(TrustError::Missing(path)) => return Err(StoreError::Missing(path)),
            other => other?,
        };
        let bytes = read_all(file, &path, SMALL_LIMIT)?;
        let damaged = || StoreError::Marker(path.clone());
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        // Read before the seal is checked, for one purpose: to name the key that is missing.
        let (_, body) = text.split_once('\n').ok_or_else(damaged)?;
        let marker: Marker = toml::from_str(body).map_err(|_| damaged())?;
        let expected: KeyId = marker.key.parse().map_err(|_| damaged())?;
        if expected != self.key.id() {
            return Err(StoreError::WrongKey { path, expected, found: self.key.id() });
        }
        self.key.open_text(Scope::Marker, "", text).map_err(|_| damaged())?;
        if marker.version != 1 || base32_decode(&marker.store).is_err() {
            return Err(damaged());
        }
        Ok(())
    }

    /// The account's directory; `None` if it has none and the marker proves that this is the right store.
    fn account_dir(&self, name: &Name) -> Result<Option<OwnedFd>, StoreError> {
        let dir = open_private_dir(&self.accounts, &name.file_name(), &self.path_of(name))?;
        if dir.is_none() {
            self.check_marker()?;
        }
        Ok(dir)
    }

    pub(super) fn read(&self, dir: impl AsFd + Copy, name: &Name) -> Result<Opened, StoreError> {
        let base = self.path_of(name);
        let at_fault = |error| match error {
            TrustError::Missing(path) => StoreError::Incomplete(path),
            TrustError::Untrusted { path, why } => StoreError::Damaged { path, why },
            TrustError::Link(path) => StoreError::Damaged { path, why: "it is a symbolic link" },
            TrustError::TooLarge(path) => StoreError::Damaged { path, why: "it is too large" },
            other @ (TrustError::Form(_) | TrustError::Io { .. }) => other.into(),
        };
        let path = base.join(RECORD);
        let file = open_file(dir, RECORD, &path, false, Readers::OwnerOnly).map_err(at_fault)?;
        let bytes = read_all(file, &path, RECORD_LIMIT).map_err(at_fault)?;
        let damaged = |why| StoreError::Damaged { path: path.clone(), why };
        let sealed = std::str::from_utf8(&bytes).map_err(|_| damaged("not text"))?;
        let text = self.key.open_text(Scope::Account, name.as_str(), sealed).map_err(|_| {
            // Not every record is damaged at once: the key is the likelier culprit, and the marker tells.
            self.check_marker().err().unwrap_or_else(|| damaged("its seal does not open"))
        })?;
        let record = Record::from_toml(text).map_err(|_| damaged("not a record of a known version"))?;
        if record.name != *name {
            return Err(damaged("it belongs to another account"));
        }
        let path = base.join(STATE);
        let file = open_file(dir, STATE, &path, true, Readers::OwnerOnly);
        let file = match file {
            // A read-only disk must still tell what is wrong, and a `status` must work on it.
            Err(TrustError::Io { errno: Errno::EROFS, .. }) => {
                open_file(dir, STATE, &path, false, Readers::OwnerOnly)
            }
            other => other,
        }
        .map_err(at_fault)?;
        let damaged = |why| StoreError::Damaged { path: path.clone(), why };
        let slot = |number: u64| read_exact::<{ slot::USED }>(&file, number * slot::SLOT as u64, &path);
        let (Some(first), Some(second)) = (slot(0)?, slot(1)?) else {
            return Err(damaged("it has a wrong size"));
        };
        let loaded = slot::load(&first, &second).map_err(|_| damaged("no slot of it is whole"))?;
        if loaded.state.record != record.id {
            return Err(damaged("it belongs to another record"));
        }
        Ok(Opened { record, loaded, file })
    }

    /// The names of all accounts that have a record, in no order.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn names(&self) -> Result<impl Iterator<Item = Name>, StoreError> {
        self.check_marker()?;
        let shown = self.path.join(ACCOUNTS);
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let dir = Dir::openat(&self.accounts, ".", flags, Mode::empty())
            .map_err(|errno| StoreError::io(shown, errno))?;
        Ok(dir.into_iter().filter_map(|entry| Name::from_file_name(entry.ok()?.file_name().to_str().ok()?)))
    }

    pub(super) fn write_state(
        &self,
        name: &Name,
        opened: &mut Opened,
        state: &State,
    ) -> Result<(), StoreError> {
        let path = self.path_of(name).join(STATE);
        let (offset, bytes) = opened.loaded.succeed(state);
        // A file on a read-only disk was opened for reading only, which is what EBADF then says.
        let failed = |e: std::io::Error| match StoreError::std_io(&path, &e) {
            StoreError::Io { path, errno: Errno::EBADF } => StoreError::Io { path, errno: Errno::EROFS },
            other => other,
        };
        opened.file.write_all_at(&bytes, offset).map_err(failed)?;
        opened.file.sync_data().map_err(failed)
    }

    pub(super) fn record_text(&self, record: &Record) -> Result<String, StoreError> {
        let damaged = |why| StoreError::Damaged { path: self.path_of(&record.name).join(RECORD), why };
        let text = record.to_toml().map_err(|_| damaged("it can't be written"))?;
        self.key
            .seal_text(Scope::Account, record.name.as_str(), &text)
            .map_err(|_| damaged("it can't be sealed"))
    }

    fn replace_record(&self, dir: impl AsFd + Copy, record: &Record) -> Result<(), StoreError> {
        let path = self.path_of(&record.name).join(RECORD_NEW);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        write_new(dir, RECORD_NEW, &path, flags, self.record_text(record)?.as_bytes())?;
        renameat(dir, RECORD_NEW, dir, RECORD).map_err(|e| StoreError::io(&path, e))?;
        fsync(dir).map_err(|e| StoreError::io(&path, e))
    }

    fn change(
        &self,
        dir: impl AsFd + Copy,
        opened: &mut Opened,
        old: &Account,
        new: &mut Account,
    ) -> Result<(), StoreError> {
        // Marks first: if the power goes now, marks of unknown credentials harm nobody, while a credential without its
        // mark would accept its enrolment code again. What else changed waits until the record is kept.
        new.state.retain(|id| old.record.credential(id).or(new.record.credential(id)).is_some());
        if new.record != old.record {
            let mut marks = new.state.clone();
            marks.throttle = old.state.throttle;
            if marks != old.state {
                self.write_state(&new.record.name, opened, &marks)?;
            }
            self.replace_record(dir, &new.record)?;
        }
        if new.state != opened.loaded.state {
            self.write_state(&new.record.name, opened, &new.state)?;
        }
        Ok(())
    }
}

/// A record that was read, and its state file for writing.
pub(super) struct Opened {
    pub(super) record: Record,
    pub(super) loaded: slot::Loaded,
    file: File,
}

/// Makes a file of mode 0600 with this content and syncs it. On failure no such file is left.
pub(super) fn write_new(
    dir: impl AsFd + Copy,
    name: &str,
    shown: &Path,
    flags: OFlag,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let fd =
        openat(dir, name, flags, Mode::from_bits_truncate(0o600)).map_err(|e| StoreError::io(shown, e))?;
    let mut file = File::from(fd);
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| {
        let _ = nix::unistd::unlinkat(dir, name, nix::unistd::UnlinkatFlags::NoRemoveDir);
        StoreError::std_io(shown, &e)
    })
}

impl Store for FileStore {
    fn key(&self) -> &SealKey {
        &self.key
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(None) };
        let opened = self.read(dir.as_fd(), name)?;
        Ok(Some(Account { record: opened.record, state: opened.loaded.state }))
    }

    fn update_state<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&Record, &mut State) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(None) };
        undisturbed(|| {
            let dir = lock(dir, LOCK_WAIT)?;
            let mut opened = self.read(dir.as_fd(), name)?;
            let mut state = opened.loaded.state.clone();
            let result = f(&opened.record, &mut state);
            if state != opened.loaded.state {
                self.write_state(name, &mut opened, &state)?;
            }
            Ok(Some(result))
        })
    }

    fn pretend(&self, f: impl FnOnce(&Record, &mut State)) {
        self.use_decoy(f);
    }

    fn update_account<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&mut Option<Account>) -> T,
    ) -> Result<T, StoreError> {
        loop {
            let Some(dir) = self.account_dir(name)? else {
                let mut account = None;
                let result = f(&mut account);
                match account {
                    Some(account) if !self.create(&account)? => continue, // somebody else was faster
                    _ => return Ok(result),
                }
            };
            return undisturbed(|| {
                let dir = lock(dir, LOCK_WAIT)?;
                let mut opened = self.read(dir.as_fd(), name)?;
                let old = Account { record: opened.record.clone(), state: opened.loaded.state.clone() };
                let mut account = Some(old.clone());
                let result = f(&mut account);
                if let Some(mut new) = account {
                    self.change(dir.as_fd(), &mut opened, &old, &mut new)?;
                }
                Ok(result)
            });
        }
    }
}
