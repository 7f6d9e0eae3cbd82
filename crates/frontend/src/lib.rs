//! Shared by the command `qrtotp` and the broker: the system log, accounts as text and JSON, and the
//! protection of their memory. A separate crate, so that the core knows neither syslog nor JSON, and the
//! broker no command line.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod device;
pub mod host_chain;
mod json;
mod local;
mod memory;
mod sink;
mod status;
mod table;
mod token;

pub use device::DeviceList;
pub use json::Versioned;
pub use local::local;
pub use memory::{lock_memory, shield_memory, unlock_memory};
pub use sink::Syslog;
pub use status::StatusView;
pub use table::Table;
pub use token::TokenView;
