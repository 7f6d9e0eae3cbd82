//! Shared by the command `qrtotp` and the broker: the system log, accounts as text and JSON, and the
//! protection of their memory. A separate crate, so that the core knows neither syslog nor JSON, and the
//! broker no command line.
//!
//! Never decides anything, and never shows a secret. Begin with [`StatusView`] and [`Syslog`].
//!
//! ```
//! use qrtotp_frontend::Table;
//! let mut out = Vec::new();
//! let mut table = Table::new(["ACCOUNT", "DEVICES"]);
//! table.row(&mut out, ["alice".into(), "2".into()])?;
//! table.end(&mut out)?;
//! assert_eq!(out, b"ACCOUNT  DEVICES\nalice    2\n");
//! # Ok::<(), std::io::Error>(())
//! ```
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
pub use local::{host_zone_offset, local};
pub use memory::{lock_memory, shield_memory, unlock_memory};
pub use sink::Syslog;
pub use status::StatusView;
pub use table::Table;
pub use token::TokenView;
