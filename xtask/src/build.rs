//! The artefacts that are tested and shown: always the release build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::step::{cargo, run, say};

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
/// quarter of the whole. The options are unstable, so cargo takes them only under [`UNSTABLE`].
pub const MODULE_WITH_STD: [&str; 6] =
    [MODULE[0], MODULE[1], MODULE[2], MODULE[3], "-Zbuild-std=std,panic_unwind", "-Zbuild-std-features="];
pub const UNSTABLE: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// Builds module, command and broker.
pub fn release() -> Result<Artefacts> {
    say("building module, command and broker (release)");
    let module = module()?;
    run(&mut cargo(&["build", "--release", "--package", "enroll-cli", "--package", "qrtotpd"]))?;
    Ok(Artefacts { module, command: built("release/qrtotp")?, broker: built("release/qrtotpd")? })
}

/// With the standard library where the toolchain has its sources, else with the library as the toolchain has it.
fn module() -> Result<PathBuf> {
    let triple = host_triple()?;
    if has_sources_of_std()? {
        let mut build = cargo(&MODULE_WITH_STD);
        match run(build.args(["--target", &triple]).env(UNSTABLE.0, UNSTABLE.1)) {
            Ok(()) => return as_release(&built(&format!("{triple}/release/libpam_qrtotp.so"))?),
            Err(error) => {
                say(&format!("{error}; so the module gets the toolchain's own, and is the larger for it"))
            }
        }
    }
    run(&mut cargo(&MODULE))?;
    built("release/libpam_qrtotp.so")
}

/// To where the tests look for it and where cargo would have put the other one.
fn as_release(module: &Path) -> Result<PathBuf> {
    let place = target().join("release/libpam_qrtotp.so");
    // Cargo's own is a second name of a file that it keeps.
    if place.exists() {
        fs::remove_file(&place)?;
    }
    fs::create_dir_all(target().join("release"))?;
    fs::copy(module, &place)?;
    built("release/libpam_qrtotp.so")
}

fn built(path: &str) -> Result<PathBuf> {
    let path = target().join(path);
    path.canonicalize().with_context(|| format!("the build did not make {}", path.display()))
}

/// Whether this machine's toolchain has them: rustup's component rust-src, or Debian's package of that name.
pub fn has_sources_of_std() -> Result<bool> {
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
