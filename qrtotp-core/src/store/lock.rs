//! flock(2) on a directory, waited for a bounded time. It ends with its process, so none is ever left behind.

use super::StoreError;
use super::holder::Holder;
use super::sys::{try_lock, unlock};
use crate::clock::Deadline;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A directory whose lock is ours until this is dropped. (Unlocked, not only closed: another thread's child may have
/// inherited the descriptor.)
pub(super) struct Locked(OwnedFd);

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = unlock(&self.0);
    }
}

/// Takes the lock of a directory, waiting a bounded time. Whoever holds it and does not get on is killed.
pub(super) fn lock(dir: OwnedFd, wait: Duration) -> Result<Locked, StoreError> {
    let mut deadline = Deadline::after(wait);
    let mut holder = Holder::default();
    loop {
        match try_lock(&dir) {
            Ok(()) => return Ok(Locked(dir)),
            Err(Errno::EWOULDBLOCK | Errno::EINTR) => {}
            Err(errno) => return Err(StoreError::io("lock", errno)),
        }
        if !deadline.pause() {
            return Err(StoreError::Busy);
        }
        holder.look(&dir, deadline.waited());
    }
}
