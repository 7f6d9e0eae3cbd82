//! What the kernel knows of how right its clock is: adjtimex(2), reading only, which needs no privilege.

/// How the clock is kept right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Some time service keeps it right, and has done so lately.
    pub synchronized: bool,
    /// What is being corrected at the moment, in microseconds.
    pub offset: i64,
    /// How far off it is at most, as the time service says, in microseconds. It grows while nobody corrects the clock.
    pub max_error: i64,
}

/// Asks the kernel. `None`: it does not tell, as where a container may not ask.
#[must_use]
#[cfg(target_pointer_width = "64")]
pub fn read() -> Option<Discipline> {
    let mut clock = std::mem::MaybeUninit::<libc::timex>::zeroed(); // modes = 0: change nothing
    // SAFETY: the kernel reads and writes one `timex`, which is ours and of the C library's form, that of the kernel.
    let state = unsafe { libc::syscall(libc::SYS_adjtimex, clock.as_mut_ptr()) };
    if state < 0 {
        return None;
    }
    // SAFETY: it was zeroed, which is a value of each of its numbers, and then filled in.
    let clock = unsafe { clock.assume_init() };
    Some(interpret(state, &clock))
}

/// Elsewhere the kernel's form of the call is not the C library's.
#[must_use]
#[cfg(not(target_pointer_width = "64"))]
pub fn read() -> Option<Discipline> {
    None
}

#[cfg(target_pointer_width = "64")]
fn interpret(state: libc::c_long, clock: &libc::timex) -> Discipline {
    let nanoseconds = clock.status & libc::STA_NANO != 0;
    Discipline {
        synchronized: state != libc::c_long::from(libc::TIME_ERROR) && clock.status & libc::STA_UNSYNC == 0,
        offset: if nanoseconds { clock.offset / 1000 } else { clock.offset },
        max_error: clock.maxerror,
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(state: libc::c_int, status: libc::c_int) -> Discipline {
        // SAFETY: a `timex` is numbers only.
        let mut clock: libc::timex = unsafe { std::mem::zeroed() };
        (clock.status, clock.offset, clock.maxerror) = (status, -5000, 70_000);
        interpret(state.into(), &clock)
    }

    #[test]
    fn a_clock_is_synchronised_only_if_neither_the_state_nor_the_status_says_otherwise() {
        assert!(said(libc::TIME_OK, libc::STA_PLL).synchronized);
        assert!(said(libc::TIME_INS, 0).synchronized, "a leap second is coming");
        assert!(!said(libc::TIME_ERROR, 0).synchronized);
        assert!(!said(libc::TIME_OK, libc::STA_UNSYNC).synchronized);
    }

    #[test]
    fn times_are_microseconds_whatever_the_kernel_counts_in() {
        assert_eq!((said(0, 0).offset, said(0, 0).max_error), (-5000, 70_000));
        assert_eq!((said(0, libc::STA_NANO).offset, said(0, libc::STA_NANO).max_error), (-5, 70_000));
    }

    #[test]
    fn this_host_tells_of_its_clock_and_leaves_it_alone() {
        let before = read().unwrap();
        assert!(before.max_error >= 0);
        assert_eq!(read().unwrap().synchronized, before.synchronized);
    }
}
