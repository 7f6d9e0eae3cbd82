//! The artefacts that are tested and shown: always the release build.

use std::{
    fs,
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

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The module by itself: built together with others it would get all features that any of them asks of a crate, and a PNG's
/// checksum asks the processor for its extensions at every login.
const MODULE: [&str; 4] = ["build", "--release", "--package", "pam_qrtotp"];

/// The module and the standard library with it, from the library's sources and without what names a backtrace's functions, a
/// quarter of the whole. The options are unstable, so cargo takes them only under [`UNSTABLE`]. Some crates' build scripts see
/// that and use what is unstable of the language, too: error types and macros' spans, which the module has no code of.
pub const MODULE_WITH_STD: [&str; 6] =
    [MODULE[0], MODULE[1], MODULE[2], MODULE[3], "-Zbuild-std=std,panic_unwind", "-Zbuild-std-features="];
pub const UNSTABLE: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// Builds module, command and broker.
pub fn release() -> Result<Artefacts> {
    say("building module, command and broker (release)");
    let (module, _) = module()?;
    run(&mut cargo(&["build", "--release", "--package", "enroll-cli", "--package", "qrtotpd"]))?;
    Ok(Artefacts { module, command: built("release/qrtotp")?, broker: built("release/qrtotpd")? })
}

/// The module; whether it is built with the standard library from its sources, as it is where the toolchain has them.
fn module() -> Result<(PathBuf, bool)> {
    let triple = host_triple()?;
    if has_sources_of_std()? {
        let mut build = cargo(&MODULE_WITH_STD);
        match run(build.args(["--target", &triple]).env(UNSTABLE.0, UNSTABLE.1)) {
            Ok(()) => {
                let module = built(&format!("{triple}/release/libpam_qrtotp.so"))?;
                return Ok((as_release(&module)?, true));
            }
            Err(error) => {
                say("the standard library can't be built from its sources, so the module is the larger one:");
                say(&error.to_string());
            }
        }
    }
    run(&mut cargo(&MODULE))?;
    Ok((built("release/libpam_qrtotp.so")?, false))
}

/// To where the tests look for it and where cargo puts the other one.
fn as_release(module: &Path) -> Result<PathBuf> {
    let place = target().join("release/libpam_qrtotp.so");
    let new = place.with_extension("new");
    fs::create_dir_all(target().join("release"))?;
    fs::copy(module, &new)?;
    fs::rename(&new, &place)?;
    built("release/libpam_qrtotp.so")
}

fn built(path: &str) -> Result<PathBuf> {
    let path = target().join(path);
    path.canonicalize().with_context(|| format!("the build did not make {}", path.display()))
}

/// Whether this machine's toolchain has them: rustup's component rust-src, or Debian's package of that name.
fn has_sources_of_std() -> Result<bool> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc is needed")?;
    let sysroot = String::from_utf8(output.stdout)?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std").exists())
}

/// This machine's target triple.
pub fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc is needed")?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?.to_owned())
}

impl Artefacts {
    /// How the tests' harness finds them.
    pub fn variables(&self) -> [(&'static str, &Path); 3] {
        [("QRTOTP_MODULE", &self.module), ("QRTOTP_BIN", &self.command), ("QRTOTPD_BIN", &self.broker)]
    }
}
