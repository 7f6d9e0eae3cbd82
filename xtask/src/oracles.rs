//! otpauth, which reads our key URIs besides pyotp and ykman, installed once from npm into target/.

use std::process::Command;

use anyhow::Result;
use qrtotp_tests::oracles::npm_prefix;

use crate::{
    apt,
    step::{run, say},
};

/// Pinned, so that tests do not change with npm; it pins its own dependencies.
const OTPAUTH: &str = "otpauth@9.4.1";

/// # Errors
/// The registry is out of reach.
pub fn install() -> Result<()> {
    let prefix = npm_prefix();
    if prefix.join("node_modules/otpauth/package.json").is_file() {
        return Ok(());
    }
    // Packages of Node.js from elsewhere include npm.
    if Command::new("npm").arg("--version").output().is_err() {
        apt::need(&[&["nodejs", "npm"]])?;
    }
    say("installing otpauth from npm into target/, once");
    let quiet = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(quiet).arg("--prefix").arg(&prefix).arg(OTPAUTH))
}
