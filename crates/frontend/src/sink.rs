//! Audit lines to the host's syslog, facility AUTHPRIV. A syslog that does not listen is reported once and
//! stops nothing: the change was made, and the user must know that its line is missing.

use qrtotp_audit::{AuditSink, Entry, Priority};
use std::io::Write;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

/// The system log, as one program writes to it.
pub struct Syslog {
    program: &'static str,
    logger: Option<Logger<LoggerBackend, Formatter3164>>,
    warned: bool,
}

impl Syslog {
    /// Opens it for lines of `program`.
    #[must_use]
    pub fn open(program: &'static str) -> Self {
        let formatter = Formatter3164 {
            facility: Facility::LOG_AUTHPRIV,
            hostname: None,
            process: program.into(),
            pid: std::process::id(),
        };
        Self { program, logger: syslog::unix(formatter).ok(), warned: false }
    }

    /// Writes one line, free of control characters.
    pub fn write(&mut self, priority: Priority, line: &str) {
        let sent = self.logger.as_mut().is_some_and(|logger| {
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
}

impl AuditSink for Syslog {
    fn record(&mut self, entry: &Entry<'_>) {
        self.write(entry.priority(), &entry.line());
    }

    fn debug(&mut self, _: &str) {}
}
