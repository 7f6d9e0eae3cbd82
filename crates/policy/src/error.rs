//! Why there is no usable configuration.

use qrtotp_store::TrustError;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no usable configuration. A login is denied then.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file does not exist.
    #[error("{0} does not exist; an empty file is enough to begin with")]
    Missing(PathBuf),
    /// It was never applied.
    #[error("{0} does not exist: the configuration was never applied; run `qrtotp config apply`")]
    NotApplied(PathBuf),
    /// The applied form is damaged.
    #[error("{0} is damaged; run `qrtotp config apply`")]
    Damaged(PathBuf),
    /// The file is too long.
    #[error(
        "{0} is larger than 64 KiB, the most that is read; write networks instead of addresses, or move rules to conf.d"
    )]
    TooLong(PathBuf),
    /// The file can't be trusted or read.
    #[error(transparent)]
    Trust(TrustError),
    /// Not TOML, or not of our schema.
    #[error("{path}, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The fault.
        message: String,
    },
    /// A value out of its bounds.
    #[error("{path}: `{key}` {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// The allowed values.
        problem: &'static str,
    },
}

impl ConfigError {
    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "config_missing",
            Self::NotApplied(_) => "policy_missing",
            Self::Damaged(_) => "policy_damaged",
            Self::Trust(TrustError::Io { .. } | TrustError::Cut(_)) => "config_unreadable",
            Self::Trust(_) => "config_untrusted",
            Self::TooLong(_) | Self::Syntax { .. } | Self::Value { .. } => "config_invalid",
        }
    }
}
