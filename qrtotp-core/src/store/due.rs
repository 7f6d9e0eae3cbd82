//! Who was let pass to enrol and then led past the enrolment: an empty file each, `UID-NAME`, in a directory of its own. Empty,
//! and the directory made with the store, so that a full disk has room for it. A place for a note is a file that not even
//! its owner may write: it bars nobody, and changing its mode needs neither an inode nor a block.

use super::file::FileStore;
use super::sys::{entries, fchmod, fsync, lstatat, openat, unlinkat};
use super::{StoreError, open_private_dir};
use crate::account::Name;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const DUE: &str = "due";
const PLACE: Mode = Mode::S_IRUSR;
const NOTE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

impl FileStore {
    /// Makes the directory.
    pub(super) fn prepare_due(&self) -> Result<(), StoreError> {
        self.private_dir(DUE).map(|_| ())
    }

    /// What [`super::Store::due`] is here.
    pub(super) fn names_due(&self, uid: u32) -> Result<Vec<Name>, StoreError> {
        let Some((dir, path)) = self.existing()? else { return Ok(Vec::new()) };
        let all = notes(&dir).map_err(|errno| StoreError::io(&path, errno))?;
        let mut names = Vec::new();
        for note in all.into_iter().filter(|note| note.uid == uid) {
            match note.is_place(&dir) {
                Ok(true) | Err(Errno::ENOENT) => {} // forgotten meanwhile
                Ok(false) => names.push(note.name),
                Err(errno) => return Err(StoreError::io(path, errno)),
            }
        }
        Ok(names)
    }

    /// What [`super::Store::reserve_due`] is here.
    pub(super) fn reserve_place(&self, name: &Name, uid: u32) -> Result<(), StoreError> {
        let (dir, path) = self.private_dir(DUE)?;
        open_or_make(&dir, &path, name, uid, PLACE)?; // a note stays what it is
        fsync(dir).map_err(|errno| StoreError::io(path, errno).unsure())
    }

    /// What [`super::Store::note_due`] is here.
    pub(super) fn write_due(&self, name: &Name, uid: u32) -> Result<(), StoreError> {
        let (dir, path) = self.private_dir(DUE)?;
        let note = open_or_make(&dir, &path, name, uid, NOTE)?;
        // Whatever it was, and whatever the caller's umask has made of it.
        fchmod(&note, NOTE).map_err(|errno| StoreError::io(&path, errno))?;
        fsync(note).and_then(|()| fsync(dir)).map_err(|errno| StoreError::io(path, errno).unsure())
    }

    /// What [`super::Store::forget_due`] is here.
    pub(super) fn remove_due(&self, name: &Name) -> Result<bool, StoreError> {
        let Some((dir, path)) = self.existing()? else { return Ok(false) };
        let failed = |errno| StoreError::io(&path, errno);
        let mut known = false;
        for note in notes(&dir).map_err(failed)?.iter().filter(|note| note.name == *name) {
            match note.is_place(&dir).and_then(|place| unlinkat(&dir, &*note.file).map(|()| place)) {
                Ok(place) => known |= !place,
                Err(Errno::ENOENT) => known = true, // another one was faster
                Err(errno) => return Err(failed(errno)),
            }
        }
        if known {
            fsync(dir).map_err(|errno| failed(errno).unsure())?;
        }
        Ok(known)
    }

    /// `None`: nobody owes anything, as the marker proves.
    fn existing(&self) -> Result<Option<(OwnedFd, PathBuf)>, StoreError> {
        let path = self.path.join(DUE);
        let dir = open_private_dir(&self.root, DUE, &path)?;
        if dir.is_none() {
            self.check_marker()?;
        }
        Ok(dir.map(|dir| (dir, path)))
    }
}

struct Note {
    file: String,
    uid: u32,
    name: Name,
}

impl Note {
    /// Whether nothing is noted in it.
    fn is_place(&self, dir: &OwnedFd) -> Result<bool, Errno> {
        Ok(lstatat(dir, &*self.file)?.st_mode & Mode::S_IWUSR.bits() == 0)
    }
}

