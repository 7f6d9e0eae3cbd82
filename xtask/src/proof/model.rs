//! Every interleaving of three at one account, on a model of the disk: qrtotp-core/src/flow/tests/model/.

use std::{fmt::Write, process::Stdio};

use anyhow::Result;

use super::Findings;
use crate::step::cargo;

/// # Errors
/// The tests can't be run.
pub fn run() -> Result<Findings> {
    let mut tests = cargo(&["test", "--package", "qrtotp-core", "--lib", "flow::tests::model", "--"]);
    tests.args(["--include-ignored", "--nocapture", "--test-threads", "1"]).stderr(Stdio::inherit());
    let output = tests.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut found = Findings::default();
    found.text.push_str(
        "The login, revocation, token and enrolment flows themselves, three at a time and a fourth after them, stopped at every read, lock, \
         write and\nsync, in every order, with one kill and one power cut anywhere. Each row: who met, and how many different moments \
         that made.\n\n| who | moments |\n|---|---|\n",
    );
    // The first line of a test comes behind its name.
    let lines = || said.lines().map(|line| line.rsplit(" ... ").next().unwrap_or(line));
    for line in lines() {
        if let Some((who, moments)) =
            line.split_once(": ").and_then(|(who, rest)| Some((who, rest.strip_suffix(" moments")?)))
        {
            writeln!(found.text, "| {} | {moments} |", who.trim_matches(['[', ']']))?;
        }
    }
    found.text.push_str("\nThe same with a store that is broken on purpose:\n\n");
    for line in lines().filter(|line| line.contains(" is found out: ")) {
        writeln!(found.text, "- {line}")?;
    }
    if !output.status.success() {
        found.failures.push("the model's tests failed; see above".into());
    }
    Ok(found)
}
