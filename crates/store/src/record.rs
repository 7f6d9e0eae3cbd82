//! An account's two files: reading them, and changing them in an order that makes every crash harmless.

use super::file::FileStore;
use super::layout::{RECORD, RECORD_NEW, STATE};
use super::{
    Account, Readers, Scope, StoreError, TrustError, TrustedFile, errno, open_file, read_all, read_exact,
    slot,
};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fdatasync, fsync, unlinkat};
use qrtotp_account::{Name, Record, State};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Most bytes of an `account.toml`: 32 credentials and a token take about 12 kB.
const RECORD_LIMIT: usize = 32 * 1024;

/// Flags with which [`write_new`] replaces a leftover of a crash.
pub(super) const ANEW: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_CREAT)
    .union(OFlag::O_TRUNC)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// The line of an `account.toml` that numbers its versions; the first one has none.
const REVISION: &str = "revision = ";

/// A record that was read, and its state file for writing.
pub(super) struct Opened {
    pub(super) record: Record,
    pub(super) loaded: slot::Loaded,
    file: TrustedFile,
    state_path: PathBuf,
    /// The record was read from [`RECORD_NEW`]: a change was interrupted before its last step.
    unfinished: bool,
}

impl Opened {
    pub(super) fn account(&self) -> Account {
        Account { record: self.record.clone(), state: self.loaded.state.clone() }
    }

    /// Writes the next slot and makes it durable.
    pub(super) fn write_state(&mut self, state: &State) -> Result<(), StoreError> {
        let path = &self.state_path;
        let (offset, bytes) = self.loaded.succeed(state);
        self.file.file.write_all_at(bytes, offset).map_err(|error| match errno(&error) {
            // A file on a read-only disk was opened read-only, so a write fails with EBADF.
            Errno::EBADF => StoreError::io(path, Errno::EROFS),
            errno => StoreError::io(path, errno),
        })?;
        self.sync_state()
    }

    /// Makes the file's present or new contents durable.
    fn keep_state(&mut self, old: &State, new: &State) -> Result<(), StoreError> {
        if new == old { self.sync_state() } else { self.write_state(new) }
    }

    fn sync_state(&self) -> Result<(), StoreError> {
        fdatasync(&self.file).map_err(|errno| StoreError::io(&self.state_path, errno).unsure())
    }
}

