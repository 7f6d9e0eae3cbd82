//! A verifier's changes that time does not heal: records, hosts, tokens, policy, used recovery codes.
//! After a restored backup these changes are made again.
//!
//! A file of sealed lines. A line is synced before its change is acknowledged. The daemon and commands beside
//! it add lines, each under a short lock of the file. The daemon drops lines that newer ones of the same key
//! have replaced: nothing reads them.

use crate::bytes::{Malformed, Reader, put_bytes};
use crate::error::FleetError;
use crate::renewed::renewed;
use crate::ring::{Ring, StoreId};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The name that lines are sealed for.
const SEALED_AS: &str = "journal";
const FILE: &str = "journal";
/// A journal of fewer bytes keeps all its lines.
const SMALL: u64 = 1 << 20;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JournalLine {
    /// The store's generation and the revision of the change: the order of changes.
    pub at: (u64, i64),
    pub key: String,
    /// The bytes under the seal. None: the key was removed.
    pub value: Option<Vec<u8>>,
}

impl JournalLine {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.value.is_some())];
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&self.at.1.to_le_bytes());
        put_bytes(&mut out, self.key.as_bytes());
        out.extend_from_slice(self.value.as_deref().unwrap_or_default());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Reader(bytes);
        let has_value = bytes.byte()? == 1;
        let (at, key) = ((bytes.unsigned()?, bytes.signed()?), bytes.text()?);
        Ok(Self { at, key, value: has_value.then(|| bytes.0.to_vec()) })
    }
}

/// A verifier's own journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal in a directory, and makes it if there is none.
    pub fn open(directory: &Path) -> Result<Self, FleetError> {
        let path = directory.join(FILE);
        let failed = |error| failed(&path, &error);
        let mut file = open_file(&path).map_err(failed)?;
        lock_present(&mut file, &path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        // A crash can leave a part of the last line, whose change was not acknowledged.
        let whole = bytes.len() - lines(&bytes).1.len();
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        file.unlock().map_err(failed)?;
        Ok(Self { path, file: Mutex::new(file) })
    }

    /// Adds lines, and syncs them.
    pub fn add(&self, ring: &Ring, store: &StoreId, new: &[JournalLine]) -> Result<(), FleetError> {
        let bytes = sealed(ring, store, new)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = || {
            lock_present(&mut file, &self.path)?;
            let written = file.write_all(&bytes).and_then(|()| file.sync_data());
            file.unlock().and(written)
        };
        write().map_err(|error| failed(&self.path, &error))
    }

    /// Keeps only the newest line of each key, if the journal is long.
    pub fn compact(&self, ring: &Ring, store: &StoreId) -> Result<(), FleetError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| failed(&self.path, &error);
        lock_present(&mut file, &self.path).map_err(failed)?;
        let compacted = self.compacted(&file, ring, store);
        file.unlock().map_err(failed)?;
        if let Some(new) = compacted? {
            *file = new;
        }
        Ok(())
    }

    /// The new file, in the place of the old one; `None`: it stays.
    fn compacted(&self, file: &File, ring: &Ring, store: &StoreId) -> Result<Option<File>, FleetError> {
        let failed = |error| failed(&self.path, &error);
        if file.metadata().map_err(failed)?.len() < SMALL {
            return Ok(None);
        }
        let kept = newest(ring, store, std::slice::from_ref(&self.path))?;
        let bytes = sealed(ring, store, &kept.into_values().collect::<Vec<_>>())?;
        let path = self.path.with_extension("new");
        let write = || {
            let _ = std::fs::remove_file(&path); // of a process that was killed
            let mut new = open_file(&path)?;
            new.write_all(&bytes)?;
            new.sync_all()?;
            std::fs::rename(&path, &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
            Ok(new)
        };
        write().map(Some).map_err(failed)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn open_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)
}

/// Locks the journal. If the daemon has put another file in its place meanwhile, `file` is that one.
fn lock_present(file: &mut File, path: &Path) -> std::io::Result<()> {
    loop {
        file.lock()?;
        let (ours, present) = (file.metadata()?, std::fs::metadata(path)?);
        if (ours.dev(), ours.ino()) == (present.dev(), present.ino()) {
            return Ok(());
        }
        *file = open_file(path)?;
    }
}

/// Lines as they stand in the file.
fn sealed(ring: &Ring, store: &StoreId, lines: &[JournalLine]) -> Result<Vec<u8>, FleetError> {
    let mut bytes = Vec::new();
    for line in lines {
        let sealed = ring.seal(store, SEALED_AS, &line.to_bytes())?;
        bytes.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&sealed);
    }
    Ok(bytes)
}

