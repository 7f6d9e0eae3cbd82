//! The files of other systems: opened safely, and overwritten once their keys are here. A file in somebody's
//! home is opened as that person and through no link of theirs (CVE-2024-47191: a root process followed one).

use super::owner;
use crate::error::{Failure, LONGEST_PATH, io_step, shown};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat};
use nix::unistd::{
    Gid, Uid, UnlinkatFlags, User, fsync, getegid, geteuid, getgroups, setegid, seteuid, setgroups, unlinkat,
};
use qrtotp_import::MAX_GOOGLE;
use qrtotp_store::{Readers, TrustError, open_dir, open_file, read_all};
use qrtotp_values::text::clean;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Whether a file that can't be reached is an error.
#[derive(Clone, Copy)]
pub enum Reach {
    Must,
    /// A file that its user can't reach does not exist for them.
    May,
}

/// The content of the file, and where to overwrite it.
pub struct Source {
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its path, for people.
    pub shown: String,
    place: Option<FileLocation>,
}

/// Where a file is.
enum FileLocation {
    /// In this directory, opened as root or as a user.
    Here { dir: OwnedFd, name: String, user: Option<User> },
    /// Where a process of its own reaches it.
    Owners { path: PathBuf, user: User },
}

impl Source {
    /// Standard input, of at most `limit` bytes.
    pub fn standard_input(limit: usize) -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1)); // never grows, so nothing is left behind
        let read = std::io::stdin().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::Error(format!("standard input: {error}; give a file")))?;
        if bytes.len() > limit {
            let problem = too_large(Path::new("standard input"), limit);
            return Err(Failure::Refused(problem));
        }
        Ok(Self { bytes, shown: "standard input".into(), place: None })
    }

    /// Itself, if its last line has an end: in a format of lines, a cut key can look like a shorter one.
    pub fn whole_lines(self) -> Result<Self, Failure> {
        // The last two in UTF-16.
        let ends: [&[u8]; 4] = [b"\n", b"\r", b"\n\0", b"\r\0"];
        if self.bytes.is_empty() || ends.iter().any(|end| self.bytes.ends_with(end)) {
            return Ok(self);
        }
        Err(Failure::Refused(format!(
            "{}: it ends in the middle of a line, so the end of a key may be missing; give all of it, with a line break at its end",
            self.shown
        )))
    }

    pub fn is_standard_input(&self) -> bool {
        self.place.is_none()
    }

    /// A file that root has named, of at most `limit` bytes: it and every directory above it are root's.
    pub fn of_root(path: &Path, limit: usize) -> Result<Self, Failure> {
        Self::open(path, None, limit).map_err(|error| refused(&error, None, limit))
    }

    /// A file of `user`: in their home, or where root keeps such files. `None` if there is none.
    pub fn of_user(path: &Path, user: &User, reach: Reach) -> Result<Option<Self>, Failure> {
        let task = match reach {
            Reach::Must => owner::OwnerTask::Read,
            Reach::May => owner::OwnerTask::Find,
        };
        let place = FileLocation::Owners { path: path.to_owned(), user: user.clone() };
        let found = owner::ask(task, path, user, &[])?;
        Ok(found.map(|bytes| Self { bytes, shown: shown(path), place: Some(place) }))
    }

    /// As [`Source::of_user`], in this process: it may wait for ever.
    pub fn open_of_user(path: &Path, user: &User) -> Result<Option<Self>, Failure> {
        let Ok(inside) = path.strip_prefix(&user.dir) else {
            let opened = match as_user(user, || Self::open(path, Some(user), MAX_GOOGLE))? {
                Err(TrustError::Io { errno: Errno::EACCES, .. }) => Self::open(path, None, MAX_GOOGLE),
                other => other,
            };
            return Self::found(opened, user);
        };
        let as_they = || {
            // Links above the home are root's, and every directory is looked at below, whatever this says.
            let home = user.dir.canonicalize().unwrap_or_else(|_| user.dir.clone());
            let path = home.join(inside);
            let (dir, name) = open_parent(&path)?;
            let opened = Self::open_in(
                dir.try_clone().map_err(|_| TrustError::Form(path.clone()))?,
                &name,
                &path,
                Some(user),
                MAX_GOOGLE,
            );
            Ok((dir, name, path, opened))
        };
        let opened = match as_user(user, as_they)? {
            Err(error) => Err(error),
            // The user may not read it: google-authenticator was told to keep it as root (`user=root`).
            Ok((dir, name, path, Err(TrustError::Io { errno: Errno::EACCES, .. }))) => {
                roots_own(dir, &name, &path)
            }
            Ok((.., opened)) => opened,
        };
        Self::found(opened, user)
    }

    fn found(opened: Result<Self, TrustError>, user: &User) -> Result<Option<Self>, Failure> {
        match opened {
            Ok(source) => Ok(Some(source)),
            Err(TrustError::Missing(_)) => Ok(None),
            Err(error) => Err(refused(&error, Some(user), MAX_GOOGLE)),
        }
    }

    fn open(path: &Path, user: Option<&User>, limit: usize) -> Result<Self, TrustError> {
        let (dir, name) = open_parent(path)?;
        Self::open_in(dir, &name, path, user, limit)
    }

    fn open_in(
        dir: OwnedFd,
        name: &str,
        path: &Path,
        user: Option<&User>,
        limit: usize,
    ) -> Result<Self, TrustError> {
        let file = open_file(&dir, name, path, false, Readers::OwnerOnly)?;
        let bytes = Zeroizing::new(read_all(&file, path, limit)?);
        let place = FileLocation::Here { dir, name: name.to_owned(), user: user.cloned() };
        Ok(Self { bytes, shown: shown(path), place: Some(place) })
    }

    /// Overwrites the imported `parts`; without any, overwrites and deletes the whole file. Never advise root
    /// to run a command instead: run later, it would follow any link that the user made meanwhile.
    pub fn shred(&self, parts: Option<&[Range<usize>]>) -> Result<(), Failure> {
        let shown = &self.shown;
        let (dir, name, user) = match &self.place {
            None => return Ok(()),
            Some(FileLocation::Owners { path, user }) => {
                return owner::ask(owner::OwnerTask::Shred, path, user, &self.bytes).map(drop);
            }
            Some(FileLocation::Here { dir, name, user }) => (dir, name.as_str(), user),
        };
        let overwrite = || {
            self.overwrite(dir, name, parts).map_err(|error| {
                Failure::Error(format!(
                    "its keys are here, but {shown} is not overwritten: {error}; once that is put right, give this command again"
                ))
            })?;
            if parts.is_some() {
                return Ok(());
            }
            delete(dir, name).map_err(|error| {
                Failure::Error(format!(
                    "{shown} is overwritten, so that no key is in it, but not deleted: {error}; have its owner delete it"
                ))
            })
        };
        match user {
            Some(user) => as_user(user, overwrite)?,
            None => overwrite(),
        }
    }

    fn overwrite(&self, dir: &OwnedFd, name: &str, parts: Option<&[Range<usize>]>) -> std::io::Result<()> {
        let open = |access| {
            let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            openat(dir, name, flags, Mode::empty())
        };
        let seen = File::from(open(OFlag::O_RDONLY)?);
        let stat = fstat(&seen)?;
        let mut content = Zeroizing::new(vec![0; self.bytes.len()]);
        let same = seen.read_exact_at(&mut content, 0).is_ok() && content == self.bytes;
        if !same || u64::try_from(stat.st_size) != Ok(content.len() as u64) {
            return Err(std::io::Error::other("it was changed meanwhile"));
        }
        let mode = Mode::from_bits_truncate(stat.st_mode);
        fchmod(&seen, mode | Mode::S_IWUSR)?; // google-authenticator's files are read-only
        let file = File::from(open(OFlag::O_RDWR)?);
        let now = fstat(&file)?;
        if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
            return Err(std::io::Error::other("it was replaced meanwhile"));
        }
        let whole = 0..content.len();
        for part in parts.unwrap_or(std::slice::from_ref(&whole)) {
            file.write_all_at(&vec![b'#'; part.len()], part.start as u64)?;
        }
        file.sync_all()?;
        Ok(fchmod(&seen, mode)?)
    }
}

