//! The way of an event to the log.

use super::event::{Event, write_detail};
use super::kind::{Kind, Priority};

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

/// Where events go. The module and the programs send them to journald, or else to syslog.
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

impl Event<'_> {
    /// Sends the event to `sink`.
    pub fn emit(&self, sink: &mut dyn AuditSink) {
        sink.record(&Entry::Event(self));
    }
}
