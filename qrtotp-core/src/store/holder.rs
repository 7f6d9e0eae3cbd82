//! A lock's holder that does not get on. No uid and no signal mask keeps a user from freezing or starving a setuid
//! program of theirs by way of a control group that was delegated to them. Whoever waits for the lock ends that: a process
//! in the critical section runs our code, and may be killed at any instant without harm to the record.

use super::process::{Guarded, ProcStat};
use super::sys::fstat;
use nix::sys::stat::{major, minor};
use nix::unistd::getpid;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A holder needs milliseconds. After so long a wait, look who it is.
const PATIENCE: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one process must have been seen without getting on.
const GRACE: Duration = Duration::from_millis(500);

/// Whom a waiting process has seen with the lock.
#[derive(Default)]
pub(super) struct Holder {
    next_look: Option<Duration>,
    seen: Option<Seen>,
}

struct Seen {
    pid: i32,
    started: u64,
    since: Duration,
    process: OwnedFd,
}

impl Holder {
    /// To be called now and then by one who has waited so long for the lock of `dir`.
    pub(super) fn look(&mut self, dir: impl AsFd, waited: Duration) {
        if waited < self.next_look.unwrap_or(PATIENCE) {
            return;
        }
        self.next_look = Some(waited + LOOK_EVERY);
        let Some((pid, started)) = stuck_holder(dir) else {
            self.seen = None;
            return;
        };
        match &self.seen {
            Some(seen) if seen.pid == pid && seen.started == started => {
                if waited >= seen.since + GRACE {
                    let _ = pidfd_send_signal(&seen.process, Signal::KILL);
                }
            }
            _ => {
                let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                self.seen = process.map(|process| Seen { pid, started, since: waited, process });
            }
        }
    }
}

/// Process id and start of who holds the lock in our critical section and is not waiting for the disk. `None` also where
/// that can't be told for certain: not root, no /proc or that of other process numbers, a holder that is not visible here.
fn stuck_holder(dir: impl AsFd) -> Option<(i32, u64)> {
    let guarded = Guarded::of_this_thread()?;
    let ourselves = getpid().to_string();
    if fs::read_link("/proc/self").ok()?.to_str() != Some(&ourselves) {
        return None;
    }
    let stat = fstat(dir).ok()?;
    let place = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let pid = holder_of(&fs::read_to_string("/proc/locks").ok()?, &place)?;
    let stat = ProcStat::of(pid, guarded.thread_of(pid)?)?;
    (stat.state != b'D').then_some((pid, stat.started))
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
    use super::*;

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
