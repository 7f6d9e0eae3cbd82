//! What the module is linked from: how many crates, and why each.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build,
    step::{cargo, say},
};

/// Most crates of others that may be linked into the module.
pub const MOST: usize = 45;
/// Ours.
const OURS: [&str; 3] = ["kernel-calls", "pam_qrtotp", "qrtotp-core"];

/// Where the module's dependencies are named.
const MANIFESTS: [&str; 4] =
    ["Cargo.toml", "kernel-calls/Cargo.toml", "pam_qrtotp/Cargo.toml", "qrtotp-core/Cargo.toml"];

/// # Errors
/// Too many crates are linked into the module, or one is asked for without a reason.
pub fn check() -> Result<()> {
    let crates = linked()?;
    ensure!(
        is_few(crates.len(), MOST),
        "{} crates are linked into the module, not at most {MOST}",
        crates.len()
    );
    say(&format!("crates of others linked into the module: {} of at most {MOST}", crates.len()));
    for (manifest, text) in manifests()? {
        let unexplained = reasons(&text).unexplained;
        if !unexplained.is_empty() {
            bail!("{manifest} does not say why there is {}", unexplained.join(", "));
        }
    }
    Ok(())
}

/// Whether as many crates as that are no more than allowed.
pub fn is_few(crates: usize, most: usize) -> bool {
    crates <= most
}

/// The manifests in which the module's dependencies are named, with their text.
pub fn manifests() -> Result<Vec<(&'static str, String)>> {
    let read = |name| Ok((name, fs::read_to_string(build::workspace().join(name)).context(name)?));
    MANIFESTS.into_iter().map(read).collect()
}

/// Names and versions of the crates of others in the module; macros run at build time only.
pub fn linked() -> Result<BTreeSet<String>> {
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

/// The dependencies that a manifest names itself, by whether a remark explains them: on the line or above it, in its paragraph.
#[derive(Debug, Default)]
pub struct Reasons {
    pub explained: Vec<String>,
    pub unexplained: Vec<String>,
}

/// What is taken from the workspace is explained there.
pub fn reasons(manifest: &str) -> Reasons {
    let (mut found, mut inside, mut reason) = (Reasons::default(), false, false);
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
            if name.ends_with(".workspace") || what.contains("workspace = true") {
                continue;
            }
            let kind =
                if reason || what.contains(" # ") { &mut found.explained } else { &mut found.unexplained };
            kind.push(name.to_owned());
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
        let Reasons { explained, unexplained } = reasons(manifest);
        assert_eq!(explained, ["a", "b", "d"]);
        assert_eq!(unexplained, ["c", "g"]);
    }
}
