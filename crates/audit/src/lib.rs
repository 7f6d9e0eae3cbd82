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
use event::write_detail;
pub use event::{DecidedBy, Event, Kind, PrimaryFactor, Priority, Subject, Verdict};

/// An event on its way to a sink, which makes text of it.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// An event of no chain.
    Event(&'a Event<'a>),
    /// An event of an account's chain. It must not be left out: the gap would look like tampering.
    Chained {
        /// Its kind.
        kind: Kind,
        /// How urgent it is.
        priority: Priority,
        /// The text that the chain covers.
        line: &'a str,
        /// Its detail, which the chain does not cover.
        detail: &'a str,
    },
}

impl Entry<'_> {
    /// The event's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Event(event) => event.kind(),
            Self::Chained { kind, .. } => *kind,
        }
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self {
            Self::Event(event) => event.priority(),
            Self::Chained { priority, .. } => *priority,
        }
    }

    /// The line for the log, free of control characters.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Event(event) => event.line(),
            Self::Chained { line, detail, .. } => {
                let mut line = (*line).to_owned();
                write_detail(&mut line, detail);
                line
            }
        }
    }
}

/// Where events go. Implemented over pam_syslog in the module and over /dev/log in the commands.
pub trait AuditSink {
    /// Takes an event.
    fn record(&mut self, entry: &Entry<'_>);

    /// Takes a line for debugging; dropped unless debugging is on.
    fn debug(&mut self, line: &str);
}

impl AuditSink for Vec<String> {
    fn record(&mut self, entry: &Entry<'_>) {
        self.push(entry.line());
    }

    fn debug(&mut self, _: &str) {}
}
