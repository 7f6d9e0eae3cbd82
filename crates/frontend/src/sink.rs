//! Audit lines to the host's log, facility AUTHPRIV: to journald, or else to syslog. A log that does not
//! listen is reported once and stops nothing: the change was made, and the user must know that its line is
//! missing.

use qrtotp_audit::{AuditSink, Entry, Priority, journal};
use std::io::Write;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

/// The system log, as one program writes to it.
pub struct Syslog {
    program: &'static str,
    /// Opened when journald does not take a line.
    logger: Option<Logger<LoggerBackend, Formatter3164>>,
    warned: bool,
}

impl Syslog {
    /// For lines of `program`.
    #[must_use]
    pub fn open(program: &'static str) -> Self {
        Self { program, logger: None, warned: false }
    }

    /// Writes one line, free of control characters.
    pub fn write(&mut self, priority: Priority, line: &str) {
        if journal::send(|| self.program.to_owned(), &[], priority.severity(), line) {
            return;
        }
        let sent = self.logger().is_some_and(|logger| {
            match priority {
                Priority::Alert => logger.alert(line),
                Priority::Error => logger.err(line),
                Priority::Warning => logger.warning(line),
                Priority::Notice => logger.notice(line),
                Priority::Info => logger.info(line),
            }
            .is_ok()
        });
        if !sent && !self.warned {
            self.warned = true;
            let _ = writeln!(
                std::io::stderr(),
                "{}: the system log does not take lines, so this is not logged; check the service behind /dev/log",
                self.program
            );
        }
    }

    fn logger(&mut self) -> Option<&mut Logger<LoggerBackend, Formatter3164>> {
        if self.logger.is_none() {
            let (process, pid) = (self.program.into(), std::process::id());
            let formatter = Formatter3164 { facility: Facility::LOG_AUTHPRIV, hostname: None, process, pid };
            self.logger = syslog::unix(formatter).ok();
        }
        self.logger.as_mut()
    }
}

impl AuditSink for Syslog {
    fn record(&mut self, entry: &Entry<'_>) {
        self.write(entry.priority(), &entry.line());
    }

    fn debug(&mut self, _: &str) {}
}
