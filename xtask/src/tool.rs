//! Third-party programs that are built once, into target/.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    build,
    step::{cargo, run, say},
};

/// A program that cargo installs under its crate's name.
///
/// # Errors
/// Installing fails.
pub fn install(name: &str) -> Result<PathBuf> {
    let root = build::target().join("tools");
    let program = root.join("bin").join(name);
    if !program.is_file() {
        say(&format!("building {name}"));
        run(cargo(&["install", "--locked", name, "--root"]).arg(&root))?;
    }
    program.canonicalize().with_context(|| format!("cargo install made no {name}"))
}
