//! flock(2) on a directory, waited for a bounded time. It ends with its process, so none is ever left behind.

use super::StoreError;
use super::holder::Holder;
use crate::clock::Deadline;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Takes the lock of a directory, waiting a bounded time. Whoever holds it and does not get on is killed.
pub(super) fn lock(dir: OwnedFd, wait: Duration) -> Result<Flock<OwnedFd>, StoreError> {
    let mut deadline = Deadline::after(wait);
    let mut holder = Holder::default();
    let mut dir = dir;
    loop {
        match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((returned, Errno::EWOULDBLOCK | Errno::EINTR)) => dir = returned,
            Err((_, errno)) => return Err(StoreError::io("lock", errno)),
        }
        if !deadline.pause() {
            return Err(StoreError::Busy);
        }
        holder.look(&dir, deadline.waited());
    }
}
