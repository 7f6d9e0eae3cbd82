//! Opening files that decide who gets in. There is one way: every directory from the root down is no link,
//! belongs to root (or to ourselves) and is writable by no other user.

use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a path can't be trusted or read.
#[derive(Debug, Error)]
pub enum TrustError {
    /// There is no such file.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// A symbolic link stands in the path.
    #[error("{0} is a symbolic link; give the real path instead")]
    Link(PathBuf),
    /// Other users could have written it.
    #[error("{path}: {why}")]
    Untrusted {
        /// The directory or file at fault.
        path: PathBuf,
        /// The problem and its remedy.
        why: &'static str,
    },
    /// Something else stands where a file belongs.
    #[error(
        "{path} is {what}, not a file; put the file in its place (or unmount what lies over it), or give the right path"
    )]
    NoFile {
        /// The path.
        path: PathBuf,
        /// The kind of file.
        what: &'static str,
    },
    /// The path is not absolute and plain.
    #[error("{0} is not a plain absolute path")]
    Form(PathBuf),
    /// The file is larger than its kind can be.
    #[error("{0} is larger than such a file can be")]
    TooLarge(PathBuf),
    /// The file ended before its size of a moment ago: it is being written, or the disk lost its end. Its
    /// first part alone could mean something else.
    #[error("{0} is being changed, or its end is lost")]
    Cut(PathBuf),
    /// The system reported an error.
    #[error("{path}: {errno}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's error.
        errno: Errno,
    },
}

impl TrustError {
    /// The reason's word in the audit log, for a part of the store.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "store_missing",
            Self::Link(_) | Self::Untrusted { .. } | Self::NoFile { .. } | Self::Form(_) => "store_untrusted",
            Self::TooLarge(_) | Self::Cut(_) => "store_damaged",
            Self::Io { .. } => "store_unreadable",
        }
    }

    fn io(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::ENOENT => Self::Missing(path),
            Errno::ELOOP => Self::Link(path),
            errno => Self::Io { path, errno },
        }
    }
}

/// The system's error. An incomplete write has no number.
pub(super) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// The users who may read a file besides its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readers {
    /// Any user: configuration.
    Anybody,
    /// No other user: records and keys.
    OwnerOnly,
}

/// The metadata of `name` itself, even if it is a link.
fn lstatat(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> nix::Result<FileStat> {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// A directory's entries, `.` and `..` included. (std's reader panics if closing the directory fails.)
pub(super) fn entries(dir: impl AsFd) -> nix::Result<nix::dir::OwningIter> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
    Ok(Dir::openat(dir, ".", flags, Mode::empty())?.into_iter())
}

fn check_owner(path: &Path, stat: &FileStat) -> Result<(), TrustError> {
    if stat.st_uid == 0 || stat.st_uid == geteuid().as_raw() {
        return Ok(());
    }
    Err(TrustError::Untrusted { path: path.to_owned(), why: "does not belong to root; chown it to root" })
}

fn check_directory(path: &Path, stat: &FileStat) -> Result<(), TrustError> {
    check_owner(path, stat)?;
    let others_write = stat.st_mode & 0o022 != 0;
    let sticky = file_type(stat) == SFlag::S_IFDIR && stat.st_mode & 0o1000 != 0;
    if others_write && !sticky {
        let why = "is a directory that others may write to; chmod go-w it";
        return Err(TrustError::Untrusted { path: path.to_owned(), why });
    }
    Ok(())
}

/// Opens a directory by an absolute path, checking each step of it from the root down. A component that is
/// ours or root's, in a directory where no other user can replace it, is still the same when the path is
/// walked again to open it.
///
/// # Errors
/// A component is missing, a link, or writable by others.
pub fn open_dir(path: &Path) -> Result<OwnedFd, TrustError> {
    let mut components = path.components();
    let absolute = components.next() == Some(Component::RootDir);
    if !absolute || components.any(|component| !matches!(component, Component::Normal(_))) {
        return Err(TrustError::Form(path.to_owned()));
    }
    let mut walked = PathBuf::with_capacity(path.as_os_str().len() + 1);
    walked.push("/");
    for step in path.parent().into_iter().flat_map(Path::components).skip(1) {
        walked.push(step);
        let stat = lstatat(AT_FDCWD, &walked).map_err(|errno| TrustError::io(&walked, errno))?;
        match file_type(&stat) {
            SFlag::S_IFDIR => check_directory(&walked, &stat)?,
            SFlag::S_IFLNK => return Err(TrustError::Link(walked)),
            _ => return Err(TrustError::Untrusted { path: walked, why: NO_DIRECTORY }),
        }
    }
    walked.extend(path.file_name()); // without a slash at its end, which would follow a link
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
    let dir = openat(AT_FDCWD, &walked, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ENOTDIR if is_link(&walked) => TrustError::Link(walked.clone()),
        Errno::ENOTDIR => TrustError::Untrusted { path: walked.clone(), why: NO_DIRECTORY },
        errno => TrustError::io(&walked, errno),
    })?;
    check_directory(&walked, &fstat(&dir).map_err(|errno| TrustError::io(&walked, errno))?)?;
    Ok(dir)
}

