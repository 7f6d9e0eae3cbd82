//! From npm, installed once into target/: otpauth, which reads our key URIs besides pyotp and ykman, and the
//! Elastic Common Schema as Elastic publishes it.

use std::process::Command;

use anyhow::Result;
use qrtotp_tests::oracles::npm_prefix;

use crate::{
    apt,
    step::{run, say},
};

/// Pinned, so that tests do not change with npm; they pin their own dependencies.
const PACKAGES: [&str; 2] = ["otpauth@9.4.1", "@elastic/ecs@8.11.5"];

/// # Errors
/// The registry is out of reach.
pub fn install() -> Result<()> {
    let prefix = npm_prefix();
    if ["otpauth", "@elastic/ecs"].iter().all(|name| prefix.join("node_modules").join(name).is_dir()) {
        return Ok(());
    }
    // Packages of Node.js from elsewhere include npm.
    if Command::new("npm").arg("--version").output().is_err() {
        apt::need(&[&["nodejs", "npm"]])?;
    }
    say("installing otpauth and Elastic's schema from npm into target/, once");
    let quiet = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(quiet).arg("--prefix").arg(&prefix).args(PACKAGES))
}
