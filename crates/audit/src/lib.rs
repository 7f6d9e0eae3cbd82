//! One line of text per decision. Says who, from where, with which credential and why; never a secret or a code.

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

    /// Takes a line for somebody who is looking for a mistake; dropped unless debugging is on.
    fn debug(&mut self, line: &str);
}

impl AuditSink for Vec<String> {
    fn record(&mut self, _: Priority, line: &str) {
        self.push(line.to_owned());
    }

    fn debug(&mut self, _: &str) {}
}
