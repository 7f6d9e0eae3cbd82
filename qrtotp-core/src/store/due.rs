//! Who was let pass to enrol and then led past the enrolment: an empty file each, in a directory of its own.

use super::file::FileStore;
use super::sys::{fsync, lstatat, openat, unlinkat};
use super::{StoreError, open_private_dir};
use crate::account::Name;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

const DUE: &str = "due";

impl FileStore {
    /// What [`super::Store::is_due`] is here.
    pub(super) fn due_is_noted(&self, name: &Name) -> Result<bool, StoreError> {
        let path = self.path.join(DUE);
        let Some(dir) = open_private_dir(&self.root, DUE, &path)? else {
            self.check_marker()?;
            return Ok(false);
        };
        match lstatat(dir, &*name.file_name()) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(StoreError::io(path, errno)),
        }
    }

    /// What [`super::Store::set_due`] is here.
    pub(super) fn note_due(&self, name: &Name, due: bool) -> Result<(), StoreError> {
        if self.due_is_noted(name)? == due {
            return Ok(());
        }
        let (dir, path) = self.private_dir(DUE)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let changed = match due {
            true => openat(&dir, &*name.file_name(), flags, Mode::from_bits_truncate(0o600)).map(drop),
            false => unlinkat(&dir, &*name.file_name()),
        };
        match changed {
            Ok(()) | Err(Errno::ENOENT) => {} // another one was faster
            Err(errno) => return Err(StoreError::io(path, errno)),
        }
        fsync(dir).map_err(|errno| StoreError::io(path, errno).unsure())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::Store;
    use crate::store::tests::empty_store;
    use std::fs;

    #[test]
    fn what_is_due_is_kept_for_its_account_until_it_is_forgotten() {
        let (dir, store) = empty_store();
        let (alice, bobby) = (Name::new("alice").unwrap(), Name::new("bobby").unwrap());
        assert!(!store.is_due(&alice).unwrap());
        store.set_due(&alice, false).unwrap();
        assert!(!dir.path().join("state/due").exists(), "nothing is made for nothing");
        for _ in 0..2 {
            store.set_due(&alice, true).unwrap();
            assert!(store.is_due(&alice).unwrap() && !store.is_due(&bobby).unwrap());
        }
        for _ in 0..2 {
            store.set_due(&alice, false).unwrap();
            assert!(!store.is_due(&alice).unwrap());
        }
    }

    #[test]
    fn where_the_store_is_not_mounted_nobody_owes_nothing() {
        let (dir, store) = empty_store();
        fs::remove_file(dir.path().join("state/store.toml")).unwrap();
        let alice = Name::new("alice").unwrap();
        assert!(store.is_due(&alice).is_err());
        assert!(store.set_due(&alice, true).is_err());
        assert!(!dir.path().join("state/due").exists());
    }
}
