//! Failing system calls: the calls that a program makes, and the program that makes one of them fail: strace,
//! or tests/c/short_io.c.

use std::collections::BTreeMap;

use crate::Sandbox;

/// strace's output file in the sandbox.
const TRACE: &str = "/tmp/trace";

/// One failing call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub call: String,
    /// Its number among the calls of this name, from 1.
    pub nth: u32,
    /// In strace's words: `error=EIO`, or `retval=0` for a call that claims to have done nothing; or
    /// [`SHORT`].
    pub effect: &'static str,
}

/// The call is made, but for half of the bytes.
pub const SHORT: &str = "short";

/// Calls that can't fail, or whose failure has no remedy: the kernel releases the resource in any case.
pub const LEFT_OUT: [&str; 10] = [
    "exit",
    "exit_group",
    "rt_sigreturn",
    "munmap",
    "execve",
    "arch_prctl",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
];

/// Errors of calls that use files, memory, random numbers or sockets; strace's words.
const ERRORS: [&str; 6] =
    ["error=EIO", "error=ENOSPC", "error=EACCES", "error=EINTR", "error=EMFILE", "error=ENOMEM"];

/// The faults of a call, to be tried one at a time.
#[must_use]
pub fn effects(call: &str) -> Vec<&'static str> {
    let more: &[&str] = match call {
        // A call for half of the bytes really reads or writes them; `retval=0` claims the end of the file, or
        // a full disk.
        "read" | "pread64" | "write" | "pwrite64" => &["retval=0", SHORT],
        "recvfrom" | "recvmsg" | "writev" => &["retval=0"],
        "getrandom" => &["error=ENOSYS"],
        // It has no error: it returns the present break, and the C library takes any higher address for
        // success.
        "brk" => return vec!["retval=0"],
        "openat" | "openat2" | "open" | "fsync" | "fdatasync" | "ftruncate" | "fallocate" | "rename"
        | "renameat" | "renameat2" | "mkdirat" | "linkat" | "unlinkat" | "unlink" | "flock" | "mmap"
        | "mremap" | "mprotect" | "mlock2" | "mlock" | "mlockall" | "madvise" | "socket" | "connect"
        | "sendto" => &[],
        // For all other calls it only matters that they fail.
        _ => return vec!["error=EIO", "error=EINTR"],
    };
    [&ERRORS, more].concat()
}

impl Fault {
    /// The words that run a program with this fault.
    #[must_use]
    pub fn injector(&self, sandbox: &Sandbox) -> Vec<String> {
        if self.effect == SHORT {
            let program = sandbox.install_c("short_io.c", &[]);
            return vec![program, TRACE.to_owned(), self.call.clone(), self.nth.to_string()];
        }
        let inject = format!("inject={}:{}:when={}", self.call, self.effect, self.nth);
        let words = [
            "strace",
            "-o",
            TRACE,
            "-e",
            &format!("trace={}", self.call),
            "-e",
            "signal=none",
            "-e",
            &inject,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// The call that met the fault, as strace shows it; `None` if the program made fewer calls.
    #[must_use]
    pub fn hit(sandbox: &Sandbox) -> Option<String> {
        sandbox.read(TRACE).lines().find(|line| line.ends_with("(INJECTED)")).map(str::to_owned)
    }
}

/// The words that record all of a program's calls.
pub const WATCH: [&str; 5] = ["strace", "-o", TRACE, "-e", "signal=none"];

/// The module's first call: the first step on the way to its configuration.
const HOOK: &str = "(AT_FDCWD, \"/etc\", ";

/// The PAM application's output after the last of our hooks.
const END: &str = "write(1, \"end=";

/// The place of a call.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its number among the calls of its name, from 1.
    pub nth: u32,
    /// Libpam makes it: before it calls our hook, or to report to the kernel's audit. We don't judge its
    /// results.
    pub libpams: bool,
}

/// The calls of the last watched program from the first that contains `start` on: each name with its places.
/// `wanted` selects them by strace's text.
#[must_use]
pub fn calls(sandbox: &Sandbox, start: &str, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<Place>> {
    let trace = sandbox.read(TRACE);
    assert!(trace.contains(start), "no {start} in {trace}");
    let (mut begun, mut seen, mut calls) = (false, BTreeMap::<_, u32>::new(), BTreeMap::<_, Vec<_>>::new());
    let mut libpams = trace.contains(HOOK);
    for line in trace.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        begun = !line.starts_with(END) && (begun || line.contains(start));
        libpams = line.contains("NETLINK_AUDIT")
            || (libpams && !line.contains(HOOK) && !line.starts_with("write(1, "));
        let nth = seen.entry(name.to_owned()).or_default();
        *nth += 1;
        if begun && !LEFT_OUT.contains(&name) && wanted(line) {
            calls.entry(name.to_owned()).or_default().push(Place { nth: *nth, libpams });
        }
    }
    calls
}

/// Whether the failed call uses the application's own standard streams, to which it prints its report.
#[must_use]
pub fn is_own_stream(hit: &str) -> bool {
    let first = hit.split_once('(').map_or("", |(_, rest)| rest);
    ["0,", "1,", "2,"].iter().any(|stream| first.starts_with(stream))
        && ["read", "write", "newfstatat", "fstat", "ioctl", "poll"].iter().any(|name| hit.starts_with(name))
}

/// Whether the failed call writes to the log, or belongs to libpam's report to the kernel's audit.
#[must_use]
pub fn is_logging(hit: &str) -> bool {
    ["/dev/log", "SOCK_DGRAM", "NETLINK", "NLMSG"].iter().any(|log| hit.contains(log))
        || (hit.starts_with("sendto") && hit.contains("\"<8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_ours_is_excused() {
        assert!(is_own_stream("write(1, \"end=0\\n\", 6) = -1 EIO (Input/output error) (INJECTED)"));
        assert!(!is_own_stream("pwrite64(8, \"QRTS\", 88, 0) = -1 EIO (Input/output error) (INJECTED)"));
        assert!(is_logging(
            "sendto(6, \"<86>Nov 24\"..., 138, MSG_NOSIGNAL, NULL, 0) = -1 EACCES (INJECTED)"
        ));
        assert!(!is_logging("connect(6, {sa_family=AF_UNIX, sun_path=\"/var/run/nscd/socket\"}, 110) = -1"));
    }
}
