//! What the admin wants: the configuration, read strictly. A login never guesses at a setting.

mod applied;
mod brand;
mod bytes;
mod check;
mod config;
mod config_file;
mod document;
mod proof_service;
mod read;
mod rules;
#[cfg(test)]
mod tests;

pub use applied::{Applied, Compiled, Failed, SourceFile, Stamp, compile, digest, restamped, settings};
pub use brand::{Brand, Colour};
pub use bytes::Damaged;
pub use check::{Finding, Severity, findings};
pub use config::{
    Audit, Broker, Config, DEFAULT_PATH, Defaults, Enroll, FirstLogin, Require, Unasked, Verify,
};
pub use config_file::{ConfigError, ConfigFile, applied_path};
pub use proof_service::{PROOF_SERVICE, check_proof_service};
pub use rules::{
    Condition, Conditions, Decision, Effects, Facts, Group, Hours, Known, Lookups, Names, Network, Origin,
    Outcome, OwnedEffects, Pattern, Rule, RuleSet, Test, address, local_time, minute_of_week,
};
