//! What this verifier knows of the store: its id, generation, highest revision, its own last witness, and the
//! last change that it made. A store that is older than this was restored from a backup.

use crate::error::FleetError;
use crate::ring::StoreId;
use qrtotp_otp::{base32_decode, base32_encode};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const FILE: &str = "seen";
const FIRST_LINE: &str = "qrtotp fleet seen 1";

/// A verifier's knowledge of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// None: this verifier has not seen a store yet.
    pub store: Option<StoreId>,
    pub generation: u64,
    pub revision: i64,
    /// The witness that etcd is known to hold.
    pub witness: Option<[u8; 16]>,
    /// The witness that etcd may hold in its place: its write was begun.
    pub next_witness: Option<[u8; 16]>,
    /// A key that we wrote, and the revision of that: its value can't be older.
    pub written: Option<(String, i64)>,
}

impl Seen {
    /// Reads the file in a directory. Without a file nothing is known.
    pub fn load(directory: &Path) -> Result<Self, FleetError> {
        let path = directory.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| {
                FleetError::Local(format!("{} is damaged; restore it from a backup", path.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(FleetError::Local(format!("{}: {error}", path.display()))),
        }
    }

    /// Replaces the file, and syncs it.
    pub fn save(&self, directory: &Path) -> Result<(), FleetError> {
        let (path, new) = (directory.join(FILE), directory.join(".seen.new"));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|error| FleetError::Local(format!("{}: {error}", path.display())))
    }

    /// Whether both know the same of the witness, in the same life of the store.
    pub fn is_same_witness(&self, other: &Self) -> bool {
        let key = |seen: &Self| (seen.store, seen.generation, seen.witness, seen.next_witness);
        key(self) == key(other)
    }

    fn text(&self) -> String {
        let bytes =
            |bytes: Option<[u8; 16]>| bytes.map_or_else(|| "-".to_owned(), |bytes| base32_encode(&bytes));
        let (key, at) = self.written.clone().unwrap_or(("-".to_owned(), 0));
        let [store, witness, next] = [self.store, self.witness, self.next_witness].map(bytes);
        format!(
            "{FIRST_LINE}\n{store}\n{}\n{}\n{witness}\n{next}\n{key}\n{at}\nend\n",
            self.generation, self.revision
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let bytes = |line: &str| match line {
            "-" => Some(None),
            text => Some(Some(base32_decode(text).ok()?.as_slice().try_into().ok()?)),
        };
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let store = bytes(lines.next()?)?;
        let (generation, revision) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
        let (witness, next_witness) = (bytes(lines.next()?)?, bytes(lines.next()?)?);
        let (key, at) = (lines.next()?, lines.next()?.parse().ok()?);
        let written = (key != "-").then(|| (key.to_owned(), at));
        (lines.next()? == "end").then_some(Self {
            store,
            generation,
            revision,
            witness,
            next_witness,
            written,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_file_reads_back_and_a_cut_one_is_damaged_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Seen::load(dir.path()).unwrap(), Seen::default());
        let (witness, next_witness) = (Some([2; 16]), None);
        let written = Some(("/qrtotp/1/a/alice/s".to_owned(), 31));
        let seen = Seen { store: Some([1; 16]), generation: 4, revision: 33, witness, next_witness, written };
        seen.save(dir.path()).unwrap();
        assert_eq!(Seen::load(dir.path()).unwrap(), seen);
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        for cut in 0..text.len() - 1 {
            std::fs::write(dir.path().join(FILE), &text[..cut]).unwrap();
            assert!(Seen::load(dir.path()).is_err(), "cut at {cut}");
        }
    }
}
