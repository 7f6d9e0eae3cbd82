//! Kills a process that holds an account's lock and makes no progress.
//!
//! A user can freeze their own setuid program with a control group that was delegated to them. Neither uids
//! nor a signal mask prevent that. A process that waits for the lock as root kills such a holder. This is
//! safe: a process in the critical section runs our code, and a kill at any instant leaves the record whole.

use super::layout::STATE;
use nix::fcntl::AtFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{fstat, fstatat, major, minor};
use nix::unistd::{Pid, getpid};
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

/// Wait before the first look at the holder, which normally needs milliseconds.
const PATIENCE: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a holder may show no progress.
const GRACE: Duration = Duration::from_millis(500);

/// A waiting process's observations of the lock's holder.
#[derive(Default)]
pub(super) struct Holder {
    next_look: Duration,
    /// The last sight, and the wait at which it was first seen.
    seen: Option<(Sight, Duration)>,
}

/// The thread that holds the lock, and the account's last write. A program with many threads may hold the
/// lock for long, but each turn usually ends with a write. Counters of context switches would not do, because
/// the attacker who freezes it controls them.
#[derive(PartialEq, Eq)]
struct Sight {
    pid: Pid,
    thread: OsString,
    written: Option<(i64, i64)>,
}

impl Holder {
    /// Checks the holder of the lock of `dir`, if the wait was long enough. Returns the process that it
    /// killed.
    pub(super) fn look(&mut self, dir: impl AsFd, waited: Duration) -> Option<Pid> {
        if waited < self.next_look.max(PATIENCE) {
            return None;
        }
        self.next_look = waited + LOOK_EVERY;
        let pid = self.stuck(Sight::now(dir), waited)?;
        kill(pid, Signal::SIGKILL).ok().map(|()| pid)
    }

    /// The process, if it stayed in the same state for too long.
    fn stuck(&mut self, sight: Option<Sight>, waited: Duration) -> Option<Pid> {
        let unchanged = self.seen.take().filter(|(seen, _)| Some(seen) == sight.as_ref());
        let since = unchanged.map_or(waited, |(_, since)| since);
        let (pid, _) = self.seen.insert((sight?, since));
        let pid = pid.pid;
        (waited >= since + GRACE).then_some(pid)
    }
}

impl Sight {
    /// The holder, if it is another process in the critical section that does not wait for the disk. `None`
    /// also if this is uncertain: we are not root, /proc is missing or shows another pid namespace, or the
    /// holder is not visible here.
    fn now(dir: impl AsFd) -> Option<Self> {
        let ours = fs::read_to_string("/proc/thread-self/status").ok()?;
        let in_proc = fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()?;
        let (uids, _) = guard(&ours)?;
        if getpid() != Pid::from_raw(in_proc) || uids.split_ascii_whitespace().any(|uid| uid != "0") {
            return None;
        }
        let stat = fstat(&dir).ok()?;
        let place = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
        let pid =
            holder_of(&fs::read_to_string("/proc/locks").ok()?, &place).filter(|pid| *pid != getpid())?;
        let mut guarded = None;
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if guard(&status) == guard(&ours) {
                if field(&status, "State:")?.starts_with('D') {
                    return None;
                }
                guarded = guarded.or(Some(entry.file_name()));
            }
        }
        let thread = guarded?;
        let state = fstatat(dir, STATE, AtFlags::AT_SYMLINK_NOFOLLOW).ok();
        Some(Self { pid, thread, written: state.map(|state| (state.st_mtime, state.st_mtime_nsec)) })
    }
}

/// The signs of a thread in the critical section: its four uids, all root's, and its blocked signals, nearly
/// all. `status` is /proc/PID/task/TID/status (proc(5)).
fn guard(status: &str) -> Option<(&str, &str)> {
    Some((field(status, "Uid:")?, field(status, "SigBlk:")?))
}

fn field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The process that holds the flock on `place`, according to /proc/locks (proc(5)). Waiting processes are
/// marked with an arrow.
fn holder_of(locks: &str, place: &str) -> Option<Pid> {
    let pid = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, pid, at, ..] if at == place => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    });
    pid.map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::critical::with_critical_section;
    use crate::lock::lock;
    use std::os::fd::OwnedFd;

    /// The broker's threads wait for each other on a slow disk.
    #[test]
    fn another_thread_of_ones_own_process_is_never_the_one_to_be_killed() {
        let dir = tempfile::tempdir().unwrap();
        let open = || OwnedFd::from(fs::File::open(dir.path()).unwrap());
        let (locked, known) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                with_critical_section(|| {
                    let _held = lock(open(), Duration::from_secs(1), |_| ())?;
                    locked.wait();
                    known.wait();
                    Ok(())
                })
                .unwrap();
            });
            locked.wait();
            let holder = with_critical_section(|| Ok(Sight::now(open()))).unwrap();
            known.wait();
            assert!(holder.is_none());
        });
    }

    #[test]
    fn a_holder_without_progress_for_half_a_second_is_stuck_and_one_that_writes_or_takes_turns_is_not() {
        let sight = |thread: &str, written| {
            let (pid, thread) = (Pid::from_raw(7), thread.into());
            Some(Sight { pid, thread, written: Some((1, written)) })
        };
        let at = Duration::from_millis;
        let mut holder = Holder::default();
        let mut stuck = |sight, waited| holder.stuck(sight, at(waited)).is_some();
        assert!(!stuck(sight("11", 0), 1500));
        assert!(!stuck(sight("11", 0), 1750));
        assert!(!stuck(sight("12", 0), 2000), "another thread has it");
        assert!(!stuck(sight("12", 5), 2500), "it has written");
        assert!(!stuck(None, 2750), "it waits for the disk");
        assert!(!stuck(sight("12", 5), 3000));
        assert!(!stuck(sight("12", 5), 3499));
        assert!(stuck(sight("12", 5), 3500));
    }

    #[test]
    fn the_guard_of_a_thread_is_read_whatever_its_program_is_called() {
        let status = "Name:\ta\\nUid:\t1\nUmask:\t0022\nState:\tT (stopped)\nUid:\t0\t0\t0\t0\nSigBlk:\tfffffffe7ffbfa17\n";
        assert_eq!(guard(status), Some(("0\t0\t0\t0", "fffffffe7ffbfa17")));
        assert_eq!(guard("Uid:\t0\n"), None);
    }

    #[test]
    fn the_holder_is_found_among_other_locks_and_waiting_processes() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 fe:00:78 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 14 fe:00:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fe:00:79 0 EOF\n";
        assert_eq!(holder_of(locks, "fe:00:77"), Some(Pid::from_raw(13)));
        assert_eq!(holder_of(locks, "fe:00:79"), None, "a process that is not visible here");
        assert_eq!(holder_of(locks, "fe:00:7"), None);
    }
}
