//! What surrounds a held lock. An ordinary user may send signals to a setuid program that they started, and so could
//! freeze it while it holds an account's lock; they may hand it a tiny file size limit, which turns a write into a deadly
//! signal; and they may have it scheduled as the last of all. While this guard lives, none of that works.

use super::StoreError;
use super::scheduling::Scheduling;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{ResUid, Uid, getresuid, setresuid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Runs `f` while nobody can stop, kill or starve this process.
pub(super) fn undisturbed<T>(f: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let guard = Critical::enter().map_err(|errno| match errno {
        Errno::EFBIG => StoreError::FileSizeLimit,
        errno => StoreError::io("signal mask and user ids", errno),
    })?;
    let result = f();
    guard.leave().map_err(|errno| StoreError::io("signal mask and user ids", errno))?;
    result
}

/// Larger than any file that we write, in bytes.
const ENOUGH: u64 = 1 << 20;

/// Signals blocked, all three uids root's, file size limit lifted, scheduled as
/// others are. Undone by [`Critical::leave`].
#[must_use]
pub struct Critical {
    mask: SigSet,
    uids: Option<ResUid>,
    file_size: Option<Rlimit>,
    scheduling: Scheduling,
}

impl Critical {
    /// Enters. If it fails, everything is as before.
    ///
    /// # Errors
    /// `EFBIG` where the file size limit is too small and can't be lifted; otherwise what the system said.
    pub fn enter() -> Result<Self, Errno> {
        let mut blocked = SigSet::all();
        // Faults of our own making can't be waited out.
        for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE] {
            blocked.remove(fault);
        }
        let mask = blocked.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let mut guard = Self { mask, uids: None, file_size: None, scheduling: Scheduling::default() };
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
        let limit = getrlimit(Resource::Fsize);
        // None: there is no limit.
        if limit.current.is_some_and(|soft| soft < ENOUGH) {
            let maximum = limit.maximum.map(|hard| hard.max(ENOUGH));
            let lifted = Rlimit { current: Some(ENOUGH), maximum };
            setrlimit(Resource::Fsize, lifted).map_err(|_| Errno::EFBIG)?;
            self.file_size = Some(limit);
        }
        // Last: with all uids root's, whoever started us can't change it any more.
        self.scheduling = Scheduling::raise();
        Ok(())
    }

    /// Leaves: everything as it was before. Call it once the lock is released.
    ///
    /// # Errors
    /// Something could not be put back; the caller must deny.
    pub fn leave(mut self) -> Result<(), Errno> {
        self.restore()
    }

    fn restore(&mut self) -> Result<(), Errno> {
        self.scheduling.restore();
        let limit = match self.file_size.take() {
            Some(limit) => setrlimit(Resource::Fsize, limit).map_err(|e| Errno::from_raw(e.raw_os_error())),
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
    /// For a panic on the way; after [`Critical::leave`] it repeats nothing but the signal mask.
    fn drop(&mut self) {
        let _ = self.restore();
    }
}
