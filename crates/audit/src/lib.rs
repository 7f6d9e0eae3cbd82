//! One line of text per decision: who, from where, with which credential, why. Never a secret or a code.
//!
//! An [`Event`] is data until a sink takes its line. [`ChainedLines`] are the lines that an update adds to
//! its account's chain. Opens no log: implementations of [`AuditSink`] do. The crate `audit-log`, which no
//! login links, reads the log.
//!
//! ```
//! use qrtotp_audit::{AuditSink, Event, Kind, Subject};
//! let subject = Subject { user: "alice".into(), ..Subject::default() };
//! let mut log: Vec<String> = Vec::new();
//! Event::new(Kind::ThrottleLifted, &subject).emit(&mut log);
//! assert!(log[0].starts_with("event=throttle_lifted user=alice"));
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod chained;
mod event;

pub use chained::ChainedLines;
pub use event::{DecidedBy, Event, Kind, PrimaryFactor, Priority, Subject, Verdict};

/// Where events go. Implemented over pam_syslog in the module and over /dev/log in the commands.
pub trait AuditSink {
    /// Takes one line, free of control characters.
    fn record(&mut self, priority: Priority, line: &str);

    /// Takes a line of an account's chain, which must not be left out: the gap would look like tampering.
    fn record_chained(&mut self, priority: Priority, line: &str) {
        self.record(priority, line);
    }

    /// Takes a line for debugging; dropped unless debugging is on.
    fn debug(&mut self, line: &str);
}

impl AuditSink for Vec<String> {
    fn record(&mut self, _: Priority, line: &str) {
        self.push(line.to_owned());
    }

    fn debug(&mut self, _: &str) {}
}
