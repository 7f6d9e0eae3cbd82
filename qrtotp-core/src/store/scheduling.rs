//! How the kernel schedules this thread while it holds a lock. A setuid program inherits what the user who started it
//! chose: an idle class, nice 19, one busy CPU. So the lock could be held for as long as that user keeps the CPU busy.

use kernel_calls::{scheduling_policy, set_scheduling_policy};
use rustix::process::{Pid, getpriority_process, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The kernel's numbers of `SCHED_OTHER`, `SCHED_BATCH` and `SCHED_IDLE`.
const OTHER: i32 = 0;
const BATCH: i32 = 3;
const IDLE: i32 = 5;

const OURSELVES: Option<Pid> = None;
const FIRST: Option<Pid> = Some(Pid::INIT);

/// What was worse than normal and is to be put back.
#[derive(Default)]
pub(super) struct Scheduling {
    policy: Option<i32>,
    nice: Option<i32>,
    cpus: Option<CpuSet>,
}

impl Scheduling {
    /// Brings this thread up to `SCHED_OTHER`, nice 0 and the CPUs of the first process; what is better stays. Where the
    /// kernel refuses, things stay as they were: the lock is then held for longer, no less safely.
    pub(super) fn raise() -> Self {
        let mut before = Self::default();
        if let (Some(policy), Ok(nice)) = (scheduling_policy(), getpriority_process(OURSELVES)) {
            let lower = policy == BATCH || policy == IDLE;
            if lower && set_scheduling_policy(OTHER) {
                before.policy = Some(policy);
            }
            if nice > 0 && setpriority_process(OURSELVES, 0).is_ok() {
                before.nice = Some(nice);
            }
        }
        if let (Ok(ours), Ok(all)) = (sched_getaffinity(OURSELVES), sched_getaffinity(FIRST))
            && ours != all
            && lacks_some(&ours, &all)
            && sched_setaffinity(OURSELVES, &all).is_ok()
        {
            before.cpus = Some(ours);
        }
        before
    }

    /// Puts back what [`Scheduling::raise`] changed. The kernel never refuses to lower.
    pub(super) fn restore(&mut self) {
        if let Some(policy) = self.policy.take() {
            let _ = set_scheduling_policy(policy);
        }
        if let Some(nice) = self.nice.take() {
            let _ = setpriority_process(OURSELVES, nice);
        }
        if let Some(cpus) = self.cpus.take() {
            let _ = sched_setaffinity(OURSELVES, &cpus);
        }
    }
}

fn lacks_some(ours: &CpuSet, all: &CpuSet) -> bool {
    (0..CpuSet::MAX_CPU).any(|cpu| all.is_set(cpu) && !ours.is_set(cpu))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::critical::Critical;
    use nix::unistd::geteuid;

    /// (policy, nice, whether this thread lacks CPUs)
    fn now() -> (i32, i32, bool) {
        let all = sched_getaffinity(FIRST).unwrap();
        (
            scheduling_policy().unwrap(),
            getpriority_process(OURSELVES).unwrap(),
            lacks_some(&sched_getaffinity(OURSELVES).unwrap(), &all),
        )
    }

    fn starve(policy: i32, nice: i32) {
        assert!(set_scheduling_policy(policy));
        setpriority_process(OURSELVES, nice).unwrap();
        let ours = sched_getaffinity(OURSELVES).unwrap();
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|cpu| ours.is_set(*cpu)).unwrap());
        sched_setaffinity(OURSELVES, &one).unwrap();
    }

    #[test]
    fn a_starved_thread_runs_as_normal_under_the_lock_and_as_before_afterwards() {
        if !geteuid().is_root() {
            return; // nobody else may raise anything
        }
        // In a thread of its own: the others keep their scheduling.
        std::thread::spawn(|| {
            for (policy, nice) in [(IDLE, 19), (IDLE, 0), (BATCH, 7), (OTHER, 11)] {
                starve(policy, nice);
                let before = now();
                assert_eq!((before.0, before.1), (policy, nice));
                let guard = Critical::enter().unwrap();
                assert_eq!(now(), (OTHER, 0, false));
                guard.leave().unwrap();
                assert_eq!(now(), before);
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_better_than_normal_stays() {
        if !geteuid().is_root() {
            return;
        }
        std::thread::spawn(|| {
            setpriority_process(OURSELVES, -5).unwrap();
            let guard = Critical::enter().unwrap();
            assert_eq!(now().1, -5);
            guard.leave().unwrap();
            assert_eq!(now().1, -5);
        })
        .join()
        .unwrap();
    }
}
