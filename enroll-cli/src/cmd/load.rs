//! Loads the configuration for a command. A file above [`crate::context`]: a configuration that was never
//! applied must pass the lock-out guard, which itself reads a store with a [`Context`].

use super::config::objections;
use crate::applied;
use crate::context::{Context, config_file};
use crate::error::Failure;
use std::path::Path;

impl Context {
    /// Loads the configuration in `path`. The host's own needs root; a private one needs whatever its files
    /// need.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let path = config_file(path)?;
        Ok(Self::of(applied::load(&path, objections)?))
    }
}
