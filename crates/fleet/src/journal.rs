//! A verifier's changes that time does not heal: records, hosts, tokens, policy, used recovery codes.
//! After a restored backup these changes are made again.
//!
//! A file of sealed lines that only grows. A line is synced before its change is acknowledged.

use crate::bytes::{Malformed, Reader, put_bytes};
use crate::error::FleetError;
use crate::renewed::renewed;
use crate::ring::{Ring, StoreId};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The name that lines are sealed for.
const SEALED_AS: &str = "journal";
const FILE: &str = "journal";

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The store's generation and the revision of the change: the order of changes.
    pub at: (u64, i64),
    pub key: String,
    /// The bytes under the seal. None: the key was removed.
    pub value: Option<Vec<u8>>,
}

impl Line {
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
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).read(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        // A crash can leave a part of the last line, whose change was not acknowledged.
        let whole = bytes.len() - lines(&bytes).1.len();
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(Self { path, file: Mutex::new(file) })
    }

    /// Adds lines, and syncs them.
    pub fn add(&self, ring: &Ring, store: &StoreId, new: &[Line]) -> Result<(), FleetError> {
        let mut bytes = Vec::new();
        for line in new {
            let sealed = ring.seal(store, SEALED_AS, &line.to_bytes())?;
            bytes.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(&sealed);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(|error| failed(&self.path, &error))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The newest change of each key in these journals.
pub(crate) fn newest(
    ring: &Ring,
    store: &StoreId,
    paths: &[PathBuf],
) -> Result<BTreeMap<String, Line>, FleetError> {
    let mut newest: BTreeMap<String, Line> = BTreeMap::new();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|error| failed(path, &error))?;
        for sealed in lines(&bytes).0 {
            let (plain, sealed_with) = ring.open(store, SEALED_AS, sealed)?;
            let mut line = Line::from_bytes(&plain).map_err(|Malformed| {
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

    fn line(key: &str, at: (u64, i64), value: Option<&[u8]>) -> Line {
        Line { at, key: key.to_owned(), value: value.map(<[u8]>::to_vec) }
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
