//! One line of text per decision: who, from where, with which credential, why. Never a secret or a code.
//!
//! Begin with [`Event`], which is data until a sink takes its line. [`ChainedLines`] are the lines that an
//! update adds to its account's chain. [`journal`] sends lines to journald; implementations of [`AuditSink`]
//! choose between it and syslog. The crate `audit-log`, which no login links, reads the log.
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
pub mod journal;
mod kind;
mod sink;

pub use chained::ChainedLines;
pub use event::{DecidedBy, Event, PrimaryFactor, Subject};
pub use kind::{Kind, Priority};
pub use qrtotp_values::Verdict;
pub use sink::{AuditSink, Entry};
