//! What a login needs of the host besides files: the clock, the broker, the system log.

use super::report::Report;
use qrtotp_core::clock::{Clock, Discipline, EARLIEST_PLAUSIBLE};
use qrtotp_core::wire::{ConnectError, DEFAULT_SOCKET, Request, Say, connect};
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

pub fn clock(clock: &impl Clock, report: &mut Report) {
    let mut about = report.about("clock", "");
    if clock.now() < EARLIEST_PLAUSIBLE {
        return about.fail("every login is denied: this host's clock is before 2020", "set it");
    }
    match clock.discipline() {
        None => about.skip("the kernel does not tell here whether anything keeps it right", ""),
        Some(Discipline { synchronized: false, .. }) => about.warn(
            "nothing keeps it right, as far as the kernel knows; where it is off, codes are refused",
            "start a time service (systemd-timesyncd; chrony with `rtcsync`; ntpd) and compare it with `date -u`; in a virtual machine \
             whose host sets its clock it may be right all the same",
        ),
        Some(Discipline { offset, max_error, .. }) => {
            let text = format!(
                "a time service keeps it right; off by at most {} ms, {} ms being corrected",
                max_error / 1000,
                offset / 1000
            );
            if max_error > MUCH || offset.abs() > MUCH {
                about.warn(&text, "look at the time service: its server can't be reached, or the clock was far off");
            } else {
                about.ok(&text);
            }
        }
    }
}

/// Asks it for the caller's own status, which changes nothing. One that was named must be there.
pub fn broker(named: Option<&Path>, report: &mut Report) {
    let socket = named.unwrap_or(Path::new(DEFAULT_SOCKET));
    let mut about = report.about("broker", &socket.display().to_string());
    let mut line = match connect(socket, PATIENCE) {
        Ok(line) => line,
        Err(ConnectError::Absent)
            if named.is_none() && !socket.exists() && !Path::new(SWITCHED_ON).exists() =>
        {
            return about.ok("is off: only root enrols by command, and screen lockers can't check codes");
        }
        Err(error) => {
            return about
                .fail(&format!("who is not root can neither enrol nor unlock a screen: {error}"), "");
        }
    };
    let asked = line.request(&Request::Status { json: true });
    match asked.and_then(|()| line.receive::<Say>()) {
        Ok(Say::Failed(_)) => {
            about.fail("answers that it can't work", "the log says why: grep service=qrtotpd")
        }
        Ok(_) => about.ok("answers"),
        Err(error) => {
            about.fail(
                &format!("takes calls, but does not answer: {error}"),
                "systemctl status qrtotpd.service",
            );
        }
    }
}

/// Connects, and sends nothing.
pub fn log(path: &Path, report: &mut Report) {
    let mut about = report.about("log", &path.display().to_string());
    let Err(error) = UnixDatagram::unbound().and_then(|socket| socket.connect(path)) else {
        return about.ok("somebody listens there");
    };
    // As syslog-ng has it. Whoever may be behind it, it listens.
    match connect(path, PATIENCE) {
        Ok(_) | Err(ConnectError::Untrusted) => about.ok("somebody listens there"),
        Err(ConnectError::Busy) => about.warn(
            "who listens there takes nothing: logins may wait for it, and nothing of them is logged",
            "restart the system's logger",
        ),
        Err(_) => about.warn(
            &format!("{error}: logins work, but nothing of them is logged"),
            "start systemd-journald or rsyslog",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_core::clock::UnixTime;

    struct Host(UnixTime, Option<Discipline>);

    impl Clock for Host {
        fn now(&self) -> UnixTime {
            self.0
        }
        fn discipline(&self) -> Option<Discipline> {
            self.1
        }
    }

    fn said(now: UnixTime, discipline: Option<Discipline>) -> String {
        let mut report = Report::new(0);
        clock(&Host(now, discipline), &mut report);
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_clock_is_fine_only_while_something_keeps_it_right() {
        let kept = |synchronized, offset, max_error| Some(Discipline { synchronized, offset, max_error });
        for (discipline, word) in [
            (kept(true, -120_000, 70_000), "OK"),
            (kept(false, 0, 16_000_000), "WARN"),
            (kept(true, 0, 6_000_000), "WARN"),
            (kept(true, -6_000_000, 0), "WARN"),
            (None, "SKIP"),
        ] {
            let text = said(1_790_000_000, discipline);
            assert!(text.starts_with(word), "{discipline:?}: {text}");
        }
        assert!(said(1_000_000_000, kept(true, 0, 0)).starts_with("FAIL"));
    }

    #[test]
    fn a_logger_that_takes_nothing_is_a_warning_and_nothing_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let listens = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let said = || {
            let (mut report, mut out) = (Report::new(0), Vec::new());
            log(&path, &mut report);
            report.write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(said().starts_with("OK"));
        let callers: Vec<_> = (0..).map_while(|_| connect(&path, Duration::ZERO).ok()).collect();
        assert!(said().contains("takes nothing"), "{}", callers.len());
        drop(listens);
        assert!(said().contains("nothing of them is logged"));
    }

    #[test]
    fn a_broker_that_was_named_and_does_not_listen_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let result = || {
            let mut report = Report::new(0);
            broker(Some(&path), &mut report);
            report.failed()
        };
        assert!(result(), "not there");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(result(), "nobody behind it");
    }
}
