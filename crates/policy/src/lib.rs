//! Settings and rules. The command reads them strictly from TOML, compiles and applies them; a login reads
//! only the applied form ([`ConfigFile::load`]) and never guesses at a setting.
//!
//! Looks up no users and reads no clock. Begin with [`RuleSet::decide`], which the module, `explain`, `config
//! test` and the lock-out guard share.
//!
//! ```
//! use qrtotp_policy::Config;
//! use std::path::Path;
//! let path = Path::new("qrtotp.toml");
//! assert_eq!(Config::parse(path, b"issuer = 'Example'")?.issuer.as_deref(), Some("Example"));
//! assert!(Config::parse(path, b"isuer = 'Example'").is_err());
//! # Ok::<(), qrtotp_policy::ConfigError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod applied;
#[cfg(test)]
mod applied_tests;
mod brand;
mod bytes;
mod check;
mod compile;
mod config;
mod config_file;
mod document;
mod error;
mod file_text;
mod first_login;
mod proof_service;
mod read;
mod rules;
mod stored;
#[cfg(test)]
mod tests;
mod version_1;

pub use applied::{Applied, Stamp, restamped, settings};
pub use brand::{Brand, Colour};
pub use bytes::Damaged;
pub use check::{Finding, Severity, findings};
pub use compile::{Compiled, Failed, SourceFile, compile, digest};
pub use config::{
    Audit, Broker, Config, DEFAULT_PATH, Defaults, Enroll, Fleet, Require, Unasked, Verify, Watch,
};
pub use config_file::{ConfigFile, LIMIT, applied_path};
pub use error::ConfigError;
pub use first_login::FirstLogin;
pub use proof_service::{PROOF_SERVICE, check_proof_service};
pub use rules::{
    Condition, Conditions, Decision, Effects, Facts, Group, Hours, Known, Lookups, Names, Network, Origin,
    Outcome, Pattern, Rule, RuleSet, Test, address, local_time, minute_of_week,
};
pub use version_1::upgraded;
