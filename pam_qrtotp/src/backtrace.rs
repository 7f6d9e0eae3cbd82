//! Leaves the standard library's backtraces out of the module.
//!
//! The module never prints one, because `guarded` replaces the panic hook. But the standard library's own
//! hook stays linked, with a reader of debug information, an inflater and a demangler: a quarter of the
//! module. That hook gets its frames from libgcc's `_Unwind_Backtrace`. Here that function has no frames, so
//! link-time optimization removes what would print them. Unwinding itself does not call it.

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK` of the Itanium C++ ABI, level I, section 1.2.
const END_OF_STACK: c_int = 5;

/// Never calls `_frame`, as if the stack were empty.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_frame: *const c_void, _data: *mut c_void) -> c_int {
    END_OF_STACK
}

// Not exported: libraries of the host process may want backtraces.
std::arch::global_asm!(".hidden _Unwind_Backtrace");
