//! flock(2) on a directory, with a bounded wait. The lock ends with its process, so none is ever left behind.

use super::StoreError;
use super::holder::Holder;
use nix::unistd::Pid;
use qrtotp_clock::Deadline;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A directory whose lock is ours until this is dropped. It is unlocked, not only closed: another thread's
/// child may have inherited the descriptor.
pub(super) struct Locked(File);

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the lock of a directory, with a bounded wait. Kills a holder that makes no progress and passes its
/// pid to `killed`.
pub(super) fn lock(dir: OwnedFd, wait: Duration, mut killed: impl FnMut(Pid)) -> Result<Locked, StoreError> {
    let dir = File::from(dir);
    let mut deadline = Deadline::after(wait);
    let mut holder = Holder::default();
    loop {
        match dir.try_lock() {
            Ok(()) => return Ok(Locked(dir)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(StoreError::std_io("lock", &error)),
        }
        if !deadline.pause() {
            return Err(StoreError::Busy);
        }
        if let Some(pid) = holder.look(&dir, deadline.waited()) {
            killed(pid);
        }
    }
}
