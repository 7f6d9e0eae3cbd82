//! Parts of a private copy of the host, in a mount namespace of its own. The host never sees what is written
//! there.

use crate::error::Failure;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub fn call(what: &str, done: nix::Result<()>) -> Result<(), Failure> {
    done.map_err(|error| Failure::Error(format!("can't mount over {what} in a private namespace: {error}")))
}

/// Keeps what is mounted from now on from the host. The caller has a mount namespace of its own.
pub fn apart() -> Result<(), Failure> {
    let none = None::<&str>;
    call("/", mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none))
}

/// Makes all that is mounted read-only, here and not on the host, and keeps what is mounted later from the
/// host. The caller has a mount namespace of its own.
pub fn read_only() -> Result<(), Failure> {
    let none = None::<&str>;
    call("/", mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))?;
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let mut fields = line.split(' ').skip(4);
        let (Some(path), Some(options)) = (fields.next(), fields.next()) else { continue };
        let path = unescaped(path);
        let kept =
            [("nosuid", MsFlags::MS_NOSUID), ("nodev", MsFlags::MS_NODEV), ("noexec", MsFlags::MS_NOEXEC)];
        let kept = kept.into_iter().filter(|(name, _)| options.split(',').any(|option| option == *name));
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        let flags = kept.fold(flags, |flags, (_, more)| flags | more);
        match mount(none, path.as_path(), none, flags, none) {
            // Hidden by a later mount.
            Err(Errno::ENOENT | Errno::EINVAL) => {}
            done => call(&path.display().to_string(), done)?,
        }
    }
    Ok(())
}

/// A path of mountinfo, which has blanks and some others in octal: `\040`.
fn unescaped(path: &str) -> PathBuf {
    let mut parts = path.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 8));
        bytes.extend(rest.as_bytes());
    }
    PathBuf::from(OsString::from_vec(bytes))
}

pub fn tmpfs(path: &str, options: &str) -> Result<(), Failure> {
    let kind = Some("tmpfs");
    call(path, mount(kind, path, kind, MsFlags::MS_NODEV | MsFlags::MS_NOSUID, Some(options)))
}

pub fn bind(from: &Path, to: &str) -> Result<(), Failure> {
    call(to, mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>))
}

pub fn directory(path: &str, mode: u32) -> Result<(), Failure> {
    fs::create_dir_all(path)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// Mounts an overlay over `path` that keeps all later writes below `layers`. It hides file systems mounted
/// below.
pub fn overlay(layers: &str, path: &str) -> Result<(), Failure> {
    let layer = format!("{layers}{path}");
    let (upper, work) = (format!("{layer}/upper"), format!("{layer}/work"));
    directory(&work, 0o755)?;
    directory(&upper, fs::metadata(path)?.mode() & 0o7777)?;
    let options = format!("lowerdir={path},upperdir={upper},workdir={work}");
    let kind = Some("overlay");
    call(path, mount(kind, path, kind, MsFlags::empty(), Some(options.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_mountinfo_is_read_with_its_blanks() {
        assert_eq!(unescaped("/mnt/a\\040b\\134c\\0401"), Path::new("/mnt/a b\\c 1"));
    }
}
