//! The audit log, and the programs that read it.

mod journal;
mod monitoring;
mod odd_input;
mod place_and_key;
mod privacy;
mod records;
mod report;
mod schemas;
mod stamps;
pub mod top;
pub mod trail;
mod watch;
