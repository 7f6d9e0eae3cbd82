//! A guard around a held lock. An ordinary user may send signals to a setuid program that they started, and
//! so could freeze it while it holds an account's lock. They may also set a tiny file size limit, which turns
//! a write into a deadly signal. While this guard lives, neither works.

use super::StoreError;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{ResUid, Uid, getresuid, setresuid};

/// Runs `f` while no ordinary user can stop or kill this process.
pub(super) fn with_critical_section<T>(f: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let guard = enter()?;
    let result = f();
    leave(guard)?;
    result
}

#[inline(never)] // one copy in the module, not one for each `f`
fn enter() -> Result<Critical, StoreError> {
    Critical::enter().map_err(|errno| match errno {
        Errno::EFBIG => StoreError::FileSizeLimit,
        errno => StoreError::io("signal mask and user ids", errno),
    })
}

#[inline(never)]
fn leave(guard: Critical) -> Result<(), StoreError> {
    guard.leave().map_err(|errno| StoreError::io("signal mask and user ids", errno))
}

/// Larger than any file that we write, in bytes.
const ENOUGH: rlim_t = 1 << 20;

/// Signals blocked, all three uids root's, file size limit lifted. Undone by [`Critical::leave`].
#[must_use]
pub struct Critical {
    mask: SigSet,
    uids: Option<ResUid>,
    /// Soft and hard limit.
    file_size: Option<(rlim_t, rlim_t)>,
}

impl Critical {
    /// Enters. If it fails, everything is as before.
    ///
    /// # Errors
    /// `EFBIG` if the file size limit is too small and can't be lifted; otherwise the system's error.
    pub fn enter() -> Result<Self, Errno> {
        let mut blocked = SigSet::all();
        // Faults of this thread can't be deferred.
        for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE] {
            blocked.remove(fault);
        }
        let mask = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let mut guard = Self { mask, uids: None, file_size: None };
        match guard.become_unreachable() {
            Ok(()) => Ok(guard),
            Err(errno) => {
                guard.leave()?;
                Err(errno)
            }
        }
    }

    fn become_unreachable(&mut self) -> Result<(), Errno> {
        let uids = getresuid()?;
        let root = Uid::from_raw(0);
        if uids.effective == root && (uids.real != root || uids.saved != root) {
            setresuid(root, root, root)?;
            self.uids = Some(uids);
        }
        let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
        if soft < ENOUGH {
            setrlimit(Resource::RLIMIT_FSIZE, ENOUGH, hard.max(ENOUGH)).map_err(|_| Errno::EFBIG)?;
            self.file_size = Some((soft, hard));
        }
        Ok(())
    }

    /// Leaves and restores everything. Call it after the lock is released.
    ///
    /// # Errors
    /// Something could not be restored; the caller must deny.
    pub fn leave(mut self) -> Result<(), Errno> {
        self.restore()
    }

    fn restore(&mut self) -> Result<(), Errno> {
        let limit = match self.file_size.take() {
            Some((soft, hard)) => setrlimit(Resource::RLIMIT_FSIZE, soft, hard),
            None => Ok(()),
        };
        let uids = match self.uids.take() {
            Some(uids) => setresuid(uids.real, uids.effective, uids.saved),
            None => Ok(()),
        };
        let mask = self.mask.thread_set_mask();
        limit.and(uids).and(mask)
    }
}

impl Drop for Critical {
    /// For a panic on the way; after [`Critical::leave`] it restores only the signal mask again.
    fn drop(&mut self) {
        let _ = self.restore();
    }
}
