//! Parts of the host, besides files, that a login needs: the clock, the broker, the system log.

use super::report::Finding;
use qrtotp_clock::{Clock, Discipline};
use qrtotp_values::EARLIEST_PLAUSIBLE;
use qrtotp_wire::{ConnectError, DEFAULT_SOCKET, Request, Response, connect};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where systemd notes that the broker is switched on.
const SWITCHED_ON: &str = "/etc/systemd/system/sockets.target.wants/qrtotpd.socket";
/// Where logins are logged.
pub const LOG: &str = "/dev/log";
/// Microseconds by which a clock may be off before codes begin to fail.
const MUCH: i64 = 5_000_000;

pub fn clock(clock: &impl Clock) -> Finding {
    if clock.now() < EARLIEST_PLAUSIBLE {
        return Finding::fail("clock", "clock", "every login is denied: this host's clock is before 2020")
            .fix("set it");
    }
    match clock.discipline() {
        None => Finding::info("clock", "clock", "the kernel does not tell here whether anything keeps it right"),
        Some(Discipline { synchronized: false, .. }) => {
            Finding::warn("clock", "clock", "nothing keeps it right, as far as the kernel knows")
                .why("where it is off, codes are refused; in a virtual machine whose host sets its clock it may be right all the same")
                .fix("start a time service (systemd-timesyncd; chrony with `rtcsync`; ntpd) and compare it with `date -u`")
        }
        Some(Discipline { offset, max_error, .. }) => {
            let text = format!(
                "a time service keeps it right; off by at most {} ms, {} ms being corrected",
                max_error / 1000,
                offset / 1000
            );
            if max_error > MUCH || offset.abs() > MUCH {
                let fix = "look at the time service: its server can't be reached, or the clock was far off";
                Finding::warn("clock", "clock", &text).fix(fix)
            } else {
                Finding::ok("clock", "clock", &text)
            }
        }
    }
}

/// Whether the broker is meant to run. One that was named must be there.
pub fn broker_is_on(named: Option<&Path>) -> bool {
    named.is_some() || Path::new(DEFAULT_SOCKET).exists() || Path::new(SWITCHED_ON).exists()
}

/// Asks it for the caller's own status, which changes nothing.
pub fn broker(named: Option<&Path>) -> Finding {
    let socket = named.unwrap_or(Path::new(DEFAULT_SOCKET));
    let shown = socket.display().to_string();
    let mut line = match connect(socket, PATIENCE) {
        Ok(line) => line,
        Err(ConnectError::Absent) if !broker_is_on(named) => {
            let what = "is off: only root enrols by command, and screen lockers can't check codes";
            return Finding::ok("broker", "broker", what);
        }
        Err(error) => {
            return Finding::fail("broker", &shown, &error.to_string())
                .why("users without root can neither enrol by command nor unlock a screen");
        }
    };
    let asked = line.request(&Request::Status { json: true });
    match asked.and_then(|()| line.receive::<Response>()) {
        Ok(Response::Failed(_)) => Finding::fail("broker", &shown, "answers that it can't work")
            .fix("the log says why: grep service=qrtotpd"),
        Ok(_) => Finding::ok("broker", &shown, "answers"),
        Err(error) => Finding::fail("broker", &shown, &format!("takes calls, but does not answer: {error}"))
            .fix("systemctl status qrtotpd.service"),
    }
}

/// Connects, and sends nothing.
pub fn log(path: &Path) -> Finding {
    let shown = path.display().to_string();
    let Err(error) = UnixDatagram::unbound().and_then(|socket| socket.connect(path)) else {
        return Finding::ok("log", &shown, "a logger listens there");
    };
    // A stream socket, as syslog-ng uses. A logger listens on it; the socket's owner does not matter.
    match connect(path, PATIENCE) {
        Ok(_) | Err(ConnectError::Untrusted) => Finding::ok("log", &shown, "a logger listens there"),
        Err(ConnectError::Busy) => Finding::warn("log", &shown, "the logger there accepts no connection")
            .why("logins may wait for it, and nothing of them is logged")
            .fix("restart the system's logger"),
        Err(_) => Finding::warn("log", &shown, &error.to_string())
            .why("logins work, but nothing of them is logged")
            .fix("start systemd-journald or rsyslog"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::report::Severity;
    use super::*;
    use qrtotp_values::UnixTime;

    struct Host(UnixTime, Option<Discipline>);

    impl Clock for Host {
        fn now(&self) -> UnixTime {
            self.0
        }
        fn discipline(&self) -> Option<Discipline> {
            self.1
        }
    }

    #[test]
    fn a_clock_is_fine_only_while_something_keeps_it_right() {
        let kept = |synchronized, offset, max_error| Some(Discipline { synchronized, offset, max_error });
        for (discipline, severity) in [
            (kept(true, -120_000, 70_000), Severity::Ok),
            (kept(false, 0, 16_000_000), Severity::Warn),
            (kept(true, 0, 6_000_000), Severity::Warn),
            (kept(true, -6_000_000, 0), Severity::Warn),
            (None, Severity::Info),
        ] {
            assert_eq!(clock(&Host(1_790_000_000, discipline)).severity, severity, "{discipline:?}");
        }
        assert_eq!(clock(&Host(1_000_000_000, kept(true, 0, 0))).severity, Severity::Fail);
    }

    #[test]
    fn a_logger_that_takes_nothing_is_a_warning_and_nothing_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let listens = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(log(&path).severity, Severity::Ok);
        let callers: Vec<_> = (0..).map_while(|_| connect(&path, Duration::ZERO).ok()).collect();
        assert!(log(&path).what.contains("accepts no connection"), "{}", callers.len());
        drop(listens);
        assert!(log(&path).why.contains("nothing of them is logged"));
    }

    #[test]
    fn a_broker_that_was_named_and_does_not_listen_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert_eq!(broker(Some(&path)).severity, Severity::Fail, "not there");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(broker(Some(&path)).severity, Severity::Fail, "nobody behind it");
    }
}
