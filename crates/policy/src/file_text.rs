//! The text of a configuration file, and the position of a fault in it.

use super::document::Fault;
use super::error::ConfigError;
use std::path::Path;

/// The text of a file of the configuration.
pub(super) struct Text<'t> {
    pub(super) path: &'t Path,
    text: &'t str,
}

impl<'t> Text<'t> {
    /// # Errors
    /// Not UTF-8.
    pub(super) fn of(path: &'t Path, bytes: &'t [u8]) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|e| ConfigError::Syntax {
            path: path.to_owned(),
            line: line(bytes, e.valid_up_to()),
            message: "not UTF-8".into(),
        })?;
        Ok(Self { path, text })
    }

    /// The text.
    pub(super) fn as_str(&self) -> &'t str {
        self.text
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        line(self.text.as_bytes(), at)
    }

    /// A fault with its file and line.
    pub(super) fn error(&self, fault: &Fault) -> ConfigError {
        let message = qrtotp_values::text::clean(&fault.message, 400);
        ConfigError::Syntax { path: self.path.to_owned(), line: self.line(fault.at), message }
    }
}

fn line(text: &[u8], at: usize) -> usize {
    1 + text[..at.min(text.len())].iter().filter(|b| **b == b'\n').count()
}
