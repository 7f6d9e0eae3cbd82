//! What the admin wants: the configuration, read strictly. A login never guesses at a setting.

mod brand;
mod check;
mod config;
mod date;
mod pam_file;
mod read;
mod source;
mod span;
mod survey;
#[cfg(test)]
mod tests;

pub use brand::{Brand, Colour};
pub use check::{Finding, Severity, findings};
pub use config::{Audit, Broker, Config, DEFAULT_PATH, Defaults, Enroll, FirstLogin, Require, Verify};
pub use date::{Date, DateError};
pub use pam_file::{DIRECTORIES as PAM_DIRECTORIES, MODULE, PROOF_SERVICE, check_proof_service, names_us};
pub use source::{ConfigError, Source};
pub use span::{Span, SpanError};
pub use survey::{AuthStep, AuthWhat, Include, Module, OurEntry, Part, Shortcut, Survey};
