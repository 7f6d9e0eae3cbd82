//! What is logged and counted, and who reads it.

mod journal;
mod monitoring;
mod privacy;
mod report;
mod top;
mod trail;
mod watch;