/// True if `path` exists as `user` sees it or, outside their home, as root sees it. May block for ever.
pub fn is_there(path: &Path, user: &User) -> Result<bool, Failure> {
    let own = as_user(user, || path.symlink_metadata().is_ok())?;
    Ok(own || (!path.starts_with(&user.dir) && path.symlink_metadata().is_ok()))
}

/// The directory that a file is in, and its name there.
fn open_parent(path: &Path) -> Result<(OwnedFd, String), TrustError> {
    let form = || TrustError::Form(path.to_owned());
    let (parent, name) = (path.parent().ok_or_else(form)?, path.file_name().ok_or_else(form)?);
    let name = name.to_str().ok_or_else(form)?.to_owned();
    Ok((open_dir(parent)?, name))
}

/// A file of root's in a user's directory. It has no other name: a user could give one of root's files a
/// second name there.
fn roots_own(dir: OwnedFd, name: &str, path: &Path) -> Result<Source, TrustError> {
    let denied = || TrustError::Io { errno: Errno::EACCES, path: path.to_owned() };
    let stat = fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|_| denied())?;
    if stat.st_uid != 0 || stat.st_nlink != 1 {
        return Err(denied());
    }
    Source::open_in(dir, name, path, None, MAX_GOOGLE)
}

fn delete(dir: &OwnedFd, name: &str) -> std::io::Result<()> {
    unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?;
    Ok(fsync(dir)?)
}

