//! Recognises our transactions by the addresses of their handles: nothing that a caller can choose, such as
//! the service's name, an item or a variable, makes a transaction ours.

use crate::libpam::Handle;
use std::ffi::{CStr, c_int};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Most concurrent inner transactions of one process; another one is refused. Every login loads this table:
/// 256 entries take one more page, a mapping of its own and 1,500 instructions.
const AT_ONCE: usize = 64;

static OURS: [AtomicPtr<Handle>; AT_ONCE] = [const { AtomicPtr::new(ptr::null_mut()) }; AT_ONCE];

/// The function, of type `IsOurs`, through which the broker's child tells the module whether a transaction
/// is the broker's.
pub const EXPORTED: &CStr = c"qrtotpd_is_inner_transaction";
type IsOurs = extern "C" fn(*const Handle) -> c_int;

/// An entry of [`OURS`], until it is dropped.
pub(crate) struct Registered(&'static AtomicPtr<Handle>);

impl Registered {
    /// `None`: too many at once.
    pub(crate) fn new(handle: *mut Handle) -> Option<Self> {
        let free = |place: &&AtomicPtr<Handle>| {
            place.compare_exchange(ptr::null_mut(), handle, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        OURS.iter().find(free).map(Self)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.store(ptr::null_mut(), Ordering::Release);
    }
}

/// Whether this image began the transaction.
#[must_use]
pub fn is_ours(handle: *const Handle) -> bool {
    !handle.is_null() && OURS.iter().any(|place| ptr::eq(place.load(Ordering::Acquire), handle))
}

/// As [`is_ours`]; also asks the program, if it is `qrtotpd`.
#[must_use]
pub fn is_ours_or_the_brokers(handle: *const Handle) -> bool {
    if is_ours(handle) {
        return true;
    }
    // SAFETY: the name is a C string; the call only looks it up among loaded symbols.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, EXPORTED.as_ptr()) };
    if symbol.is_null() {
        return false;
    }
    // SAFETY: only qrtotpd exports this name, as a function of this type.
    let is_ours = unsafe { std::mem::transmute::<*mut libc::c_void, IsOurs>(symbol) };
    is_ours(handle) != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_transaction_is_ours_from_its_registration_to_its_end_and_never_after() {
        let mut bytes = [0_u8; 2];
        let handle: *mut Handle = bytes.as_mut_ptr().cast();
        assert!(!is_ours(handle) && !is_ours(ptr::null()));
        let registered = Registered::new(handle).unwrap();
        assert!(is_ours(handle) && !is_ours(handle.wrapping_byte_add(1)));
        drop(registered);
        assert!(!is_ours_or_the_brokers(handle));
    }
}
