//! The file store: one directory per account below `accounts/`. Its lock is flock(2) on that directory, which is
//! never replaced.

use super::critical::with_critical_section;
use super::lock::Locked;
use super::record::Opened;
use super::{Account, Readers, SealKey, Store, StoreError, TrustError};
use super::{entries, open_dir, open_file, open_private_dir, read_all};
use nix::fcntl::AtFlags;
use nix::sys::stat::{fstat, fstatat};
use qrtotp_account::{FailureCounter, Name, Record, State};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;
use std::time::Duration;
use zeroize::Zeroizing;

pub(super) const KEY_FILE: &str = "seal.key";
pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const TEMPORARY: &str = "tmp";
pub(super) const RECORD: &str = "account.toml";
pub(super) const STATE: &str = "state";
/// Most bytes of a key file or a marker.
pub(super) const SMALL_LIMIT: usize = 1024;
/// How long a lock is waited for: a login for another one of the same account, say.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The store in a directory of this host.
#[derive(Debug)]
pub struct FileStore {
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    pub(super) accounts: OwnedFd,
    pub(super) key: SealKey,
    pub(super) lock_wait: Duration,
    /// See [`FileStore::take_killed_holder`]; 0 for none.
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

    /// As [`FileStore::open`], where the key's directory is open already.
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

    /// The same, but a lock that is held is [`StoreError::Busy`] at once.
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

    /// Locks an account whose record is to change. Busy if the directory had another name by then: it was renamed or removed.
    pub(super) fn lock_account(&self, dir: OwnedFd, name: &Name) -> Result<Locked, StoreError> {
        let dir = self.lock(dir)?;
        let ours = fstat(&dir).map_err(|errno| StoreError::io(self.path_of(name), errno))?;
        match fstatat(&self.accounts, &*name.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => Ok(dir),
            _ => Err(StoreError::Busy),
        }
    }

    fn read_at_rest(&self, dir: OwnedFd, name: &Name) -> Result<Opened, StoreError> {
        with_critical_section(|| {
            let dir = self.lock(dir)?;
            self.read(dir.as_fd(), name)
        })
    }

    // One copy for all callers: the module's size counts.
    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<(), StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(()) };
        with_critical_section(|| {
            let dir = self.lock(dir)?;
            let mut opened = self.read(dir.as_fd(), name)?;
            // From the decision of `f` to the write there is no allocation: it could fail and end the process, so that a code was
            // judged and not counted.
            let mut state = opened.loaded.state.with_room();
            f(&opened.record, &mut state);
            // A slot that was torn is made whole again at once: until then the other one is the only one.
            if state != opened.loaded.state || !opened.loaded.both_whole {
                opened.write_state(&state)?;
            }
            Ok(())
        })
    }

    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        loop {
            let Some(dir) = self.account_dir(name)? else {
                let mut account = None;
                f(&mut account);
                match account {
                    Some(account) if !self.create(&account)? => continue, // somebody else was faster
                    _ => return Ok(()),
                }
            };
            return with_critical_section(|| {
                let dir = self.lock_account(dir, name)?;
                let mut opened = self.read_to_change(dir.as_fd(), name)?;
                let old = Account { record: opened.record.clone(), state: opened.loaded.state.clone() };
                let mut account = Some(old.clone());
                f(&mut account);
                if let Some(mut new) = account {
                    self.change(dir.as_fd(), &mut opened, &old, &mut new)?;
                }
                Ok(())
            });
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

impl Store for FileStore {
    fn key(&self) -> &SealKey {
        &self.key
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(None) };
        let opened = match self.read(dir.as_fd(), name) {
            // Perhaps it was only being written, twice while we looked.
            Err(error) if error.is_record_fault() => self.read_at_rest(dir, name)?,
            other => other?,
        };
        Ok(Some(Account { record: opened.record, state: opened.loaded.state }))
    }

    fn update_state<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&Record, &mut State) -> T,
    ) -> Result<Option<T>, StoreError> {
        let mut result = None;
        self.change_state(name, &mut |record, state| result = Some(f(record, state)))?;
        Ok(result)
    }

    fn simulate(&self, f: impl FnOnce(&Record, &mut State)) {
        self.use_decoy(f);
    }

    fn update_account<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&mut Option<Account>) -> T,
    ) -> Result<T, StoreError> {
        let mut result = None;
        self.change_account(name, &mut |account| result = Some(f(account)))?;
        result.ok_or(StoreError::Busy) // always there: it ran at least once
    }

    fn update_primary<T>(
        &self,
        name: &Name,
        f: impl FnMut(&mut FailureCounter) -> T,
    ) -> Result<T, StoreError> {
        self.change_primary(name, f)
    }
}
