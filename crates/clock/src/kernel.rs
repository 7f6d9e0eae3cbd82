//! The kernel's view of how accurate its clock is: adjtimex(2), read-only, which needs no privilege.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;

/// How the clock is kept right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Some time service keeps it right, and has done so lately.
    pub synchronized: bool,
    /// The correction that is being applied, in microseconds.
    pub offset: i64,
    /// The maximum error that the time service reports, in microseconds. It grows while nothing corrects the
    /// clock.
    pub max_error: i64,
}

/// Asks the kernel. `None`: it does not tell, for example in a container that may not ask. It is not asked if
/// system calls are filtered: the filter may kill a process for a call that it does not expect.
#[must_use]
pub(crate) fn read() -> Option<Discipline> {
    let unused: libc::c_ulong = 0; // an omitted argument makes glibc pass on stale registers
    // SAFETY: the call takes no pointer.
    match unsafe { libc::prctl(libc::PR_GET_SECCOMP, unused, unused, unused, unused) } {
        0 => {}
        -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) => {} // a kernel without filters
        _ => return None,
    }
    let mut clock = MaybeUninit::<libc::timex>::zeroed(); // modes = 0: change nothing
    // SAFETY: adjtimex reads and writes one `timex`, which is ours and stays valid whether the call fails or
    // not: it consists of numbers and was zeroed.
    let (state, clock) = unsafe { (libc::adjtimex(clock.as_mut_ptr()), clock.assume_init()) };
    (state >= 0).then(|| interpret(state, &clock))
}

#[allow(clippy::useless_conversion, reason = "the numbers are 32 bits wide on some architectures")]
fn interpret(state: c_int, clock: &libc::timex) -> Discipline {
    let nanoseconds = clock.status & libc::STA_NANO != 0;
    Discipline {
        synchronized: state != libc::TIME_ERROR && clock.status & libc::STA_UNSYNC == 0,
        offset: i64::from(if nanoseconds { clock.offset / 1000 } else { clock.offset }),
        max_error: i64::from(clock.maxerror),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn discipline(state: c_int, status: libc::c_int) -> Discipline {
        // SAFETY: a `timex` is numbers only.
        let mut clock: libc::timex = unsafe { std::mem::zeroed() };
        (clock.status, clock.offset, clock.maxerror) = (status, -5000, 70_000);
        interpret(state, &clock)
    }

    #[test]
    fn a_clock_is_synchronised_only_if_neither_the_state_nor_the_status_says_otherwise() {
        assert!(discipline(libc::TIME_OK, libc::STA_PLL).synchronized);
        assert!(discipline(libc::TIME_INS, 0).synchronized, "a leap second is coming");
        assert!(!discipline(libc::TIME_ERROR, 0).synchronized);
        assert!(!discipline(libc::TIME_OK, libc::STA_UNSYNC).synchronized);
    }

    #[test]
    fn times_are_microseconds_whatever_the_kernel_counts_in() {
        assert_eq!((discipline(0, 0).offset, discipline(0, 0).max_error), (-5000, 70_000));
        assert_eq!(
            (discipline(0, libc::STA_NANO).offset, discipline(0, libc::STA_NANO).max_error),
            (-5, 70_000)
        );
    }

    #[test]
    fn this_host_tells_of_its_clock_and_leaves_it_alone() {
        let before = read().unwrap();
        assert!(before.max_error >= 0);
        assert_eq!(read().unwrap().synchronized, before.synchronized);
    }
}
