//! Failures of the primary factor, as the broker counts them: a small file per account that has any, in a directory of its
//! own. Its lock is the directory's.

use super::critical::undisturbed;
use super::file::FileStore;
use super::lock::lock;
use super::record::{ANEW, write_new};
use super::sys::{fsync, renameat, unlinkat};
use super::{Readers, StoreError, TrustError, open_file, read_all};
use crate::account::{Lane, Name};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PRIMARY: &str = "primary";
/// No account's spelling, for a `%` is followed by digits in those.
const NEW: &str = "%new";
const FORM: &str = "qrtotp-primary-1";
const LIMIT: usize = 128;
const WAIT: Duration = Duration::from_secs(5);

impl FileStore {
    /// What [`super::Store::update_primary`] is here.
    pub(super) fn change_primary<T>(
        &self,
        name: &Name,
        mut f: impl FnMut(&mut Lane) -> T,
    ) -> Result<T, StoreError> {
        let (dir, path) = self.private_dir(PRIMARY)?;
        undisturbed(|| {
            let dir = lock(dir, WAIT)?;
            let old = read(dir.as_fd(), name, &path)?;
            let mut new = old;
            let result = f(&mut new);
            if new != old {
                replace(dir.as_fd(), name, &path, new)?;
            }
            Ok(result)
        })
    }
}

fn read(dir: BorrowedFd<'_>, name: &Name, path: &Path) -> Result<Lane, StoreError> {
    let (file, shown) = file_of(name, path);
    let bytes = match open_file(dir, &file, &shown, false, Readers::OwnerOnly) {
        Err(TrustError::Missing(_)) => return Ok(Lane::default()),
        opened => read_all(&opened?, &shown, LIMIT)?,
    };
    let lane = std::str::from_utf8(&bytes).ok().and_then(parse);
    lane.ok_or_else(|| {
        TrustError::Untrusted { path: shown, why: "holds no count of failures; remove it" }.into()
    })
}

fn parse(text: &str) -> Option<Lane> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    if words.next() != Some(FORM) {
        return None;
    }
    let lane = Lane { failures: words.next()?.parse().ok()?, last_failure: words.next()?.parse().ok()? };
    words.next().is_none().then_some(lane)
}

/// A count of nothing is no file.
fn replace(dir: BorrowedFd<'_>, name: &Name, path: &Path, lane: Lane) -> Result<(), StoreError> {
    let (file, shown) = file_of(name, path);
    let replaced = if lane == Lane::default() {
        unlinkat(dir, &file)
    } else {
        let text = format!("{FORM} {} {}\n", lane.failures, lane.last_failure);
        write_new(dir, NEW, &path.join(NEW), ANEW, text.as_bytes())?;
        renameat(dir, NEW, dir, &file)
    };
    replaced.map_err(|errno| StoreError::io(&shown, errno))?;
    fsync(dir).map_err(|errno| StoreError::io(&shown, errno).unsure())
}

fn file_of(name: &Name, path: &Path) -> (String, PathBuf) {
    let file = name.file_name().to_string();
    let shown = path.join(&file);
    (file, shown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::Store;
    use crate::store::tests::empty_store;
    use std::fs;

    #[test]
    fn failures_are_kept_for_their_account_and_a_count_of_nothing_is_no_file() {
        let (dir, store) = empty_store();
        let (alice, dots) = (Name::new("alice").unwrap(), Name::new("..").unwrap());
        for at in [10, 20] {
            store.update_primary(&alice, |lane| lane.fail(at)).unwrap();
        }
        store.update_primary(&dots, |lane| lane.fail(30)).unwrap();
        drop(store);
        let store = FileStore::open(&dir.path().join("state"), dir.path()).unwrap();
        let seen = store.update_primary(&alice, |lane| *lane).unwrap();
        assert_eq!(seen, Lane { failures: 2, last_failure: 20 });
        store.update_primary(&alice, std::mem::take).unwrap();
        assert_eq!(store.update_primary(&alice, |lane| lane.failures).unwrap(), 0);
        let left = fs::read_dir(dir.path().join("state/primary")).unwrap().count();
        assert_eq!(left, 1, "only the other account's");
    }

    #[test]
    fn a_damaged_count_is_an_error_and_never_a_count_of_nothing() {
        let (dir, store) = empty_store();
        let alice = Name::new("alice").unwrap();
        store.update_primary(&alice, |lane| lane.fail(10)).unwrap();
        let path = dir.path().join("state/primary/alice");
        for text in ["", "qrtotp-primary-1 0 1", "qrtotp-primary-2 3 1\n", "qrtotp-primary-1 3 1 1\n"] {
            fs::write(&path, text).unwrap();
            assert!(store.update_primary(&alice, |lane| lane.failures).is_err(), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_made_where_the_store_is_not_mounted() {
        let (dir, store) = empty_store();
        let state = dir.path().join("state");
        fs::remove_file(state.join("store.toml")).unwrap();
        assert!(store.update_primary(&Name::new("alice").unwrap(), |lane| lane.fail(1)).is_err());
        assert!(!state.join("primary").exists());
    }
}
