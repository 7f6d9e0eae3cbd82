//! The file that a picture is saved in. It is new, its owner's alone, in a directory that only its owner and
//! root may write to, and reached through no link. It can be taken back, content first.

use crate::error::{Failure, shown};
use crate::language::say;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use qrtotp_messages::text;
use qrtotp_store::{TrustError, open_dir};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file of ours. It goes when this is dropped, unless it is kept.
pub struct NewFile {
    pub path: PathBuf,
    dir: OwnedFd,
    name: OsString,
    file: File,
    temporary: bool,
}

impl NewFile {
    /// Makes it, empty, with mode 0600. Never opens one that is there.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::Refused(say(&text::picture_no_path(&shown(&path)))));
        };
        let dir = open_dir(parent).map_err(|error| no_place(&error))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let file = File::from(file.map_err(|errno| not_made(&path, errno))?);
        let name = name.to_owned();
        Ok(Self { path, dir, name, file, temporary: true })
    }

    /// Replaces its content.
    pub fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(bytes, 0)
    }

    /// Leaves it where it is.
    pub fn keep(mut self) {
        self.temporary = false;
    }

    /// Empties and deletes it. What stands under its name meanwhile and is not it stays.
    pub fn discard(mut self) -> std::io::Result<()> {
        self.temporary = false;
        self.take_back()
    }

    fn take_back(&self) -> std::io::Result<()> {
        // Whatever name it has by now.
        self.file.set_len(0)?;
        let (ours, there) =
            (fstat(&self.file)?, fstatat(&self.dir, &*self.name, AtFlags::AT_SYMLINK_NOFOLLOW)?);
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino) {
            return Err(Errno::ESTALE.into());
        }
        Ok(unlinkat(&self.dir, &*self.name, UnlinkatFlags::NoRemoveDir)?)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.temporary {
            let _ = self.take_back(); // nobody is left to tell
        }
    }
}

fn no_place(error: &TrustError) -> Failure {
    Failure::Refused(match error {
        TrustError::Untrusted { path, .. } => say(&text::picture_no_place(&shown(path))),
        other => format!("{other}; save it in another directory"),
    })
}

fn not_made(path: &Path, errno: Errno) -> Failure {
    let path = shown(path);
    match errno {
        Errno::EEXIST => Failure::Refused(say(&text::picture_there_already(&path))),
        errno => Failure::Error(say(&text::picture_not_made(&path, &errno))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn scratch() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_can_be_written_again_and_taken_back() {
        let dir = scratch();
        let file = NewFile::create(&dir.path().join("new.png")).unwrap();
        assert_eq!(file.path.metadata().unwrap().mode() & 0o7777, 0o600);
        file.write(b"a long first content").unwrap();
        file.write(b"short").unwrap();
        assert_eq!(std::fs::read(&file.path).unwrap(), b"short");
        let second_name = dir.path().join("second");
        std::fs::hard_link(&file.path, &second_name).unwrap();
        let path = file.path.clone();
        file.discard().unwrap();
        assert!(!path.exists());
        assert_eq!(std::fs::read(second_name).unwrap(), b"", "no copy by another name");
    }

    #[test]
    fn what_replaced_it_is_not_deleted() {
        let dir = scratch();
        let file = NewFile::create(&dir.path().join("new.png")).unwrap();
        std::fs::rename(&file.path, dir.path().join("moved")).unwrap();
        let path = file.path.clone();
        std::fs::write(&path, "somebody's").unwrap();
        assert!(file.discard().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
    }

    #[test]
    fn a_forgotten_file_goes_and_a_kept_one_stays() {
        let dir = scratch();
        let path = dir.path().join("new.png");
        drop(NewFile::create(&path).unwrap());
        assert!(!path.exists());
        NewFile::create(&path).unwrap().keep();
        assert!(path.exists());
    }

    #[test]
    fn nothing_is_overwritten_and_no_link_is_followed() {
        let dir = scratch();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("there.svg"), "mine").unwrap();
        symlink("there.svg", path("link.svg")).unwrap();
        symlink("nowhere.svg", path("dangling.svg")).unwrap();
        std::fs::create_dir(path("real")).unwrap();
        symlink("real", path("alias")).unwrap();
        for name in
            ["there.svg", "link.svg", "dangling.svg", "alias/new.svg", "missing/new.svg", "real/../new.svg"]
        {
            assert!(matches!(NewFile::create(&path(name)), Err(Failure::Refused(_))), "{name}");
        }
        assert_eq!(std::fs::read(path("there.svg")).unwrap(), b"mine");
        assert!(!path("nowhere.svg").exists() && !path("real/new.svg").exists() && !path("new.svg").exists());
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_no_place() {
        let dir = scratch();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o770)).unwrap();
        assert!(matches!(NewFile::create(&dir.path().join("new.svg")), Err(Failure::Refused(_))));
    }
}
