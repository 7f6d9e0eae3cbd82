//! Who was let pass to enrol and then led past the enrolment: a file each, with the uid, in a directory of its own.

use super::file::FileStore;
use super::record::write_new;
use super::sys::{fsync, unlinkat};
use super::{Readers, StoreError, TrustError, open_file, open_private_dir, read_all};
use crate::account::Name;
use nix::errno::Errno;
use nix::fcntl::OFlag;

const DUE: &str = "due";
/// Bytes; a uid in decimal and a newline.
const LIMIT: usize = 16;

impl FileStore {
    /// What [`super::Store::is_due`] is here.
    pub(super) fn due_is_noted(&self, name: &Name, uid: Option<u32>) -> Result<bool, StoreError> {
        let path = self.path.join(DUE);
        let Some(dir) = open_private_dir(&self.root, DUE, &path)? else {
            self.check_marker()?;
            return Ok(false);
        };
        let file = name.file_name().to_string();
        let shown = path.join(&file);
        let text = match open_file(dir, &file, &shown, false, Readers::OwnerOnly) {
            Err(TrustError::Missing(_)) => return Ok(false),
            opened => read_all(&opened?, &shown, LIMIT)?,
        };
        // A crash may have left less than a uid: that one is everybody's.
        let noted =
            std::str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n')?.parse::<u32>().ok());
        Ok(noted.is_none() || uid.is_none() || noted == uid)
    }

    /// What [`super::Store::note_due`] is here.
    pub(super) fn write_due(&self, name: &Name, uid: u32) -> Result<(), StoreError> {
        if self.due_is_noted(name, Some(uid))? {
            return Ok(());
        }
        let (dir, path) = self.private_dir(DUE)?;
        let file = name.file_name().to_string();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        write_new(&dir, &file, &path.join(&file), flags, format!("{uid}\n").as_bytes())?;
        fsync(dir).map_err(|errno| StoreError::io(path, errno).unsure())
    }

    /// What [`super::Store::forget_due`] is here.
    pub(super) fn remove_due(&self, name: &Name) -> Result<(), StoreError> {
        if !self.due_is_noted(name, None)? {
            return Ok(());
        }
        let (dir, path) = self.private_dir(DUE)?;
        match unlinkat(&dir, &*name.file_name()) {
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

    const UID: u32 = 1000;

    #[test]
    fn what_is_due_is_kept_for_its_account_until_it_is_forgotten() {
        let (dir, store) = empty_store();
        let (alice, bobby) = (Name::new("alice").unwrap(), Name::new("bobby").unwrap());
        assert!(!store.is_due(&alice, Some(UID)).unwrap());
        store.forget_due(&alice).unwrap();
        assert!(!dir.path().join("state/due").exists(), "nothing is made for nothing");
        for _ in 0..2 {
            store.note_due(&alice, UID).unwrap();
            assert!(store.is_due(&alice, Some(UID)).unwrap() && !store.is_due(&bobby, Some(UID)).unwrap());
        }
        for _ in 0..2 {
            store.forget_due(&alice).unwrap();
            assert!(!store.is_due(&alice, Some(UID)).unwrap());
        }
    }

    #[test]
    fn what_is_due_is_nobody_elses_who_has_the_name_now() {
        let (_dir, store) = empty_store();
        let alice = Name::new("alice").unwrap();
        store.note_due(&alice, 10_001).unwrap();
        assert!(!store.is_due(&alice, Some(UID)).unwrap());
        assert!(store.is_due(&alice, None).unwrap(), "where only the name is known");
        store.note_due(&alice, UID).unwrap();
        assert!(store.is_due(&alice, Some(UID)).unwrap());
        store.forget_due(&alice).unwrap();
        assert!(!store.is_due(&alice, None).unwrap());
    }

    #[test]
    fn a_note_that_a_crash_cut_short_holds_for_whoever_has_the_name() {
        let (dir, store) = empty_store();
        let alice = Name::new("alice").unwrap();
        store.note_due(&alice, UID).unwrap();
        for text in ["", "100", "-1\n", "4294967296\n"] {
            fs::write(dir.path().join("state/due/alice"), text).unwrap();
            assert!(store.is_due(&alice, Some(UID)).unwrap(), "{text:?}");
        }
        store.forget_due(&alice).unwrap();
        assert!(!store.is_due(&alice, Some(UID)).unwrap());
    }

    #[test]
    fn where_the_store_is_not_mounted_nobody_owes_nothing() {
        let (dir, store) = empty_store();
        fs::remove_file(dir.path().join("state/store.toml")).unwrap();
        let alice = Name::new("alice").unwrap();
        assert!(store.is_due(&alice, Some(UID)).is_err());
        assert!(store.note_due(&alice, UID).is_err());
        assert!(!dir.path().join("state/due").exists());
    }
}
