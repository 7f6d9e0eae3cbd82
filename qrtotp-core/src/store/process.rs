//! What /proc says of a process: what it is doing, and whether it is in the critical section of a held lock.

use super::sys::{entries, openat};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rustix::fs::CWD;
use std::fs;
use std::str::FromStr;

/// Fields of `/proc/…/stat` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcStat {
    /// One letter: `R` runs or would like to, `D` waits for the disk, …
    pub(super) state: u8,
    /// When it started, in clock ticks since boot.
    pub(super) started: u64,
}

impl ProcStat {
    /// Of thread `thread` of process `pid`. `None` where /proc is missing or says something else.
    pub(super) fn of(pid: i32, thread: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?)
    }

    /// The second field is the program's name, in parentheses: its owner chose it, so it may hold any character. The kernel
    /// gives at most 64 bytes of it.
    fn parse(line: &[u8]) -> Option<Self> {
        let name_end = line[..line.len().min(80)].iter().rposition(|byte| *byte == b')')?;
        let mut fields = line.get(name_end + 2..)?.split(|byte| *byte == b' ');
        Some(Self { state: *fields.next()?.first()?, started: number(fields.nth(18)?)? })
    }
}

fn number<T: FromStr>(field: &[u8]) -> Option<T> {
    str::from_utf8(field).ok()?.parse().ok()
}

/// What a thread in the critical section has: all four uids root's, and nearly every signal blocked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    uids: String,
    blocked: String,
}

impl Guarded {
    /// Of this thread, which is in the critical section.
    pub(super) fn of_this_thread() -> Option<Self> {
        let ours = Self::parse(&fs::read_to_string("/proc/thread-self/status").ok()?)?;
        ours.uids.split_ascii_whitespace().all(|uid| uid == "0").then_some(ours)
    }

    /// The thread of `pid` that has exactly this.
    pub(super) fn thread_of(&self, pid: i32) -> Option<i32> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let threads = openat(CWD, format!("/proc/{pid}/task"), flags, Mode::empty()).ok()?;
        let mut threads =
            entries(threads).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok());
        threads.find(|thread| {
            let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status"));
            status.is_ok_and(|status| Self::parse(&status).as_ref() == Some(self))
        })
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name| Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned());
        Some(Self { uids: field("Uid:")?, blocked: field("SigBlk:")? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_with_a_spiteful_name_is_read_rightly() {
        let line = b"7 (a) S 9 (x) T 4 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 5 1 0 12345 8192000 226 18446744073709551615 \
                    1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 3 0 0 0";
        let stat = ProcStat::parse(line).unwrap();
        assert_eq!(stat, ProcStat { state: b'T', started: 12345 });
    }

    #[test]
    fn this_thread_is_read_as_it_is() {
        let (pid, thread) = (rustix::process::getpid(), rustix::thread::gettid());
        let stat = ProcStat::of(pid.as_raw_nonzero().get(), thread.as_raw_nonzero().get()).unwrap();
        assert_eq!(stat.state, b'R');
        assert!(ProcStat::of(1, 1).is_some_and(|first| first.started < stat.started));
    }
}
