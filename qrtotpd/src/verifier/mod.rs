//! The role `verifier`: decides the logins of a fleet's hosts, over TLS, and never as root (docs/FLEET.md).

mod break_glass;
mod claims;
mod clocks;
mod hosts;
mod join;
mod listen;
mod log;
mod queue;
mod serve;
mod session;
mod state;
mod verify;
mod witness;

pub use listen::run;
