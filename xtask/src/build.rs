//! The artefacts to test and to show: always the release build.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::step::{cargo, run, say};

#[derive(Clone)]
pub struct Artefacts {
    pub module: PathBuf,
    pub command: PathBuf,
    pub broker: PathBuf,
}

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Cargo's output directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The module alone: in a build with others it would get all features that any of them enables in a crate,
/// and a PNG checksum would detect the processor's extensions at every login.
const MODULE: [&str; 4] = ["build", "--release", "--package", "pam_qrtotp"];

/// Builds module, command, broker and relay.
pub fn release() -> Result<Artefacts> {
    say("building module, command, broker and relay (release)");
    let remap = remap()?;
    run(cargo(&MODULE).args(["--config", &remap]))?;
    let programs = [
        "build",
        "--release",
        "--package",
        "enroll-cli",
        "--package",
        "qrtotpd",
        "--package",
        "qrtotp-relay",
    ];
    run(cargo(&programs).args(["--config", &remap]))?;
    Ok(Artefacts {
        module: built("release/libpam_qrtotp.so")?,
        command: built("release/qrtotp")?,
        broker: built("release/qrtotpd")?,
    })
}

/// The least that a login in a fleet can cost (crates/fleet/examples/floor.rs).
///
/// # Errors
/// It can't be built.
pub fn floor() -> Result<PathBuf> {
    say("building the floor of a fleet's login (release)");
    let example = ["build", "--release", "--package", "qrtotp-fleet", "--example", "floor"];
    run(cargo(&example).args(["--config", &remap()?]))?;
    built("release/examples/floor")
}

/// Leaves out the chain of audit lines (crates/audit).
const WITHOUT_CHAIN: &str = "qrtotp_bench_without_chain";

/// The module without the chain of audit lines, to compare with. In a directory of its own, which no package
/// is made of.
pub fn without_chain() -> Result<PathBuf> {
    say("building the module without the chain of audit lines (release)");
    let (directory, cfg) = ("without-chain", format!("build.rustflags=['--cfg={WITHOUT_CHAIN}']"));
    let mut cargo = cargo(&MODULE);
    run(cargo.args(["--config", &remap()?, "--config", &cfg, "--target-dir"]).arg(target().join(directory)))?;
    built(&format!("{directory}/release/libpam_qrtotp.so"))
}

/// A setting for cargo, the same as in debian/rules, which then finds it all built: the artefacts have no
/// path of this machine. It adds to the flags of .cargo/config.toml; RUSTFLAGS would replace them.
fn remap() -> Result<String> {
    let source = workspace().canonicalize()?;
    let flag = |from: &Path, to: &str| format!("\"--remap-path-prefix={}={to}\"", from.display());
    Ok(format!("build.rustflags=[{},{}]", flag(&cargo_home()?, "/cargo"), flag(&source, "/source")))
}

pub fn cargo_home() -> Result<PathBuf> {
    let default = || Some(std::env::home_dir()?.join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default).context("HOME is not set")
}

fn built(path: &str) -> Result<PathBuf> {
    let path = target().join(path);
    path.canonicalize().with_context(|| format!("the build did not make {}", path.display()))
}

/// This machine's target triple.
pub fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc is needed")?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?.to_owned())
}

impl Artefacts {
    /// The environment variables by which the tests' harness finds them.
    pub fn variables(&self) -> [(&'static str, &Path); 3] {
        [("QRTOTP_MODULE", &self.module), ("QRTOTP_BIN", &self.command), ("QRTOTPD_BIN", &self.broker)]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_but_the_bench_builds_a_module_without_the_chain() {
        let mut git = Command::new("git");
        let found = git.current_dir(workspace()).args(["grep", "-l", WITHOUT_CHAIN]).output().unwrap();
        let files = String::from_utf8(found.stdout).unwrap();
        let known = ["Cargo.toml", "crates/audit/src/chained.rs", "xtask/src/build.rs"];
        assert_eq!(files.lines().collect::<Vec<_>>(), known);
        let mut callers = Command::new("git");
        let callers = callers.current_dir(workspace()).args(["grep", "-l", "build::without_chain()"]);
        let files = String::from_utf8(callers.output().unwrap().stdout).unwrap();
        assert_eq!(files.lines().collect::<Vec<_>>(), ["xtask/src/bench/chain.rs", "xtask/src/build.rs"]);
    }
}
