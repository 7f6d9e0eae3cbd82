//! The crates that the module links: their number, and a reason for each.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build,
    step::{cargo, say},
};

/// Most third-party crates that may be linked into the module.
const MOST: usize = 45;

/// # Errors
/// Too many crates are linked into the module, or a dependency has no stated reason.
pub fn check() -> Result<()> {
    let (ours, others) = linked()?;
    let count = others.len();
    ensure!(count <= MOST, "{count} crates are linked into the module, not at most {MOST}");
    say(&format!("crates of others linked into the module: {count} of at most {MOST}"));
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

/// The crates that the module links: the directories of ours, and names and versions of others. Macros run at
/// build time only.
fn linked() -> Result<(BTreeSet<PathBuf>, BTreeSet<String>)> {
    let mut tree = cargo(&["tree", "--locked", "--package", "pam_qrtotp", "--edges", "normal,no-proc-macro"]);
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
    fn the_module_has_few_crates_each_with_a_reason() {
        check().map_err(|error| error.to_string()).unwrap();
    }

    #[test]
    fn a_dependency_without_a_reason_is_named() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\nd = \"1\" # why\n\
                        e.workspace = true\nf = { workspace = true }\n[dev-dependencies]\ng = { path = \"x\" }\n";
        assert_eq!(unexplained(manifest), ["c", "g"]);
    }
}
