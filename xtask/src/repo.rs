//! `cargo xtask repo KEY`: a signed apt repository of the packages in target/deb, to be copied to a web
//! server.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    apt, build, deb,
    step::{run, say},
};

/// `key` is what gpg calls it: a fingerprint or an address.
///
/// # Errors
/// There are no packages, or a tool fails.
pub fn make(key: &str) -> Result<()> {
    apt::need(&[&["apt-utils", "gpg", "dpkg-dev"]])?;
    let built = build::target().join("deb");
    let packages = deb::packages(&built).unwrap_or_default();
    ensure!(packages.len() == 2, "{} does not have the two packages: run `cargo xtask deb`", built.display());
    let repo = build::target().join("repo");
    if repo.exists() {
        fs::remove_dir_all(&repo)?;
    }
    let pool = repo.join("pool");
    let suite = repo.join("dists/stable");
    let architecture = printed(&repo, "dpkg", &["--print-architecture"])?;
    let index = suite.join("main").join(format!("binary-{}", architecture.trim()));
    for directory in [&pool, &index] {
        fs::create_dir_all(directory)?;
    }
    for package in packages {
        fs::copy(&package, pool.join(package.file_name().context("a package without a name")?))?;
    }
    fs::write(index.join("Packages"), printed(&repo, "apt-ftparchive", &["packages", "pool"])?)?;
    let fields = [
        ("Origin", "pam_qrtotp"),
        ("Suite", "stable"),
        ("Codename", "stable"),
        ("Components", "main"),
        ("Architectures", architecture.trim()),
    ];
    let options = fields.map(|(name, value)| format!("-oAPT::FTPArchive::Release::{name}={value}"));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let release = printed(&repo, "apt-ftparchive", &[&options, &["release", "dists/stable"][..]].concat())?;
    fs::write(suite.join("Release"), release)?;
    let gpg = |arguments: &[&str]| {
        run(Command::new("gpg").current_dir(&suite).args(["--batch", "--local-user", key]).args(arguments))
    };
    gpg(&["--output", "InRelease", "--clear-sign", "Release"])?;
    gpg(&["--output", "Release.gpg", "--armor", "--detach-sign", "Release"])?;
    run(Command::new("gpg").current_dir(&repo).args(["--batch", "--output", "qrtotp.gpg", "--export", key]))?;
    say(&format!("made {}: docs/INTERNALS.md says what hosts do with it", repo.display()));
    Ok(())
}

/// What a program prints that runs in `directory`, if that is there.
fn printed(directory: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    if directory.exists() {
        command.current_dir(directory);
    }
    let output = command.args(arguments).output().with_context(|| format!("{program} is needed"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
