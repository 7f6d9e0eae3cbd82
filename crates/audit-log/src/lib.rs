//! The audit log, read: lines to events, events to filters and formats, and proof that no line was changed,
//! removed or added.
//!
//! Pure: this crate gets lines and gives findings. It opens no file and writes none. Begin with
//! [`from_journal`] and [`from_syslog`], which read an [`Entry`]; [`Verifier`] proves, [`Watch`] warns.
//!
//! ```
//! use qrtotp_audit_log::from_syslog;
//! let line = "2026-11-29T10:00:00Z web1 sshd[7]: pam_qrtotp(sshd:auth): event=login user=alice";
//! assert_eq!(from_syslog(line).unwrap().event.get("user"), Some("alice"));
//! assert!(from_syslog("2026-11-29T10:00:00Z web1 sshd[7]: event=login user=alice").is_none()); // not ours
//! ```

mod ecs;
mod event;
mod filter;
mod merge;
mod ocsf;
mod report;
mod schema;
mod stamps;
mod summary;
mod table;
mod time;
mod trust;
mod verify;
mod watch;

pub use ecs::ecs;
pub use event::{Entry, Event, RECOVERED, Writer, from_journal, from_syslog, time_of, verifier_in_journal};
pub use filter::{Filter, is_place, parse_time};
pub use merge::Merge;
pub use ocsf::ocsf;
pub use report::{Proof, Report};
pub use schema::{is_kind, plain};
pub use stamps::Stamps;
pub use summary::Summary;
pub use time::rfc3339_of;
pub use trust::Trust;
pub use verify::{Fault, Finding, Head, Verifier};
pub use watch::{Anomaly, RULES, Severity, Thresholds, Watch, rules_of_watch};