impl FileStore {
    /// The account's last audit lines, as logged but without `detail`, in no order; and its state.
    ///
    /// # Errors
    /// As [`super::Store::load`].
    pub fn last_lines(&self, name: &Name) -> Result<Option<(State, Vec<String>)>, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(None) };
        let dir = self.lock(dir)?;
        let opened = self.read(dir.as_fd(), name)?;
        let bytes = read_exact::<{ slot::FILE }>(&opened.file.file, 0, &opened.state_path)?;
        let lines =
            bytes.map_or_else(Vec::new, |bytes| slot::lines(&bytes[..slot::SLOT], &bytes[slot::SLOT..]));
        Ok(Some((opened.loaded.state, lines)))
    }

    pub(super) fn read(&self, dir: impl AsFd + Copy, name: &Name) -> Result<Opened, StoreError> {
        let (found, mut unfinished) = match self.read_record(dir, name, RECORD) {
            Err(error @ StoreError::Damaged { .. }) => (self.renamed_record(dir, name).ok_or(error)?, true),
            other => (other?, false),
        };
        let state_path = self.path_of(name).join(STATE);
        let file = open_state(dir, &state_path)?;
        let loaded = read_state(&file, &state_path)?;
        let record = if found.revision == loaded.revision {
            found.record
        } else {
            unfinished = true;
            self.committed_record(dir, name, loaded.revision)?
        };
        if loaded.state.record != record.id {
            return Err(StoreError::Damaged { path: state_path, why: "it belongs to another record" });
        }
        Ok(Opened { record, loaded, file, state_path, unfinished })
    }

    /// The record of this revision, which the state belongs to, if a change was interrupted between the state
    /// and the renaming of the record.
    #[inline(never)] // otherwise every login would reserve its stack
    fn committed_record(
        &self,
        dir: impl AsFd + Copy,
        name: &Name,
        revision: u64,
    ) -> Result<Record, StoreError> {
        match self.read_record(dir, name, RECORD_NEW) {
            Ok(waiting) if waiting.revision == revision => Ok(waiting.record),
            Err(error) if !error.is_record_fault() => Err(error),
            _ => Err(StoreError::Damaged {
                path: self.path_of(name).join(RECORD),
                why: "its state belongs to another revision of it; restore both from one backup",
            }),
        }
    }

    /// Like [`FileStore::read`], under the account's lock and before a change: finishes an interrupted
    /// change.
    pub(super) fn read_to_change(&self, dir: impl AsFd + Copy, name: &Name) -> Result<Opened, StoreError> {
        let opened = self.read(dir, name)?;
        if opened.unfinished {
            // The state may be that of a process that was killed before it was durable.
            opened.sync_state()?;
            self.put_in_place(dir, name)?;
        }
        Ok(opened)
    }

    /// The record that a rename left beside the one of the former name, if it was interrupted before its last
    /// step. A file beside a damaged record can only be left from another crash, and may be old.
    fn renamed_record(&self, dir: impl AsFd + Copy, name: &Name) -> Option<Revised> {
        let (path, bytes) = self.read_sealed(dir, name, RECORD).ok()?;
        let (_, text) = std::str::from_utf8(&bytes).ok()?.split_once('\n')?;
        let former = Revised::parse(text)?.record.name; // trusted once the seal opens for it
        let former = self.open_record(&path, &bytes, &former).ok()?;
        let renamed = self.read_record(dir, name, RECORD_NEW).ok()?;
        (renamed.record.id == former.record.id).then_some(renamed)
    }

    fn read_record(
        &self,
        dir: impl AsFd + Copy,
        name: &Name,
        file_name: &str,
    ) -> Result<Revised, StoreError> {
        let (path, bytes) = self.read_sealed(dir, name, file_name)?;
        self.open_record(&path, &bytes, name)
    }

    pub(super) fn read_sealed(
        &self,
        dir: impl AsFd + Copy,
        name: &Name,
        file_name: &str,
    ) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let path = self.path_of(name).join(file_name);
        let source = open_file(&dir, file_name, &path, false, Readers::OwnerOnly).map_err(at_fault)?;
        let bytes = read_all(&source, &path, RECORD_LIMIT).map_err(at_fault)?;
        Ok((path, bytes))
    }

    /// The record in `bytes` if it is that of `name`.
    fn open_record(&self, path: &Path, bytes: &[u8], name: &Name) -> Result<Revised, StoreError> {
        let damaged = |why| StoreError::Damaged { path: path.to_owned(), why };
        let sealed = std::str::from_utf8(bytes).map_err(|_| damaged("not text"))?;
        let text = self.key.open_text(Scope::Account, name.as_str(), sealed).map_err(|_| {
            // Records are rarely all damaged at once: a wrong key is likelier, and the marker tells.
            self.check_marker().err().unwrap_or_else(|| damaged("its seal does not open"))
        })?;
        let revised = Revised::parse(text).ok_or_else(|| damaged("not a record of a known version"))?;
        if revised.record.name != *name {
            return Err(damaged("it belongs to another account"));
        }
        Ok(revised)
    }

    /// The text of a record's revision, under its seal.
    pub(super) fn record_text(&self, record: &Record, revision: u64) -> Result<String, StoreError> {
        let damaged = |why| StoreError::Damaged { path: self.path_of(&record.name).join(RECORD), why };
        let mut text = record.to_toml();
        if revision != 0 {
            text = format!("{REVISION}{revision}\n{text}");
        }
        self.key
            .seal_text(Scope::Account, record.name.as_str(), &text)
            .map_err(|_| damaged("it can't be sealed"))
    }

    /// Writes a record's next text beside the present one and makes it durable there.
    pub(super) fn write_beside(
        &self,
        dir: impl AsFd + Copy,
        record: &Record,
        revision: u64,
    ) -> Result<(), StoreError> {
        let path = self.path_of(&record.name).join(RECORD_NEW);
        write_new(dir, RECORD_NEW, &path, ANEW, self.record_text(record, revision)?.as_bytes())?;
        fsync(dir).map_err(|errno| StoreError::io(path, errno))
    }

    /// Renames the file of [`FileStore::write_beside`] over the record.
    pub(super) fn put_in_place(&self, dir: impl AsFd + Copy, name: &Name) -> Result<(), StoreError> {
        let failed = |errno| StoreError::io(self.path_of(name).join(RECORD_NEW), errno);
        renameat(dir, RECORD_NEW, dir, RECORD).map_err(failed)?;
        fsync(dir).map_err(|errno| failed(errno).unsure())
    }

    /// Changes `old` to `new`, under the account's lock. The next record waits beside the present one until
    /// the state that refers to it is durable, so both change at once, together with the audit lines.
    ///
    /// An unchanged state is made durable too: its writer may have been killed before syncing it, and a power
    /// cut would then undo what the caller reports.
    pub(super) fn change(
        &self,
        dir: impl AsFd + Copy,
        opened: &mut Opened,
        old: &Account,
        new: &mut Account,
    ) -> Result<(), StoreError> {
        new.state.retain(|id| new.record.credential(id).is_some());
        if new.record == old.record {
            return opened.keep_state(&old.state, &new.state);
        }
        let revision = opened.loaded.revision + 1;
        self.write_beside(dir, &new.record, revision)?;
        opened.loaded.revision = revision;
        opened.write_state(&new.state)?;
        self.put_in_place(dir, &new.record.name).map_err(StoreError::unsure)
    }
}

