//! The module as it is where the toolchain has the standard library's sources. Where this machine's has none, Debian's does.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    build::{self, Artefacts},
    debian,
    step::{run, say},
};

/// The release whose compiler is new enough.
const RELEASE: &str = "forky";
const PACKAGES: &str = "ca-certificates,cargo,gcc,libc6-dev,libpam0g-dev,rust-src,rustc";
/// In a mount namespace of its own: nothing stays mounted, whatever happens. `$0` is Debian's root, `$1` the workspace. The
/// machine's certificates and name servers are what crates come by; variables that name its tools stay outside.
const BUILD: &str = r#"
set -e
root=$0
mkdir -p "$root/workspace"
mount --bind -o ro "$1" "$root/workspace"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
[ ! -d /etc/ssl/certs ] || mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
touch "$root/etc/resolv.conf"
[ ! -e /etc/resolv.conf ] || mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
shift
for name in $(env | sed -n -E 's/^((RUST|CARGO|CC|LD_)[A-Z_0-9]*)=.*/\1/p'); do unset "$name"; done
exec chroot "$root" env --chdir=/workspace PATH=/usr/bin:/bin CARGO_HOME=/cargo CARGO_TARGET_DIR=/target "$@"
"#;

/// A module that was built with the standard library from its sources.
pub struct WithStd {
    pub module: PathBuf,
    /// Whose toolchain built it.
    pub by: &'static str,
}

/// Ours if it is one, else one by Debian's toolchain.
///
/// # Errors
/// It could not be built.
pub fn module(ours: &Artefacts) -> Result<WithStd> {
    if ours.with_std {
        return Ok(WithStd { module: ours.module.clone(), by: "this machine's" });
    }
    let root = build::target().join("debian/rust");
    debian::unpack(RELEASE, PACKAGES, &root)?;
    let root = root.canonicalize()?;
    say("building the module with the standard library, by Debian's toolchain");
    let triple = build::host_triple()?;
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", BUILD]).arg(&root).arg(build::workspace().canonicalize()?);
    inside.arg(format!("{}={}", build::UNSTABLE.0, build::UNSTABLE.1)).arg("cargo");
    let built = run(inside.args(build::MODULE_WITH_STD).args(["--locked", "--target", &triple]));
    built.context("Debian's cargo has not built the module; what it says is above")?;
    let module = root.join("target").join(triple).join("release/libpam_qrtotp.so");
    Ok(WithStd { module: module.canonicalize()?, by: "Debian's" })
}
