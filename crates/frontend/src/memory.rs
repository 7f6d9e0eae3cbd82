//! What protects the memory of a process that secrets pass through.

use std::hint::black_box;

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// A crash does not write this process's memory to disk, no other process of the same user looks into it, and
/// it is not swapped out where no limit is in the way. Best effort: a kernel that refuses is no reason to
/// refuse to work.
pub fn shield_memory() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
    lock_memory();
}

/// Keeps all that is in memory, and all that comes, from being swapped out, each page once it is used. Under
/// a limit: nothing.
pub fn lock_memory() {
    let on_fault = MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault);
    if locked.is_ok() && is_limited() {
        unlock_memory();
    }
}

/// For who is about to give up the capability (CAP_IPC_LOCK) that a limit is lifted by: new memory would be
/// denied.
pub fn unlock_memory() {
    let _ = munlockall();
}

/// Whether memory that is wanted later could be denied because all of it is locked: whether more than the
/// limit (setrlimit(2), bytes) can't be had. Whose capabilities lift it, the kernel knows best. What is
/// reserved counts, too: of threads' heaps 64 MiB each.
fn is_limited() -> bool {
    match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((RLIM_INFINITY, _)) => false,
        Ok((limit, _)) => usize::try_from(limit).map_or(true, |limit| {
            black_box(Vec::<u8>::new()).try_reserve_exact(limit.saturating_add(1)).is_err()
        }),
        Err(_) => true,
    }
}
