//! System calls that no crate has in a safe form. A crate of its own, because all of ours but the module's face forbid unsafe
//! code. By syscall(2) and not by the C library's functions: each function that the module names is looked up whenever it is
//! loaded, and that one is named already.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod clock;

/// The number of the policy by which the kernel schedules this thread: sched_getscheduler(2), without
/// `SCHED_RESET_ON_FORK`. `None`: it does not tell.
#[must_use]
pub fn scheduling_policy() -> Option<i32> {
    // SAFETY: the call takes a number, of which 0 is this thread, and touches no memory of ours.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    Some(i32::try_from(policy).ok().filter(|policy| *policy >= 0)? & !libc::SCHED_RESET_ON_FORK)
}

/// Schedules this thread by a policy that has no priorities: sched_setscheduler(2) with `SCHED_OTHER`, `SCHED_BATCH` or
/// `SCHED_IDLE`; the nice value stays. False: the kernel refused.
#[must_use]
pub fn set_scheduling_policy(policy: i32) -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call takes two numbers, of which 0 is this thread, and reads one `sched_param`, which is ours.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameters) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_is_scheduled_as_proc_says() {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        let field = stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(38));
        assert_eq!(scheduling_policy().map(|policy| policy.to_string()).as_deref(), field, "{stat}");
    }

    #[test]
    fn a_thread_may_be_scheduled_below_the_others_and_not_by_a_policy_that_there_is_not() {
        let thread = std::thread::spawn(|| {
            assert!(set_scheduling_policy(libc::SCHED_IDLE));
            assert_eq!(scheduling_policy(), Some(libc::SCHED_IDLE));
            assert!(!set_scheduling_policy(-1) && !set_scheduling_policy(libc::SCHED_FIFO));
            assert_eq!(scheduling_policy(), Some(libc::SCHED_IDLE));
        });
        assert!(thread.join().is_ok());
    }
}
