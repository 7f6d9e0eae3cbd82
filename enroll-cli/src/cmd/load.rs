//! Loads the configuration for a command. A file above [`crate::context`]: a configuration that was never
//! applied must pass the lock-out guard, which itself reads a store with a [`Context`].

use super::config::objections;
use crate::applied;
use crate::context::{Context, config_file};
use crate::error::Failure;
use std::io::Write;
use std::path::Path;

impl Context {
    /// Loads the configuration in `path`. The host's own needs root; a private one needs whatever its files
    /// need.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let path = config_file(path)?;
        let source = applied::load(&path, objections)?;
        if applied::is_pending(&path) {
            let text = "was changed after it was applied, and logins don't know of it yet; `qrtotp config diff` shows the change, `qrtotp config apply` applies it";
            let _ = writeln!(std::io::stderr(), "qrtotp: {} {text}", path.display());
        }
        Ok(Self::of(source))
    }
}