/// A record, and the number of its version.
struct Revised {
    revision: u64,
    record: Record,
}

impl Revised {
    /// Reads the text under a record's seal.
    fn parse(text: &str) -> Option<Self> {
        let (revision, text) = match text.strip_prefix(REVISION) {
            Some(rest) => {
                rest.split_once('\n').and_then(|(number, rest)| Some((number.parse().ok()?, rest)))?
            }
            None => (0, text),
        };
        Some(Self { revision, record: Record::from_toml(text).ok()? })
    }
}

fn open_state(dir: impl AsFd + Copy, path: &Path) -> Result<TrustedFile, StoreError> {
    match open_file(&dir, STATE, path, true, Readers::OwnerOnly) {
        // On a read-only disk an error must still be reported, and `status` must work.
        Err(TrustError::Io { errno: Errno::EROFS, .. }) => {
            open_file(&dir, STATE, path, false, Readers::OwnerOnly)
        }
        other => other,
    }
    .map_err(at_fault)
}

fn read_state(file: &TrustedFile, path: &Path) -> Result<slot::Loaded, StoreError> {
    let damaged = |why| StoreError::Damaged { path: path.to_owned(), why };
    let bytes = read_exact::<{ slot::FILE }>(&file.file, 0, path)?;
    let bytes = bytes.ok_or(damaged("it has a wrong size"))?;
    slot::load(&bytes[..slot::SLOT], &bytes[slot::SLOT..]).map_err(|_| damaged("no slot of it is whole"))
}

/// Blames the account for anything in its directory that can't be opened.
fn at_fault(error: TrustError) -> StoreError {
    match error {
        TrustError::Missing(path) => StoreError::Incomplete(path),
        TrustError::Untrusted { path, why } => StoreError::Damaged { path, why },
        TrustError::Link(path) => StoreError::Damaged { path, why: "it is a symbolic link" },
        TrustError::NoFile { path, what } => StoreError::Damaged { path, why: what },
        TrustError::Cut(path) => StoreError::Damaged { path, why: "its end is lost" },
        TrustError::TooLarge(path) => StoreError::Damaged { path, why: "it is too large" },
        other @ (TrustError::Form(_) | TrustError::Io { .. }) => other.into(),
    }
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
    file.write_all(bytes).and_then(|()| Ok(fsync(&file)?)).map_err(|e| {
        let _ = unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
        StoreError::std_io(shown, &e)
    })
}
