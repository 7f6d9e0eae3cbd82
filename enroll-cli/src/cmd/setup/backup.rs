//! Puts changes in place so that they can be undone: what was there is on disk before the first file changes.
//! Each file is replaced by a rename, so it is the old one or the new one at any moment.

use super::plan::Change;
use crate::error::Failure;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown, geteuid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "/var/lib/qrtotp-setup";
const JOURNAL: &str = "journal.json";

/// A file that was changed.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    file: PathBuf,
    /// `None`: it was not there.
    before: Option<String>,
    after: String,
}

/// Owner and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub uid: u32,
    pub mode: u32,
}

/// A file or directory whose owner or mode changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    pub file: PathBuf,
    pub before: Access,
    pub after: Access,
}

impl Rights {
    /// The change that makes it root's, or the caller's own, and takes these bits of the mode away. `None`:
    /// it is right, or no file or directory.
    pub fn without(file: &Path, bits: u32) -> Option<Self> {
        let found = file.symlink_metadata().ok().filter(|found| found.is_file() || found.is_dir())?;
        let before = Access { uid: found.uid(), mode: found.mode() & 0o7777 };
        let after = Access { uid: geteuid().as_raw(), mode: before.mode & !bits };
        (before != after).then(|| Self { file: file.to_owned(), before, after })
    }

    fn are_made(&self) -> bool {
        let now =
            self.file.symlink_metadata().map(|now| Access { uid: now.uid(), mode: now.mode() & 0o7777 });
        now.is_ok_and(|now| now == self.after)
    }

    /// Follows no link.
    pub fn apply(&self, access: &Access) -> Result<(), Failure> {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&self.file);
        let set = |file: File| {
            fchown(&file, Some(Uid::from_raw(access.uid)), None)?;
            file.set_permissions(Permissions::from_mode(access.mode))?;
            file.sync_all()
        };
        opened.and_then(set).map_err(failed(&self.file))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    version: u8,
    files: Vec<Saved>,
    #[serde(default)]
    rights: Vec<Rights>,
}

/// Files that were changed, to be undone.
pub struct Backup {
    journal: PathBuf,
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::Error(format!("{}: {error}", path.display()))
}

/// Numbered directories of earlier changes, the newest last.
fn earlier() -> Vec<u32> {
    let entries = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let mut found: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    found.sort_unstable();
    found
}

impl Backup {
    /// Saves the present files and rights and syncs the copy. Changes nothing else.
    pub fn save(changes: &[Change], rights: &[Rights]) -> Result<Self, Failure> {
        let number = earlier().last().map_or(1, |last| last + 1);
        let directory = Path::new(DIRECTORY).join(number.to_string());
        fs::create_dir_all(&directory).map_err(failed(&directory))?;
        fs::set_permissions(DIRECTORY, Permissions::from_mode(0o700))
            .map_err(failed(Path::new(DIRECTORY)))?;
        let files = changes.iter().map(|change| Saved {
            file: change.file.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        });
        let journal = Journal { version: 1, files: files.collect(), rights: rights.to_vec() };
        let path = directory.join(JOURNAL);
        let text =
            serde_json::to_string_pretty(&journal).map_err(|error| Failure::Error(error.to_string()))?;
        write(&path, &text, 0o600, None).map_err(failed(&path))?;
        for path in [Path::new(DIRECTORY), Path::new("/var/lib")] {
            File::open(path).and_then(|dir| dir.sync_all()).map_err(failed(path))?;
        }
        Ok(Self { journal: path })
    }

    /// Those that were not undone, the newest last.
    fn open() -> Vec<Self> {
        let journal = |number: u32| Path::new(DIRECTORY).join(number.to_string()).join(JOURNAL);
        let journals = earlier().into_iter().map(journal).filter(|path| path.exists());
        journals.map(|journal| Self { journal }).collect()
    }

    /// The newest that was not undone.
    pub fn newest() -> Option<Self> {
        Self::open().pop()
    }

    fn read(&self) -> Result<Journal, Failure> {
        let text = fs::read_to_string(&self.journal).map_err(failed(&self.journal))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Error(format!("{}: {error}", self.journal.display())))
    }

    /// Puts back what was there, the last change first, and gives the files. One that was changed since is
    /// kept beside its journal. It can be repeated until [`Self::close`].
    pub fn restore(&self) -> Result<Vec<PathBuf>, Failure> {
        let journal = self.read()?;
        let mut undone = Vec::new();
        // Others that were set since, or the file removed, stay as they are.
        for rights in journal.rights.iter().rev().filter(|rights| rights.are_made()) {
            undone.push(rights.file.clone());
            rights.apply(&rights.before)?;
        }
        for saved in journal.files.iter().rev() {
            undone.push(saved.file.clone());
            // Of one that was killed.
            let _ = fs::remove_file(temporary(&saved.file));
            let now = fs::read_to_string(&saved.file).ok();
            if now == saved.before {
                continue;
            }
            if let Some(now) = now.filter(|now| *now != saved.after) {
                let name = saved.file.display().to_string().replace('/', "_");
                let aside = self.journal.with_file_name(format!("changed{name}"));
                write(&aside, &now, 0o600, None).map_err(failed(&aside))?;
            }
            match &saved.before {
                Some(text) => replace(&saved.file, text).map_err(failed(&saved.file))?,
                None => fs::remove_file(&saved.file).map_err(failed(&saved.file))?,
            }
        }
        Ok(undone)
    }

    /// Nothing is left to undo of it.
    pub fn close(&self) -> Result<(), Failure> {
        fs::rename(&self.journal, self.journal.with_extension("undone")).map_err(failed(&self.journal))
    }
}

/// The files of all changes that were not undone, with the text that each would have if they were; `None`: it
/// would not be there.
pub fn before_all() -> Result<BTreeMap<PathBuf, Option<String>>, Failure> {
    let mut files = BTreeMap::new();
    for backup in Backup::open().into_iter().rev() {
        let saved = backup.read()?.files.into_iter().rev();
        files.extend(saved.map(|saved| (saved.file, saved.before)));
    }
    Ok(files)
}

/// Puts a change in place. A file that is no plain one, or is another one by now, is left alone.
pub fn apply(change: &Change) -> Result<(), Failure> {
    let file = &change.file;
    let is_link = file.symlink_metadata().is_ok_and(|found| !found.is_file());
    if is_link || fs::read_to_string(file).ok() != change.before {
        return Err(Failure::Refused(format!(
            "{} is a link, or was changed meanwhile; look at it, then try again",
            file.display()
        )));
    }
    // Only conf.d can be missing.
    file.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed(file))?;
    replace(file, &change.after).map_err(failed(file))
}

/// With the owner and mode that the file has, or as a file of root's that all may read.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    match file.metadata() {
        Ok(found) => write(file, text, found.mode() & 0o7777, Some((found.uid(), found.gid()))),
        Err(_) => write(file, text, 0o644, None),
    }
}

/// PAM reads no service of such a name, and sshd no such file of its directory.
fn temporary(file: &Path) -> PathBuf {
    file.with_file_name(format!(".{}.qrtotp-new", file.file_name().unwrap_or_default().to_string_lossy()))
}

fn write(file: &Path, text: &str, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let temporary = temporary(file);
    let _ = fs::remove_file(&temporary);
    let written = write_new(&temporary, text, mode, owner).and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all())
}

fn write_new(path: &Path, text: &str, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some((uid, gid)) = owner {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}
