//! `cargo xtask licences`: writes the licences of the crates that are linked into the programs into
//! debian/copyright.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::{build, step::cargo};

const FILE: &str = "debian/copyright";
/// The list is between these lines.
const BEGIN: &str = " The programs are linked with these crates, under their authors' licences\n (`cargo xtask licences` writes this list):\n";
const END: &str = "\nLicense: Expat\n";
/// Licences whose text is in the file. Each crate must offer one of them.
const TEXTS: [&str; 5] = ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Zlib"];

/// # Errors
/// A crate offers none of the licences that the file has the text of.
pub fn write() -> Result<()> {
    let path = build::workspace().join(FILE);
    let text = fs::read_to_string(&path)?;
    fs::write(&path, renewed(&text)?).context(FILE)
}

/// The file with the present list.
fn renewed(text: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("debian/copyright has no list of crates")?;
    let (_, after) = rest.split_once(END).context("debian/copyright has no licences behind the list")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", crates()?))
}

/// A line for each crate of others that is linked into a program; macros run at build time only.
fn crates() -> Result<String> {
    let programs = [
        "--package",
        "pam_qrtotp",
        "--package",
        "enroll-cli",
        "--package",
        "qrtotpd",
        "--package",
        "qrtotp-relay",
    ];
    let mut tree = cargo(&["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none"]);
    let output = tree.args(["--no-dedupe", "--format", "{p} {l}"]).args(programs).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut lines = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.contains(" (/")) {
        let mut words = line.splitn(3, ' ');
        let (Some(name), _, Some(licence)) = (words.next(), words.next(), words.next()) else {
            bail!("cargo tree printed: {line}");
        };
        let offered = licence.split([' ', '/']).any(|word| TEXTS.contains(&word));
        ensure!(offered, "{FILE} has no text of the licence of {name}: {licence}");
        lines.insert(format!("  {name}: {licence}\n"));
    }
    Ok(lines.into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn debian_copyright_has_the_licence_of_each_crate() {
        let text = fs::read_to_string(build::workspace().join(FILE)).unwrap();
        assert!(renewed(&text).unwrap() == text, "run `cargo xtask licences`");
        assert!(text.lines().filter(|line| line.starts_with("  ")).count() > 40);
    }
}
