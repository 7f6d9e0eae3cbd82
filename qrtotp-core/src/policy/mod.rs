//! What the admin wants: the configuration, read strictly. A login never guesses at a setting.

mod brand;
mod check;
mod config;
mod control;
mod date;
mod evidence;
mod pam_file;
mod primary;
mod read;
mod source;
mod span;
mod stack;
mod survey;
#[cfg(test)]
mod tests;

pub use brand::{Brand, Colour};
pub use check::{Finding, Severity, findings};
pub use config::{Audit, Config, DEFAULT_PATH, Defaults, Enroll, FirstLogin, Require, Verify};
pub use date::{Date, DateError};
pub use pam_file::{DIRECTORIES as PAM_DIRECTORIES, MODULE, names_us};
pub use primary::{ServiceError, proves_primary_factor};
pub use source::{ConfigError, Source};
pub use span::{Span, SpanError};
pub use stack::{OurLine, StackError, guard};
pub use survey::{AuthStep, AuthWhat, Include, OurEntry, Part, Shortcut, Survey};
