//! What the command `qrtotp` and the broker have in common: the system log, accounts as people and programs
//! read them, and what protects their memory. A crate of its own, so that the core knows neither syslog nor
//! JSON, and the broker no command line.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod device;
mod memory;
mod sink;
mod status;
mod token;

pub use device::DeviceList;
pub use memory::{lock_memory, shield_memory, unlock_memory};
pub use sink::Syslog;
pub use status::StatusView;
pub use token::TokenView;
