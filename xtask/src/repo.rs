//! `cargo xtask repo KEY`: a signed apt repository of the packages in target/deb, to be copied to a web
//! server.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    apt, build, deb,
    step::{run, say},
};

/// How long hosts take the repository as it is. A copy that someone holds back is refused after that.
const VALID_DAYS: u32 = 180;

/// `key` is what gpg calls it: a fingerprint or an address.
///
/// # Errors
/// There are no packages, or a tool fails.
pub fn make(key: &str) -> Result<()> {
    apt::need(&[&["apt-utils", "gpg", "dpkg-dev"]])?;
    let key = &fingerprint(key)?;
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
    let seconds = (VALID_DAYS * 86_400).to_string();
    let fields = [
        ("Origin", "pam_qrtotp"),
        ("Suite", "stable"),
        ("Codename", "stable"),
        ("Components", "main"),
        ("Architectures", architecture.trim()),
        ("ValidTime", &seconds),
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
    say(&format!(
        "made {}, valid for {VALID_DAYS} days: docs/INTERNALS.md says what hosts do with it",
        repo.display()
    ));
    Ok(())
}

/// Of the one key that we can sign with by this name. Hosts get no other key of the same address.
fn fingerprint(key: &str) -> Result<String> {
    let listed = printed(Path::new(""), "gpg", &["--batch", "--with-colons", "--list-secret-keys", key])?;
    // A "sec" line, then its fingerprint, then the subkeys with theirs.
    let behind = listed.split("\nsec:").map(|part| part.trim_start_matches("sec:"));
    let found: Vec<&str> = behind
        .filter_map(|part| part.lines().find_map(|line| line.strip_prefix("fpr:")))
        .filter_map(|line| line.split(':').find(|field| !field.is_empty()))
        .collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        _ => anyhow::bail!(
            "gpg has {} secret keys for {key}; give one's fingerprint: {}",
            found.len(),
            found.join(", ")
        ),
    }
}

/// The output of a program that runs in `directory`, if that is there.
fn printed(directory: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    if directory.exists() {
        command.current_dir(directory);
    }
    let output = command
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("{program} is needed"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