/// The error about a file of `user`, or of root without one. It never advises root to change a user's file by
/// path: by then, a link could point elsewhere.
fn refused(error: &TrustError, user: Option<&User>, limit: usize) -> Failure {
    let owner = user.map_or("root", |user| &user.name);
    let whose = user.map_or("root".to_owned(), |user| format!("{} or root", user.name));
    let only = format!(
        "only files of {whose} are taken, through no link; another's can be given on standard input: - <FILE"
    );
    let text = match (error, user) {
        (TrustError::Missing(path), _) => format!("there is no {}; give the file", path.display()),
        (TrustError::TooLarge(path), _) => too_large(path, limit),
        (TrustError::NoFile { path, what }, _) => {
            format!("{} is {what}, not a file; give the file itself", path.display())
        }
        (TrustError::Cut(_), _) => format!("{error}; try again"),
        (TrustError::Io { errno: Errno::EACCES, path }, Some(_)) if geteuid().is_root() => {
            format!("{}: {owner} may not read it, and it is read as {owner}; {only}", path.display())
        }
        (TrustError::Io { errno, .. }, _) => format!("{error}; {}", io_step(*errno)),
        (TrustError::Untrusted { path, why }, Some(_)) => {
            let why = why.split(';').next().unwrap_or_default();
            format!("{}: {why} ({only}); put that right as {owner}", path.display())
        }
        (TrustError::Link(_) | TrustError::Untrusted { .. } | TrustError::Form(_), _) => {
            format!("{error} ({only})")
        }
    };
    let text = clean(&text, LONGEST_PATH);
    match error {
        TrustError::Io { .. } | TrustError::Cut(_) => Failure::Error(text),
        _ => Failure::Refused(text),
    }
}

fn too_large(path: &Path, limit: usize) -> String {
    format!("{} has more than {} KiB, so it is no such file", path.display(), limit / 1024)
}

/// Calls `f` as `user`. The real and saved ids stay root's, so the user can neither signal nor trace us.
fn as_user<T>(user: &User, f: impl FnOnce() -> T) -> Result<T, Failure> {
    if geteuid() == user.uid {
        return Ok(f());
    }
    let failed = |errno| Failure::Error(format!("can't act as {}: {errno}; {}", user.name, io_step(errno)));
    let before = (geteuid(), getegid(), getgroups().map_err(failed)?);
    qrtotp_frontend::unlock_memory();
    let result = become_user(user.uid, user.gid, &[user.gid]).map(|()| f());
    let restored = seteuid(before.0).and_then(|()| become_user(before.0, before.1, &before.2));
    // Only root could become somebody else at all.
    if restored.is_err() && before.0.is_root() {
        std::process::abort(); // never go on half as somebody else
    }
    qrtotp_frontend::lock_memory();
    result.map_err(failed)
}

fn become_user(uid: Uid, gid: Gid, groups: &[Gid]) -> nix::Result<()> {
    setgroups(groups)?;
    setegid(gid)?;
    seteuid(uid)
}
