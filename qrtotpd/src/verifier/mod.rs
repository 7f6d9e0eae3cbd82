//! The role `verifier`: decides the logins of a fleet's hosts, over TLS. Not root; docs/FLEET.md describes it.

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
