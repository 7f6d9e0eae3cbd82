//! The audit log, and the programs that read it.

mod journal;
mod monitoring;
mod privacy;
mod records;
mod report;
mod top;
mod trail;
mod watch;
