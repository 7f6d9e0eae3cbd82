//! The harness of the end-to-end tests: a private host in namespaces, a user at a terminal, a phone.
//!
//! It sees only built artefacts (the module's shared object and the `qrtotp` command), never the crates
//! behind them, and it changes nothing of the machine it runs on. It must run as root.
//!
//! The harness reports by panicking: the message and the transcript are the test's failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![forbid(unsafe_code)]

pub mod actions;
pub mod artefacts;
pub mod broker;
pub mod clock;
pub mod console;
pub mod decoders;
pub mod enrol;
pub mod faults;
pub mod figures;
pub mod first_login;
pub mod fleet;
pub mod fleet_session;
pub mod foreign;
pub mod host;
pub mod hostile;
pub mod invariants;
pub mod journal;
pub mod languages;
pub mod layouts;
pub mod log;
pub mod memory;
pub mod openssh;
pub mod oracles;
pub mod output;
pub mod person;
pub mod phone;
pub mod power;
pub mod pty;
pub mod recipes;
pub mod sandbox;
pub mod screen;
pub mod searches;
pub mod shipped;
pub mod sshd;
pub mod stacks;
pub mod sudo;
pub mod sweep;
pub mod tokens;
pub mod users;
pub mod verifiers;

pub use output::Output;
pub use phone::{Phone, uri_of};
pub use pty::Pty;
pub use sandbox::{Sandbox, State};
