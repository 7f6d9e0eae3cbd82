//! System calls made without the C library: each of its functions that the module names has to be looked up whenever the
//! module is loaded, at every login. Flags and errors are nix's, as everywhere else.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rustix::fs::{self, AtFlags, Dir, OFlags, RenameFlags};
use rustix::io;
use rustix::path::Arg;
use std::os::fd::{AsFd, OwnedFd};

/// What fstat(2) says of a file.
pub(super) use rustix::fs::Stat;

type Result<T> = std::result::Result<T, Errno>;

fn errno(error: io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

fn mode(mode: Mode) -> fs::Mode {
    fs::Mode::from_raw_mode(mode.bits())
}

pub(super) fn openat(dir: impl AsFd, name: impl Arg, flags: OFlag, made: Mode) -> Result<OwnedFd> {
    let flags = OFlags::from_bits_retain(flags.bits().cast_unsigned());
    fs::openat(dir, name, flags, mode(made)).map_err(errno)
}

pub(super) fn fstat(file: impl AsFd) -> Result<Stat> {
    fs::fstat(file).map_err(errno)
}

/// Of `name` itself, should it be a link.
pub(super) fn lstatat(dir: impl AsFd, name: impl Arg) -> Result<Stat> {
    fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)
}

pub(super) fn mkdirat(dir: impl AsFd, name: impl Arg, made: Mode) -> Result<()> {
    fs::mkdirat(dir, name, mode(made)).map_err(errno)
}

pub(super) fn renameat(dir: impl AsFd, name: impl Arg, to_dir: impl AsFd, to: impl Arg) -> Result<()> {
    fs::renameat(dir, name, to_dir, to).map_err(errno)
}

/// Fails with `EEXIST` where `to` is there.
pub(super) fn rename_new(dir: impl AsFd, name: impl Arg, to_dir: impl AsFd, to: impl Arg) -> Result<()> {
    fs::renameat_with(dir, name, to_dir, to, RenameFlags::NOREPLACE).map_err(errno)
}

pub(super) fn unlinkat(dir: impl AsFd, name: impl Arg) -> Result<()> {
    fs::unlinkat(dir, name, AtFlags::empty()).map_err(errno)
}

pub(super) fn rmdirat(dir: impl AsFd, name: impl Arg) -> Result<()> {
    fs::unlinkat(dir, name, AtFlags::REMOVEDIR).map_err(errno)
}

/// What is in a directory, `.` and `..` included.
pub(super) fn entries(dir: impl AsFd) -> Result<Dir> {
    Dir::read_from(dir).map_err(errno)
}

pub(super) fn pread(file: impl AsFd, bytes: &mut [u8], offset: u64) -> Result<usize> {
    io::pread(file, bytes, offset).map_err(errno)
}

/// Writes all of `bytes` at `offset`.
pub(super) fn pwrite_all(file: impl AsFd, bytes: &[u8], offset: u64) -> Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match io::pwrite(&file, &bytes[written..], offset + written as u64) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => written += n,
            Err(io::Errno::INTR) => {}
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(())
}

pub(super) fn fdatasync(file: impl AsFd) -> Result<()> {
    fs::fdatasync(file).map_err(errno)
}

pub(super) fn fsync(file: impl AsFd) -> Result<()> {
    fs::fsync(file).map_err(errno)
}
