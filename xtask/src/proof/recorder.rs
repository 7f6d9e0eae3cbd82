//! A power cut at every call of every deed, on what strace wrote down of it: qrtotp-core/src/flow/tests/recorder/.

use std::{fmt::Write, process::Stdio};

use anyhow::Result;

use super::Findings;
use crate::{apt, step::cargo};

/// # Errors
/// The tests can't be run.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::TEST])?;
    let mut tests = cargo(&["test", "--package", "qrtotp-core", "--lib", "flow::tests::recorder", "--"]);
    tests.args(["--include-ignored", "--nocapture", "--test-threads", "1"]).stderr(Stdio::inherit());
    let output = tests.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut found = Findings::default();
    found.text.push_str(
        "strace writes down every call that changes a file or makes it durable while a deed is done. After each of them, all that a disk may \
         have kept is\nlaid out and used: what was synced, and any part of the rest, by 512-byte sectors, lengths and changes of directories \
         (all parts; beyond 4,096,\na fixed selection). The store and the account open, no code that was accepted is accepted again, a device \
         that was taken away, never confirmed,\nor whose token is gone stays out, one that is in gets in. The same finds, of every deed, that \
         its syncs do nothing. Last column: how many of\nthem are missed when that one alone does nothing.\n\n\
         | deed | calls | states of the disk | did not hold | syncs that are missed |\n|---|---|---|---|---|\n",
    );
    let rows = |mark: &str| -> Vec<String> {
        said.lines()
            .filter_map(|line| Some(line.split_once(mark)?.1.trim_matches(['|', ' ']).to_owned()))
            .collect()
    };
    let (recorded, syncs) = (rows("recorded: "), rows("syncs: "));
    for row in &recorded {
        let deed = row.split(" | ").next().unwrap_or_default();
        let missed = syncs.iter().find_map(|line| line.strip_prefix(deed)?.strip_prefix(" | "));
        writeln!(found.text, "| {row} | {} |", missed.unwrap_or("none"))?;
    }
    if recorded.is_empty() || recorded.len() != syncs.len() {
        found.failures.push("not everything was recorded".into());
    }
    if !output.status.success() {
        found.failures.push("something did not hold, or was not noticed; see above".into());
    }
    Ok(found)
}