/// The file of a note. `made`: what it is if there was none; it may be less, by the caller's umask.
fn open_or_make(
    dir: &OwnedFd,
    path: &Path,
    name: &Name,
    uid: u32,
    made: Mode,
) -> Result<OwnedFd, StoreError> {
    let file = format!("{uid}-{}", name.file_name());
    let flags = OFlag::O_RDONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, &*file, flags, made).map_err(|errno| StoreError::io(path.join(file), errno))
}

fn notes(dir: &OwnedFd) -> Result<Vec<Note>, Errno> {
    let mut notes = Vec::new();
    for entry in entries(dir)? {
        let entry = entry.map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        let Ok(file) = entry.file_name().to_str() else { continue };
        let Some((uid, name)) = file.split_once('-') else { continue };
        if let (Ok(uid), Some(name)) = (uid.parse(), Name::from_file_name(name)) {
            notes.push(Note { file: file.to_owned(), uid, name });
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::Store;
    use crate::store::tests::empty_store;
    use std::fs;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_is_due_is_kept_for_its_account_until_it_is_forgotten() {
        let (_dir, store) = empty_store();
        let (alice, bobby) = (name("-alice"), name("bobby"));
        assert!(!store.forget_due(&alice).unwrap());
        store.note_due(&bobby, 1001).unwrap();
        for _ in 0..2 {
            store.note_due(&alice, 1000).unwrap();
            assert_eq!(store.due(1000).unwrap(), [name("-alice")]);
        }
        assert!(store.forget_due(&alice).unwrap() && !store.forget_due(&alice).unwrap());
        assert_eq!((store.due(1000).unwrap().len(), store.due(1001).unwrap()), (0, vec![bobby]));
    }

    #[test]
    fn what_is_due_is_told_to_every_name_of_the_uid_and_to_no_other_uid_of_the_name() {
        let (_dir, store) = empty_store();
        for (who, uid) in [("root", 0), ("toor", 0), ("alice", 1000), ("alice", 10_001)] {
            store.note_due(&name(who), uid).unwrap();
        }
        let mut of_root = store.due(0).unwrap();
        of_root.sort();
        assert_eq!(of_root, [name("root"), name("toor")]);
        assert_eq!((store.due(1000).unwrap(), store.due(1).unwrap()), (vec![name("alice")], vec![]));
        assert!(store.forget_due(&name("alice")).unwrap());
        assert!(store.due(1000).unwrap().is_empty() && store.due(10_001).unwrap().is_empty());
    }

    #[test]
    fn a_place_for_a_note_bars_nobody_and_is_no_second_file_once_it_is_one() {
        let (dir, store) = empty_store();
        let (alice, due) = (name("alice"), dir.path().join("state/due"));
        for _ in 0..2 {
            store.reserve_due(&alice, 1000).unwrap();
            assert!(store.due(1000).unwrap().is_empty());
        }
        assert!(!store.forget_due(&alice).unwrap(), "nothing was noted");
        assert_eq!(fs::read_dir(&due).unwrap().count(), 0);
        store.reserve_due(&alice, 1000).unwrap();
        store.note_due(&alice, 1000).unwrap();
        store.reserve_due(&alice, 1000).unwrap();
        assert_eq!(store.due(1000).unwrap(), [name("alice")], "a second login does not undo it");
        assert_eq!(fs::read_dir(&due).unwrap().count(), 1);
        assert!(store.forget_due(&alice).unwrap() && store.due(1000).unwrap().is_empty());
    }

    #[test]
    fn whatever_a_note_has_become_it_holds_and_can_be_forgotten() {
        let (dir, store) = empty_store();
        let file = dir.path().join("state/due/1000-alice");
        fs::write(file, "more than nothing").unwrap();
        assert_eq!(store.due(1000).unwrap(), [name("alice")]);
        assert!(store.forget_due(&name("alice")).unwrap());
        assert!(store.due(1000).unwrap().is_empty());
    }

    #[test]
    fn where_the_store_is_not_mounted_nobody_owes_nothing() {
        let (dir, store) = empty_store();
        let state = dir.path().join("state");
        fs::remove_file(state.join("store.toml")).unwrap();
        fs::remove_dir(state.join("due")).unwrap();
        assert!(store.due(1000).is_err() && store.forget_due(&name("alice")).is_err());
        assert!(store.note_due(&name("alice"), 1000).is_err());
        assert!(!state.join("due").exists());
    }
}
