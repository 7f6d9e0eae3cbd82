//! `cargo xtask deb`: the Debian package, by debhelper from `debian/`, around the release artefacts.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    apt, build,
    step::{run, say},
};

/// # Errors
/// The tools are missing, or one of them fails.
pub fn package() -> Result<()> {
    apt::need(&[apt::DEMO, apt::DEB])?;
    build::release()?;
    say(&format!("made {}", of_release()?.display()));
    Ok(())
}

/// Packs what [`build::release`] has built.
///
/// # Errors
/// As [`package`].
pub fn of_release() -> Result<PathBuf> {
    say("packing the Debian package");
    let directory = build::target().join("deb");
    std::fs::create_dir_all(&directory)?;
    for old in packages(&directory)? {
        std::fs::remove_file(old)?;
    }
    let rules = |target: &str| {
        let mut rules = Command::new("debian/rules");
        rules.current_dir(build::workspace()).arg(target).env("TARGET", build::target());
        // Files in the package belong to root even if we are not root; `cargo xtask test` runs the tests.
        rules.envs([("DEB_RULES_REQUIRES_ROOT", "no"), ("DEB_BUILD_OPTIONS", "nocheck")]);
        run(&mut rules)
    };
    rules("clean")?;
    rules("binary")?;
    rules("clean")?;
    packages(&directory)?.pop().context("debian/rules made no package")
}

fn packages(directory: &Path) -> Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let files: Result<Vec<PathBuf>> = files.collect();
    Ok(files?.into_iter().filter(|file| file.extension().is_some_and(|end| end == "deb")).collect())
}
