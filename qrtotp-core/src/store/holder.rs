//! A lock's holder that does not get on. No uid and no signal mask keeps a user from freezing or starving a setuid
//! program of theirs by way of a control group that was delegated to them. Whoever waits for the lock ends that: a process
//! in the critical section runs our code, and may be killed at any instant without harm to the record.

use super::file::STATE;
use super::process::{Guarded, ProcStat};
use super::sys::{fstat, lstatat};
use nix::sys::stat::{major, minor};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A holder needs milliseconds. After so long a wait, look who it is.
const PATIENCE: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the same must have been seen.
const GRACE: Duration = Duration::from_millis(500);

/// Whom a waiting process has seen with the lock.
#[derive(Default)]
pub(super) struct Holder {
    next_look: Option<Duration>,
    seen: Option<Seen>,
}

struct Seen {
    sight: Sight,
    since: Duration,
    process: OwnedFd,
}

/// Which thread has the lock, and when the account was last written. (A host with many threads may have it for long, but nearly
/// each time it lets go it has written.) Times the thread was switched out would not do: who freezes it decides those.
#[derive(PartialEq, Eq)]
struct Sight {
    pid: i32,
    /// In clock ticks since boot.
    started: u64,
    thread: i32,
    written: Option<(i64, u64)>,
}

impl Holder {
    /// To be called now and then by one who has waited so long for the lock of `dir`.
    pub(super) fn look(&mut self, dir: impl AsFd, waited: Duration) {
        if waited < self.next_look.unwrap_or(PATIENCE) {
            return;
        }
        self.next_look = Some(waited + LOOK_EVERY);
        if let Some(process) = self.stuck(stuck_holder(dir), waited) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    /// The process that has been seen in one and the same state for too long.
    fn stuck(&mut self, sight: Option<Sight>, waited: Duration) -> Option<&OwnedFd> {
        if sight.is_none() || sight.as_ref() != self.seen.as_ref().map(|seen| &seen.sight) {
            self.seen = sight.and_then(|sight| Seen::new(sight, waited));
        }
        self.seen.as_ref().filter(|seen| waited >= seen.since + GRACE).map(|seen| &seen.process)
    }
}

impl Seen {
    fn new(sight: Sight, since: Duration) -> Option<Self> {
        let process = pidfd_open(Pid::from_raw(sight.pid)?, PidfdFlags::empty()).ok()?;
        Some(Self { sight, since, process })
    }
}

/// Who holds the lock in our critical section and is not waiting for the disk. `None` also where that can't be told for
/// certain: not root, no /proc or that of other process numbers, a holder that is not visible here.
fn stuck_holder(dir: impl AsFd) -> Option<Sight> {
    let guarded = Guarded::of_this_thread()?;
    let ourselves = getpid().as_raw_nonzero().to_string();
    if fs::read_link("/proc/self").ok()?.to_str() != Some(&ourselves) {
        return None;
    }
    let stat = fstat(&dir).ok()?;
    let place = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let pid = holder_of(&fs::read_to_string("/proc/locks").ok()?, &place)?;
    if pid == getpid().as_raw_nonzero().get() {
        return None; // another thread of ours, which is as free as we are
    }
    let thread = guarded.thread_of(pid)?;
    let stat = ProcStat::of(pid, thread)?;
    (stat.state != b'D').then(|| Sight { pid, started: stat.started, thread, written: written(dir) })
}

/// When the hot state in `dir` was last written, in seconds and nanoseconds. `None`: there is none.
fn written(dir: impl AsFd) -> Option<(i64, u64)> {
    let state = lstatat(dir, STATE).ok()?;
    Some((state.st_mtime, state.st_mtime_nsec))
}

/// Who holds the flock on `place`, by the lines of /proc/locks (proc(5)). Those who wait for one are marked with an arrow.
fn holder_of(locks: &str, place: &str) -> Option<i32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, pid, at, ..] if at == place => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The broker's threads wait for each other on a slow disk.
    #[test]
    fn another_thread_of_ones_own_process_is_never_the_one_to_be_killed() {
        use crate::store::{critical::undisturbed, lock::lock};
        let dir = tempfile::tempdir().unwrap();
        let open = || OwnedFd::from(fs::File::open(dir.path()).unwrap());
        let (locked, known) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                undisturbed(|| {
                    let _held = lock(open(), Duration::from_secs(1))?;
                    locked.wait();
                    known.wait();
                    Ok(())
                })
                .unwrap();
            });
            locked.wait();
            let holder = undisturbed(|| Ok(stuck_holder(open()))).unwrap();
            known.wait();
            assert!(holder.is_none());
        });
    }

    #[test]
    fn who_does_not_get_on_for_half_a_second_is_stuck_and_who_writes_or_takes_turns_is_not() {
        let sight = |thread, written| {
            Some(Sight {
                pid: getpid().as_raw_nonzero().get(),
                started: 7,
                thread,
                written: Some((1, written)),
            })
        };
        let at = Duration::from_millis;
        let mut holder = Holder::default();
        let mut stuck = |sight, waited| holder.stuck(sight, at(waited)).is_some();
        assert!(!stuck(sight(11, 0), 1500));
        assert!(!stuck(sight(11, 0), 1750));
        assert!(!stuck(sight(12, 0), 2000), "another thread has it");
        assert!(!stuck(sight(12, 5), 2500), "it has written");
        assert!(!stuck(None, 2750), "it waits for the disk");
        assert!(!stuck(sight(12, 5), 3000));
        assert!(!stuck(sight(12, 5), 3499));
        assert!(stuck(sight(12, 5), 3500));
    }

    #[test]
    fn the_holder_is_found_among_other_locks_and_those_who_wait() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 fe:00:78 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 14 fe:00:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fe:00:79 0 EOF\n";
        assert_eq!(holder_of(locks, "fe:00:77"), Some(13));
        assert_eq!(holder_of(locks, "fe:00:79"), None, "a process that is not visible here");
        assert_eq!(holder_of(locks, "fe:00:7"), None);
    }
}
