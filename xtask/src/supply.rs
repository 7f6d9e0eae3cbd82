//! What the module is linked from: how many crates, and why each.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build,
    step::{cargo, say},
};

/// Most crates of others that may be linked into the module.
const MOST: usize = 45;
/// Ours.
const OURS: [&str; 3] = ["kernel-calls", "pam_qrtotp", "qrtotp-core"];

/// Where the module's dependencies are named.
const MANIFESTS: [&str; 4] =
    ["Cargo.toml", "kernel-calls/Cargo.toml", "pam_qrtotp/Cargo.toml", "qrtotp-core/Cargo.toml"];

/// # Errors
/// Too many crates are linked into the module, or one is asked for without a reason.
pub fn check() -> Result<()> {
    let crates = linked()?;
    ensure!(crates.len() <= MOST, "{} crates are linked into the module, not at most {MOST}", crates.len());
    say(&format!("crates of others linked into the module: {} of at most {MOST}", crates.len()));
    for manifest in MANIFESTS {
        let text = fs::read_to_string(build::workspace().join(manifest)).context(manifest)?;
        let unexplained = unexplained(&text);
        if !unexplained.is_empty() {
            bail!("{manifest} does not say why there is {}", unexplained.join(", "));
        }
    }
    Ok(())
}

/// Names and versions of the crates of others in the module; macros run at build time only.
fn linked() -> Result<BTreeSet<String>> {
    let mut tree = cargo(&["tree", "--locked", "--package", "pam_qrtotp", "--edges", "normal,no-proc-macro"]);
    let output = tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let crates: BTreeSet<String> = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| !OURS.contains(name))
        .map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap_or_default()))
        .collect();
    ensure!(!crates.is_empty(), "cargo tree names no crates");
    Ok(crates)
}

/// The dependencies that no remark explains, neither on their line nor above it in their paragraph. Those of the workspace are
/// explained there.
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
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_named() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\nd = \"1\" # why\n\
                        e.workspace = true\nf = { workspace = true }\n[dev-dependencies]\ng = { path = \"x\" }\n";
        assert_eq!(unexplained(manifest), ["c", "g"]);
    }
}
