//! The crates that the module and the relay link, their number and a reason for each, and the sizes of both.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build::{self, Artefacts},
    step::{cargo, say},
};

/// Most third-party crates that may be linked into the module.
const MOST: usize = 45;
/// The same for the relay, which reads TLS from the network.
const MOST_OF_RELAY: usize = 60;
/// Largest module, in bytes: 680 KiB, so that the standard library's backtraces don't come back unnoticed.
const MODULE: u64 = 696_320;
/// Largest relay, in bytes.
const RELAY: u64 = 2_000_000;

/// # Errors
/// Too many crates are linked into the module or the relay, or a dependency has no stated reason.
pub fn check() -> Result<()> {
    let (ours, others) = linked("pam_qrtotp")?;
    few("module", &others, MOST)?;
    let (of_relay, others) = linked("qrtotp-relay")?;
    few("relay", &others, MOST_OF_RELAY)?;
    let asynchronous = others.iter().find(|crate_| crate_.starts_with("tokio "));
    ensure!(asynchronous.is_none(), "the relay links tokio: it is to stay blocking and small");
    let ours: BTreeSet<PathBuf> = ours.union(&of_relay).cloned().collect();
    let manifests = ours.iter().map(|directory| directory.join("Cargo.toml"));
    for manifest in manifests.chain([build::workspace().join("Cargo.toml")]) {
        let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
        let unexplained = unexplained(&text);
        if !unexplained.is_empty() {
            bail!("{} does not say why there is {}", manifest.display(), unexplained.join(", "));
        }
    }
    Ok(())
}

fn few(what: &str, crates: &BTreeSet<String>, most: usize) -> Result<()> {
    let count = crates.len();
    ensure!(count <= most, "{count} crates are linked into the {what}, not at most {most}");
    say(&format!("crates of others linked into the {what}: {count} of at most {most}"));
    Ok(())
}

/// # Errors
/// Module or relay are larger than allowed.
pub fn check_sizes(artefacts: &Artefacts) -> Result<()> {
    small("module", &artefacts.module, MODULE)?;
    small("relay", &artefacts.broker.with_file_name("qrtotp-relay"), RELAY)
}

fn small(what: &str, path: &Path, most: u64) -> Result<()> {
    let size = fs::metadata(path).with_context(|| path.display().to_string())?.len();
    ensure!(size <= most, "the {what} has {size} bytes, not at most {most}");
    say(&format!("bytes of the {what}: {size} of at most {most}"));
    Ok(())
}

/// The crates that a package links: the directories of ours, and names and versions of others. Macros run at
/// build time only.
fn linked(package: &str) -> Result<(BTreeSet<PathBuf>, BTreeSet<String>)> {
    let mut tree = cargo(&["tree", "--locked", "--package", package, "--edges", "normal,no-proc-macro"]);
    let output = tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let (mut ours, mut others) = (BTreeSet::new(), BTreeSet::new());
    for line in String::from_utf8(output.stdout)?.lines() {
        match line.split_once(" (") {
            Some((_, directory)) => ours.insert(PathBuf::from(directory.trim_end_matches(')'))),
            None => others.insert(line.to_owned()),
        };
    }
    ensure!(ours.len() > 1 && !others.is_empty(), "cargo tree names no crates");
    Ok((ours, others))
}

/// The dependencies without a remark, either on their line or above it in their paragraph. Inherited ones are
/// explained in the workspace's manifest.
fn unexplained(manifest: &str) -> Vec<String> {
    let (mut found, mut inside, mut reason) = (Vec::new(), false, false);
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            reason = false;
        } else if line.is_empty() {
            reason = false;
        } else if line.starts_with('#') {
            reason = true;
        } else if let Some((name, what)) = line.split_once('=').filter(|_| inside) {
            let name = name.trim();
            let elsewhere = name.ends_with(".workspace") || what.contains("workspace = true");
            if !elsewhere && !reason && !what.contains(" # ") {
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn module_and_relay_have_few_crates_each_with_a_reason() {
        check().map_err(|error| error.to_string()).unwrap();
    }

    #[test]
    fn a_file_that_is_too_large_is_named_with_its_size() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, [0; 11]).unwrap();
        assert!(small("relay", file.path(), 11).is_ok());
        let error = small("relay", file.path(), 10).unwrap_err().to_string();
        assert_eq!(error, "the relay has 11 bytes, not at most 10");
    }

    #[test]
    fn a_dependency_without_a_reason_is_named() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\nd = \"1\" # why\n\
                        e.workspace = true\nf = { workspace = true }\n[dev-dependencies]\ng = { path = \"x\" }\n";
        assert_eq!(unexplained(manifest), ["c", "g"]);
    }
}
