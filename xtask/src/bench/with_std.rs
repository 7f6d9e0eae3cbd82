//! The module as it is where the toolchain has the standard library's sources. Where this machine's has none, Debian's does.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    build, debian,
    step::{as_root, run, say},
};

/// The release whose compiler is new enough.
const RELEASE: &str = "forky";
const PACKAGES: &str = "ca-certificates,cargo,gcc,libc6-dev,libpam0g-dev,rust-src,rustc";
/// In a mount namespace of its own: nothing stays mounted, whatever happens. `$0` is Debian's root, `$1` the workspace,
/// `$2` cargo's registry.
const BUILD: &str = r#"
set -e
root=$0
mkdir -p "$root/workspace" "$root/cargo/registry"
mount --bind -o ro "$1" "$root/workspace"
mount --bind "$2" "$root/cargo/registry"
mount --rbind /proc "$root/proc"
mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
touch "$root/etc/resolv.conf"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
shift 2
exec chroot "$root" env --chdir=/workspace -u LD_LIBRARY_PATH -u RUSTC -u CARGO PATH=/usr/bin:/bin CARGO_HOME=/cargo CARGO_TARGET_DIR=/target "$@"
"#;

/// The module, and whose toolchain built it. `ours` is what [`build::release`] made.
///
/// # Errors
/// It could not be built.
pub fn module(ours: &Path) -> Result<(PathBuf, &'static str)> {
    if build::has_sources_of_std()? {
        return Ok((ours.to_owned(), "this machine's"));
    }
    let root = build::target().join("debian/rust");
    debian::unpack(RELEASE, PACKAGES, &root)?;
    let root = root.canonicalize()?;
    say("building the module with the standard library, by Debian's toolchain");
    let triple = build::host_triple()?;
    let cargo_home = env::var_os("CARGO_HOME")
        .map_or_else(|| Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cargo"), PathBuf::from);
    let registry = cargo_home.join("registry");
    fs::create_dir_all(&registry)?;
    let mut inside = as_root("unshare");
    inside
        .args(["--mount", "sh", "-c", BUILD])
        .arg(&root)
        .arg(build::workspace().canonicalize()?)
        .arg(registry);
    inside.arg(format!("{}={}", build::UNSTABLE.0, build::UNSTABLE.1)).arg("cargo");
    run(inside.args(build::MODULE_WITH_STD).args(["--locked", "--target", &triple]))?;
    let module = root.join("target").join(triple).join("release/libpam_qrtotp.so");
    Ok((module.canonicalize().context("Debian's cargo built no module")?, "Debian's"))
}
