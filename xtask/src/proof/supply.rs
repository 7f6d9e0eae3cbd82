//! Whose code it is: licences, sources, duplicates and known advisories, by cargo-deny.

use std::{fmt::Write, fs, path::Path, process::Command};

use anyhow::Result;

use super::Findings;
use crate::{build, step::say, tool};

/// The checks, each with a line that must make it fail.
const CHECKS: [(&str, &str, &str); 3] = [
    ("licenses", "allow = [\"MIT\"", "allow = [\"Unlicense\""),
    ("bans", "\"openssl\"", "\"subtle\""),
    (
        "sources",
        "unknown-registry = \"deny\"",
        "unknown-registry = \"deny\"\nallow-registry = [\"https://registry.invalid/\"]",
    ),
];

/// # Errors
/// cargo-deny can't be installed or run.
pub fn run() -> Result<Findings> {
    let deny = tool::install("cargo-deny")?;
    let mut found = Findings::default();
    let config = fs::read_to_string(build::workspace().join("deny.toml"))?;
    let broken = build::target().join("deny-broken.toml");
    found.text.push_str("| cargo deny check | result | with a fault in deny.toml |\n|---|---|---|\n");
    for (what, line, fault) in CHECKS {
        let holds = check(&deny, what, &build::workspace().join("deny.toml"))?;
        fs::write(&broken, config.replacen(line, fault, 1))?;
        let fails = !check(&deny, what, &broken)?;
        if !holds {
            found.failures.push(format!("cargo deny check {what} finds something; see above"));
        }
        if !fails {
            found.failures.push(format!("cargo deny check {what} does not notice its planted fault"));
        }
        let words = |yes, good, bad| if yes { good } else { bad };
        writeln!(
            found.text,
            "| {what} | {} | {} |",
            words(holds, "holds", "FAILS"),
            words(fails, "fails", "NOT NOTICED")
        )?;
    }
    let reachable =
        Command::new(&deny).current_dir(build::workspace()).arg("fetch").arg("db").status()?.success();
    if !reachable {
        found.text.push_str(
            "\nThe advisory database was not reachable from here: known advisories were not looked for.\n",
        );
    } else if !check(&deny, "advisories", &build::workspace().join("deny.toml"))? {
        found.failures.push("cargo deny check advisories finds something; see above".into());
    } else {
        found.text.push_str("\nNo crate has a known advisory, none is yanked.\n");
    }
    Ok(found)
}

fn check(deny: &Path, what: &str, config: &Path) -> Result<bool> {
    say(&format!("cargo deny check {what}, by {}", config.display()));
    let mut command = Command::new(deny);
    command.current_dir(build::workspace()).args(["--workspace", "--locked", "--config"]);
    Ok(command.arg(config.canonicalize()?).args(["check", what]).status()?.success())
}
