//! `cargo xtask deb`: the Debian packages, by debhelper from `debian/`, around the release artefacts. They
//! are built on the oldest release that we support, on its own files if the machine is another one, so that
//! the same packages go onto every later release.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    apt, build, debian,
    step::{as_root, run, say},
};

const OLDEST: &str = "bookworm";
/// Packages for a build on the files of [`OLDEST`]. The compiler is the machine's own.
const TOOLS: &str = "gcc,libc6-dev,libpam0g-dev,debhelper,dpkg-dev,po-debconf";

/// Builds and packs. With `unpacked` on the files of the oldest release, even if the machine is of that
/// release.
///
/// # Errors
/// When the tools are missing or one of them fails.
pub fn package(unpacked: bool) -> Result<()> {
    apt::need(&[apt::DEMO, apt::DEB])?;
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let directory = if unpacked || !release.lines().any(|line| line == format!("VERSION_CODENAME={OLDEST}")) {
        apt::need(&[&["mmdebstrap"]])?;
        on_the_oldest()?
    } else {
        build::release()?;
        of_release()?
    };
    for package in packages(&directory)? {
        say(&format!("made {}", package.display()));
    }
    Ok(())
}

/// Packs what [`build::release`] has built, and gives the directory with the packages.
///
/// # Errors
/// As [`package`].
pub fn of_release() -> Result<PathBuf> {
    say("packing the Debian packages");
    let directory = emptied()?;
    let rules = |target: &str| {
        let mut rules = Command::new("debian/rules");
        rules.current_dir(build::workspace()).arg(target).env("TARGET", build::target());
        prepare(&mut rules);
        run(&mut rules)
    };
    rules("clean")?;
    rules("binary")?;
    rules("clean")?;
    ensure!(packages(&directory)?.len() == 2, "debian/rules did not make two packages");
    Ok(directory.canonicalize()?)
}

/// Sets what debian/rules takes from the environment.
pub fn prepare(rules: &mut Command) {
    // Files in the package belong to root even if we are not root; `cargo xtask test` runs the tests.
    rules.envs([("DEB_RULES_REQUIRES_ROOT", "no"), ("DEB_BUILD_OPTIONS", "nocheck")]);
    // .cargo/config.toml sets them for what cargo runs, us included; the package's are debhelper's.
    rules.env_remove("SOURCE_DATE_EPOCH").env_remove("CFLAGS");
}

/// Builds and packs on the files of the oldest release.
fn on_the_oldest() -> Result<PathBuf> {
    let root = build::target().join("debian").join(format!("{OLDEST}-build"));
    debian::unpack(OLDEST, TOOLS, &root)?;
    // Fetched here: nothing is configured for the network there.
    run(&mut crate::step::cargo(&["fetch", "--locked"]))?;
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc is needed")?;
    say(&format!("building and packing on the files of Debian {OLDEST}"));
    let directory = emptied()?;
    let mut inside = as_root("unshare");
    inside.args(["--mount", "--pid", "--fork", "--kill-child", "bash", "-c", include_str!("deb.sh")]);
    inside.env("ROOT", root.canonicalize()?).env("SOURCE", build::workspace().canonicalize()?);
    inside.env("SYSROOT", String::from_utf8(sysroot.stdout)?.trim()).env("CRATES", build::cargo_home()?);
    inside.env("OUT", directory.canonicalize()?);
    run(&mut inside)?;
    ensure!(packages(&directory)?.len() == 2, "debian/rules did not make two packages");
    Ok(directory)
}

/// target/deb, without packages.
fn emptied() -> Result<PathBuf> {
    let directory = build::target().join("deb");
    fs::create_dir_all(&directory)?;
    for old in packages(&directory)? {
        fs::remove_file(old)?;
    }
    Ok(directory)
}

/// # Errors
/// The directory can't be read.
pub fn packages(directory: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let files: Result<Vec<PathBuf>> = files.collect();
    Ok(files?.into_iter().filter(|file| file.extension().is_some_and(|end| end == "deb")).collect())
}
