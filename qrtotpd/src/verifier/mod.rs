//! The role `verifier`: decides the logins of a fleet's hosts, over TLS, and never as root (docs/FLEET.md).

mod attempts;
mod claims;
mod join;
mod listen;
mod log;
mod observed_store;
mod queue;
mod serve;
mod state;
mod verify;

pub use listen::run;
