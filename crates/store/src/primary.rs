//! Failures of the primary factor, as the broker counts them: a small file per account, in a separate
//! directory. An account's first failure makes its file; later ones overwrite it in place, so its flock(2) is
//! the account's lock.

use super::critical::with_critical_section;
use super::file::FileStore;
use super::{PrimaryFailures, Readers, StoreError, TrustError, TrustedFile, open_file, read_all};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fdatasync, fsync, unlinkat};
use qrtotp_account::{FailureCounter, Name};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

const PRIMARY: &str = "primary";
const FORM: &str = "qrtotp-primary-1";
const LIMIT: usize = 128;
const MADE: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl PrimaryFailures for FileStore {
    fn update_primary(&self, name: &Name, f: &mut dyn FnMut(&mut FailureCounter)) -> Result<(), StoreError> {
        let (dir, path) = self.private_dir(PRIMARY)?;
        let file_name = name.file_name();
        let path = path.join(&file_name);
        loop {
            match open_file(&dir, &file_name, &path, true, Readers::OwnerOnly) {
                Ok(file) => return self.change_file(&dir, &file, &path, f),
                Err(TrustError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let mut lane = FailureCounter::default();
            f(&mut lane);
            if lane == FailureCounter::default() {
                return Ok(());
            }
            let made = openat(&dir, &*file_name, MADE, Mode::from_bits_truncate(0o600));
            made.map_err(|errno| StoreError::io(&path, errno))?;
        }
    }
}

impl FileStore {
    /// Forgets the failures of an account that was renamed or removed.
    ///
    /// # Errors
    /// The store can't be trusted or written.
    pub fn forget_primary(&self, name: &Name) -> Result<(), StoreError> {
        let (dir, path) = self.private_dir(PRIMARY)?;
        match unlinkat(&dir, &*name.file_name(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(StoreError::io(path.join(name.file_name()), errno)),
        }
    }

    fn change_file(
        &self,
        dir: &OwnedFd,
        file: &TrustedFile,
        path: &Path,
        f: &mut dyn FnMut(&mut FailureCounter),
    ) -> Result<(), StoreError> {
        let file_to_lock = file.as_fd().try_clone_to_owned().map_err(|e| StoreError::std_io(path, &e))?;
        with_critical_section(|| {
            let _locked = self.lock(file_to_lock)?;
            let old = read(file, path)?;
            let mut new = old;
            f(&mut new);
            if new != old {
                // Of the same length for all numbers, so nothing of the old text remains.
                let text = format!("{FORM} {:<10} {:<20}\n", new.failures, new.last_failure);
                file.file
                    .write_all_at(text.as_bytes(), 0)
                    .map_err(|error| StoreError::std_io(path, &error))?;
                // The directory, too: the process that made the file may have been killed just after.
                let kept = fdatasync(file).and_then(|()| fsync(dir));
                kept.map_err(|errno| StoreError::io(path, errno).unsure())?;
            }
            Ok(())
        })
    }
}

/// An empty file was made for a first failure that was not counted yet.
fn read(file: &TrustedFile, path: &Path) -> Result<FailureCounter, StoreError> {
    let bytes = read_all(file, path, LIMIT)?;
    let lane = if bytes.is_empty() { Some(FailureCounter::default()) } else { parse(&bytes) };
    lane.ok_or_else(|| {
        let why = "holds no count of failures; remove it";
        TrustError::Untrusted { path: path.to_owned(), why }.into()
    })
}

fn parse(bytes: &[u8]) -> Option<FailureCounter> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some(FORM) {
        return None;
    }
    let lane =
        FailureCounter { failures: words.next()?.parse().ok()?, last_failure: words.next()?.parse().ok()? };
    words.next().is_none().then_some(lane)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tests::empty_store;
    use std::fs;

    fn update<T>(
        store: &FileStore,
        name: &Name,
        mut f: impl FnMut(&mut FailureCounter) -> T,
    ) -> Result<T, StoreError> {
        let mut result = None;
        store.update_primary(name, &mut |lane| result = Some(f(lane)))?;
        Ok(result.unwrap())
    }

    #[test]
    fn failures_are_kept_for_their_account_and_no_failure_makes_no_file() {
        let (dir, store) = empty_store();
        let (alice, dots) = (Name::new("alice").unwrap(), Name::new("..").unwrap());
        for at in [10, 20] {
            update(&store, &alice, |lane| lane.fail(at)).unwrap();
        }
        update(&store, &dots, |lane| lane.fail(30)).unwrap();
        drop(store);
        let store = FileStore::open(&dir.path().join("state"), dir.path()).unwrap();
        let seen = update(&store, &alice, |lane| *lane).unwrap();
        assert_eq!(seen, FailureCounter { failures: 2, last_failure: 20 });
        update(&store, &alice, std::mem::take).unwrap();
        assert_eq!(update(&store, &alice, |lane| lane.failures).unwrap(), 0);
        assert_eq!(
            update(&store, &Name::new("bob").unwrap(), std::mem::take).unwrap(),
            FailureCounter::default()
        );
        let files = fs::read_dir(dir.path().join("state/primary")).unwrap().count();
        assert_eq!(files, 2, "none for bob");
    }

    #[test]
    fn a_damaged_count_is_an_error_and_never_a_count_of_nothing() {
        let (dir, store) = empty_store();
        let alice = Name::new("alice").unwrap();
        update(&store, &alice, |lane| lane.fail(10)).unwrap();
        let path = dir.path().join("state/primary/alice");
        for text in ["\n", "qrtotp-primary-1 0 1", "qrtotp-primary-2 3 1\n", "qrtotp-primary-1 3 1 1\n"] {
            fs::write(&path, text).unwrap();
            assert!(update(&store, &alice, |lane| lane.failures).is_err(), "{text:?}");
        }
        for (text, failures) in [("", 0), ("qrtotp-primary-1 3 1\n", 3)] {
            fs::write(&path, text).unwrap();
            assert_eq!(update(&store, &alice, |lane| lane.failures).unwrap(), failures, "{text:?}");
        }
    }

    #[test]
    fn an_account_whose_count_is_locked_holds_up_no_other() {
        let (_dir, store) = empty_store();
        let store = store.without_waiting();
        let [alice, bob] = ["alice", "bob"].map(|name| Name::new(name).unwrap());
        update(&store, &alice, |lane| lane.fail(10)).unwrap();
        let inside = update(&store, &alice, |lane| {
            lane.fail(20);
            let again = update(&store, &alice, |lane| lane.failures);
            (matches!(again, Err(StoreError::Busy)), update(&store, &bob, |lane| lane.fail(30)))
        });
        assert!(matches!(inside, Ok((true, Ok(())))), "{inside:?}");
        assert_eq!(update(&store, &alice, |lane| lane.failures).unwrap(), 2);
        assert_eq!(update(&store, &bob, |lane| lane.failures).unwrap(), 1);
    }

    #[test]
    fn failures_counted_at_once_all_count() {
        let (dir, _) = empty_store();
        let open = || FileStore::open(&dir.path().join("state"), dir.path()).unwrap();
        let alice = Name::new("alice").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| update(&open(), &alice, |lane| lane.fail(10)).unwrap());
            }
        });
        assert_eq!(update(&open(), &alice, |lane| lane.failures).unwrap(), 8);
    }

    #[test]
    fn nothing_is_made_where_the_store_is_not_mounted() {
        let (dir, store) = empty_store();
        let state = dir.path().join("state");
        fs::remove_file(state.join("store.toml")).unwrap();
        assert!(update(&store, &Name::new("alice").unwrap(), |lane| lane.fail(1)).is_err());
        assert!(!state.join("primary").exists());
    }
}
