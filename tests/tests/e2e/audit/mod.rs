//! The audit log, and the programs that read it.

mod ecs;
mod journal;
mod monitoring;
mod place_and_key;
mod privacy;
mod records;
mod report;
pub mod top;
pub mod trail;
mod watch;
