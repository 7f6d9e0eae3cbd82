//! Replaces a file in a directory that somebody else may own, such as node_exporter's. It follows no link;
//! readers see the old content or the new one.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The text of a file that [`replace`] wrote; its directory's owner may have put anything there.
///
/// # Errors
/// It can't be read, is behind a link, is no plain file, or no text.
pub fn read(path: &Path) -> std::io::Result<String> {
    let path = std::path::absolute(path)?;
    let (directory, name) = opened(&path)?;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(&directory, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts `bytes` in place of the file, with a mode that the umask narrows.
///
/// # Errors
/// The directory is reached through a link, or can't be written to, or the file is a device or a directory.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> std::io::Result<()> {
    let path = std::path::absolute(path)?;
    let (directory, name) = opened(&path)?;
    let about = fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    let kind = about.map_or(SFlag::empty(), |about| SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT);
    if [SFlag::S_IFCHR, SFlag::S_IFBLK, SFlag::S_IFDIR].contains(&kind) {
        return Err(Error::new(ErrorKind::InvalidInput, "a device or a directory is there"));
    }
    let mut next = name.to_owned();
    next.push(".new"); // node_exporter reads *.prom only
    match unlinkat(&directory, &*next, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(&directory, &*next, flags, mode)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    renameat(&directory, &*next, &directory, name)?;
    Ok(())
}

/// The file's directory, which is reached through no link, and its name there.
fn opened(path: &Path) -> std::io::Result<(OwnedFd, &OsStr)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "not a file's path"));
    };
    let text = "its directory is behind a link, or no directory; give its real path";
    // Part by part: a service with RestrictSUIDSGID= has no openat2.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut directory = openat(AT_FDCWD, "/", flags, Mode::empty())?;
    for part in parent.components() {
        directory =
            openat(&directory, part.as_os_str(), flags, Mode::empty()).map_err(|errno| match errno {
                Errno::ENOTDIR => Error::new(ErrorKind::InvalidInput, text),
                errno => errno.into(),
            })?;
    }
    Ok((directory, name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const MODE: Mode = Mode::S_IRUSR;

    #[test]
    fn the_file_is_replaced_and_a_link_in_its_place_or_in_that_of_the_next_one_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().canonicalize().unwrap().join(name);
        fs::write(path("victim"), "precious").unwrap();
        symlink("victim", path("x.prom")).unwrap();
        symlink("victim", path("x.prom.new")).unwrap();
        for content in ["first", "second"] {
            replace(&path("x.prom"), content.as_bytes(), MODE).unwrap();
            assert_eq!(fs::read_to_string(path("x.prom")).unwrap(), content);
        }
        assert!(path("x.prom").symlink_metadata().unwrap().is_file() && !path("x.prom.new").exists());
        assert_eq!(path("x.prom").metadata().unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::read_to_string(path("victim")).unwrap(), "precious");
    }

    #[test]
    fn a_directory_is_not_replaced_and_neither_is_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("x");
        fs::create_dir(&path).unwrap();
        for there in [&*path, Path::new("/dev/null")] {
            let refused = replace(there, b"x", MODE).unwrap_err().to_string();
            assert!(refused.contains("a device or a directory"), "{refused}");
        }
        assert!(!path.with_extension("new").exists());
    }

    #[test]
    fn a_directory_behind_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(path("etc/below")).unwrap();
        symlink("etc", path("link")).unwrap();
        for name in ["link/x.prom", "link/below/x.prom"] {
            let refused = replace(&path(name), b"x", MODE).unwrap_err();
            assert!(refused.to_string().contains("behind a link"), "{name}: {refused}");
        }
        assert_eq!(fs::read_dir(path("etc")).unwrap().count(), 1);
    }
}
