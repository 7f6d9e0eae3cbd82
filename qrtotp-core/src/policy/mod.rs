//! What the admin wants: the configuration, read strictly. A login never guesses at a setting.

mod check;
mod config;
mod span;

pub use check::{Finding, Severity, findings};
pub use config::{
    Audit, Brand, Config, ConfigError, DEFAULT_PATH, Defaults, Enroll, FirstLogin, Require, Source, Verify,
};
pub use span::{Span, SpanError};
