//! An application that loads and unloads the module a hundred thousand times: tests/tests/hostile_hosts.rs.

use std::process::Stdio;

use anyhow::Result;

use super::Findings;
use crate::{apt, build, step::cargo};

/// # Errors
/// Something can't be built, installed or run.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    let artefacts = build::release()?;
    let mut tests = cargo(&["test", "--package", "qrtotp-tests", "--test", "hostile_hosts", "--", "loads"]);
    tests.args(["--include-ignored", "--nocapture", "--test-threads", "1"]).stderr(Stdio::inherit());
    let output = tests.envs(artefacts.variables()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut found = Findings::default();
    found.text.push_str(
        "What one process has more of after 100,000 whole logins, each of which loads and unloads the module, than after the first \
         10,000 of them.\nThe same counts find an application that leaks one of each with every login.\n\n\
         | logins | mappings | pthread keys | descriptors | KiB resident |\n|---|---|---|---|---|\n",
    );
    match said.lines().find_map(|line| line.split_once("100,000 loads: ")) {
        Some((_, counts)) => found.text.push_str(&format!("| 100,000 | {counts} |\n")),
        None => found.failures.push("the loads were not counted".into()),
    }
    if !output.status.success() {
        found.failures.push("something grew, or a leak was not noticed; see above".into());
    }
    Ok(found)
}