/// The newest change of each key in these journals.
pub(crate) fn newest(
    ring: &Ring,
    store: &StoreId,
    paths: &[PathBuf],
) -> Result<BTreeMap<String, JournalLine>, FleetError> {
    let mut newest: BTreeMap<String, JournalLine> = BTreeMap::new();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|error| failed(path, &error))?;
        for sealed in lines(&bytes).0 {
            let (plain, sealed_with) = ring.open(store, SEALED_AS, sealed)?;
            let mut line = JournalLine::from_bytes(&plain).map_err(|Malformed| {
                FleetError::Local(format!("{} holds a line that is no change", path.display()))
            })?;
            if let Some(value) = line.value.take() {
                line.value = Some(renewed(ring, &line.key, value.into(), sealed_with)?.to_vec());
            }
            if newest.get(&line.key).is_none_or(|known| known.at <= line.at) {
                newest.insert(line.key.clone(), line);
            }
        }
    }
    Ok(newest)
}

/// The whole lines in `bytes`, and the rest.
fn lines(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let Ok(length) = usize::try_from(u32::from_le_bytes(*length)) else { break };
        let Some((line, behind)) = behind.split_at_checked(length) else { break };
        found.push(line);
        rest = behind;
    }
    (found, rest)
}

fn failed(path: &Path, error: &std::io::Error) -> FleetError {
    FleetError::Local(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_store::SealKey;

    const STORE: StoreId = [1; 16];

    fn line(key: &str, at: (u64, i64), value: Option<&[u8]>) -> JournalLine {
        JournalLine { at, key: key.to_owned(), value: value.map(<[u8]>::to_vec) }
    }

    #[test]
    fn the_newest_change_of_each_key_counts_even_from_another_journal() {
        let ring = Ring::new(SealKey::generate().unwrap().0, Vec::new());
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [first, second] = dirs.each_ref().map(|dir| Journal::open(dir.path()).unwrap());
        first.add(&ring, &STORE, &[line("a", (1, 10), Some(b"old")), line("b", (2, 3), None)]).unwrap();
        second
            .add(&ring, &STORE, &[line("a", (1, 11), Some(b"new")), line("b", (1, 9), Some(b"x"))])
            .unwrap();
        let paths = [first.path().to_owned(), second.path().to_owned()];
        let found = newest(&ring, &STORE, &paths).unwrap();
        assert_eq!(found["a"], line("a", (1, 11), Some(b"new")));
        assert_eq!(found["b"], line("b", (2, 3), None));
    }

    #[test]
    fn a_long_journal_keeps_the_newest_line_of_each_key_and_a_command_goes_on_in_the_new_file() {
        let ring = Ring::new(SealKey::generate().unwrap().0, Vec::new());
        let dir = tempfile::tempdir().unwrap();
        let [daemon, command] = [(); 2].map(|()| Journal::open(dir.path()).unwrap());
        let big = [7; 4096];
        let many: Vec<JournalLine> = (0..300).map(|at| line("a", (1, at), Some(&big))).collect();
        daemon.add(&ring, &STORE, &[line("b", (1, 5), None)]).unwrap();
        daemon.add(&ring, &STORE, &many).unwrap();
        daemon.compact(&ring, &STORE).unwrap();
        command.add(&ring, &STORE, &[line("c", (1, 400), None)]).unwrap();
        daemon.add(&ring, &STORE, &[line("d", (1, 401), None)]).unwrap();
        assert!(std::fs::metadata(daemon.path()).unwrap().len() < 3 * 4096);
        let found = newest(&ring, &STORE, &[daemon.path().to_owned()]).unwrap();
        let at: Vec<(&str, i64)> = found.iter().map(|(key, line)| (key.as_str(), line.at.1)).collect();
        assert_eq!(at, [("a", 299), ("b", 5), ("c", 400), ("d", 401)]);
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_dropped_and_the_next_one_is_read() {
        let ring = Ring::new(SealKey::generate().unwrap().0, Vec::new());
        let dir = tempfile::tempdir().unwrap();
        Journal::open(dir.path()).unwrap().add(&ring, &STORE, &[line("a", (1, 1), Some(b"1"))]).unwrap();
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, [whole.as_slice(), &whole[..cut]].concat()).unwrap();
            let journal = Journal::open(dir.path()).unwrap();
            journal.add(&ring, &STORE, &[line("a", (1, 2), Some(b"2"))]).unwrap();
            let found = newest(&ring, &STORE, std::slice::from_ref(&path)).unwrap();
            assert_eq!(found["a"].at, (1, 2), "cut at {cut}");
        }
    }
}