const NO_DIRECTORY: &str =
    "is not a directory, or is a link to one; put the directory in its place, or give the right path";

fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// The kind of a non-file. A link is reported earlier.
fn other_than_file(stat: &FileStat) -> Option<&'static str> {
    match file_type(stat) {
        SFlag::S_IFREG | SFlag::S_IFLNK => None,
        SFlag::S_IFIFO => Some("a FIFO"),
        SFlag::S_IFSOCK => Some("a socket"),
        SFlag::S_IFDIR => Some("a directory"),
        _ => Some("a device"),
    }
}

fn is_link(path: &Path) -> bool {
    lstatat(AT_FDCWD, path).is_ok_and(|stat| file_type(&stat) == SFlag::S_IFLNK)
}

/// Opens the directory `name` inside an open directory; only its owner may have access. Another user could
/// hold its lock if they can open it, or make an account look unenrolled if they can write to it. `None` if
/// it does not exist.
///
/// # Errors
/// A link, no directory, or open to others.
pub fn open_private_dir(dir: &dyn AsFd, name: &str, shown: &Path) -> Result<Option<OwnedFd>, TrustError> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
    let fd = match openat(dir.as_fd(), name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ENOTDIR) => {
            return Err(TrustError::Untrusted { path: shown.to_owned(), why: NO_DIRECTORY });
        }
        other => other.map_err(|errno| TrustError::io(shown, errno))?,
    };
    let stat = fstat(&fd).map_err(|errno| TrustError::io(shown, errno))?;
    check_owner(shown, &stat)?;
    if stat.st_mode & 0o077 != 0 {
        return Err(TrustError::Untrusted { path: shown.to_owned(), why: "is open to others; chmod 700 it" });
    }
    Ok(Some(fd))
}

/// A regular file that only its owner could have written.
#[derive(Debug)]
pub struct TrustedFile {
    pub(super) file: File,
    /// Its metadata when it was opened.
    pub(super) stat: FileStat,
}

impl AsFd for TrustedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Opens the regular file `name` inside an open directory. `shown` is its path, for messages.
///
/// # Errors
/// Missing, a link, no regular file, owned or writable (or, for [`Readers::OwnerOnly`], readable) by others.
pub fn open_file(
    dir: &dyn AsFd,
    name: &str,
    shown: &Path,
    write: bool,
    readers: Readers,
) -> Result<TrustedFile, TrustError> {
    let access = if write { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let no_file = |what| TrustError::NoFile { path: shown.to_owned(), what };
    let fd = openat(dir.as_fd(), name, flags, Mode::empty()).map_err(|errno| {
        // A socket can't be opened at all, a directory not for writing.
        let there = if errno == Errno::ENOENT { None } else { lstatat(dir.as_fd(), name).ok() };
        there.and_then(|stat| other_than_file(&stat)).map_or_else(|| TrustError::io(shown, errno), no_file)
    })?;
    let stat = fstat(&fd).map_err(|e| TrustError::io(shown, e))?;
    if let Some(what) = other_than_file(&stat) {
        return Err(no_file(what));
    }
    let untrusted = |why| Err(TrustError::Untrusted { path: shown.to_owned(), why });
    check_owner(shown, &stat)?;
    if stat.st_mode & 0o022 != 0 {
        return untrusted("is a file that others may write to; chmod go-w it");
    }
    if readers == Readers::OwnerOnly && stat.st_mode & 0o077 != 0 {
        return untrusted("may be read by others; chmod 600 it, and assume that they know its contents");
    }
    Ok(TrustedFile { file: File::from(fd), stat })
}

/// Reads exactly `N` bytes at `offset`. `None` if the file ends before.
///
/// # Errors
/// Unreadable.
pub fn read_exact<const N: usize>(
    file: &File,
    offset: u64,
    shown: &Path,
) -> Result<Option<[u8; N]>, TrustError> {
    let mut bytes = [0; N];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(TrustError::io(shown, errno(&error))),
    }
}

/// Reads a whole file of at most `limit` bytes. The caller must wipe secrets in it.
///
/// # Errors
/// Larger than `limit`, shorter than it was when it was opened, or unreadable.
pub fn read_all(from: &TrustedFile, shown: &Path, limit: usize) -> Result<Vec<u8>, TrustError> {
    let too_large = || TrustError::TooLarge(shown.to_owned());
    let size = usize::try_from(from.stat.st_size).map_err(|_| too_large())?;
    if size > limit {
        return Err(too_large());
    }
    // One byte more: if it stays empty, the same read saw the end. A file that grows in the meantime is read
    // to the limit.
    let mut bytes = vec![0; size + 1];
    let mut filled = 0;
    loop {
        match (&from.file).read(&mut bytes[filled..]) {
            Ok(0) if filled < size => return Err(TrustError::Cut(shown.to_owned())),
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(TrustError::io(shown, errno(&error))),
        }
        if filled == size {
            break;
        }
        if filled > limit {
            return Err(too_large());
        }
        if filled == bytes.len() {
            let small = Zeroizing::new(std::mem::replace(&mut bytes, vec![0; limit + 1]));
            bytes[..filled].copy_from_slice(&small);
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
