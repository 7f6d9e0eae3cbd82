//! Protects the memory of a process that handles secrets.

use std::hint::black_box;

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Keeps this process's memory out of core dumps, out of reach of the same user's other processes and, if the
/// limits allow it, out of swap. Best effort: a kernel that refuses is no reason to stop.
pub fn shield_memory() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
    lock_memory();
}

/// Keeps all present and future memory from being swapped out, each page once it is used. Does nothing under
/// a limit.
pub fn lock_memory() {
    let on_fault = MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault);
    if locked.is_ok() && is_limited() {
        unlock_memory();
    }
}

/// For a process that is about to drop the capability (CAP_IPC_LOCK) that lifts the limit: new memory would
/// be denied.
pub fn unlock_memory() {
    let _ = munlockall();
}

/// Whether locking all memory could make a later allocation fail, because more than the limit (setrlimit(2),
/// bytes) is refused. Asks the kernel, which knows the capabilities that lift the limit. Reserved memory
/// counts, too: 64 MiB for each thread's heap.
fn is_limited() -> bool {
    match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((RLIM_INFINITY, _)) => false,
        Ok((limit, _)) => usize::try_from(limit).map_or(true, |limit| {
            black_box(Vec::<u8>::new()).try_reserve_exact(limit.saturating_add(1)).is_err()
        }),
        Err(_) => true,
    }
}
