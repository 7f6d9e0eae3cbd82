//! Every target of fuzz/ for millions of inputs; and each once more with a fault planted, which must be found.

use std::{fmt::Write, fs, path::Path, time::Duration};

use anyhow::Result;

use super::{Findings, document};
use crate::{
    build,
    fuzz::{self, TARGETS, Target, Until},
    step::say,
};

/// Inputs of each target, and scripts of whole conversations.
const RUNS: u64 = 10_000_000;
const CONVERSATIONS: u64 = 1_000_000;
/// How long a planted fault may stay hidden.
const PATIENCE: Duration = Duration::from_secs(600);

/// # Errors
/// The fuzzer can't be built or run.
pub fn run() -> Result<Findings> {
    let program = fuzz::build()?;
    let mut found = Findings::default();
    found.text.push_str(
        "libFuzzer without a sanitizer (the core has no unsafe code), with overflow checks and assertions. What each target is and asserts: \
         fuzz/src/.\nThe last column: inputs until the fault was found that is planted in the target for that purpose.\n\n\
         | target | inputs | edges covered | seconds | findings | planted fault found after |\n|---|---|---|---|---|---|\n",
    );
    // A run takes hours. What was done with the same sources need not be done again.
    let rows = build::target().join("fuzz/rows").join(document::tree(&["qrtotp-core", "fuzz"])?);
    fs::create_dir_all(&rows)?;
    for target in &TARGETS {
        let kept = rows.join(target.name);
        let row = match fs::read_to_string(&kept) {
            Ok(row) => row,
            Err(_) => {
                let before = found.failures.len();
                let row = row(&program, target, &mut found.failures)?;
                if found.failures.len() == before {
                    fs::write(&kept, &row)?;
                }
                row
            }
        };
        say(row.trim());
        found.text.push_str(&row);
    }
    Ok(found)
}

/// A target's figures, as a row of the table.
fn row(program: &Path, target: &Target, failures: &mut Vec<String>) -> Result<String> {
    let runs = if target.name == "conversation" { CONVERSATIONS } else { RUNS };
    let planted = fuzz::fuzz(program, target, Until::Time(PATIENCE), true)?;
    let outcome = fuzz::fuzz(program, target, Until::Runs(runs), false)?;
    if let Some((input, why)) = &outcome.finding {
        failures.push(format!("{}: {why} ({})", target.name, input.display()));
    } else if outcome.runs < runs {
        failures.push(format!("{}: only {} inputs were tried", target.name, outcome.runs));
    }
    if planted.finding.is_none() {
        failures.push(format!("{}: its planted fault was not found", target.name));
    }
    let finding = if outcome.finding.is_some() { "one" } else { "none" };
    let planted = planted.finding.map_or("NOT FOUND".to_owned(), |_| format!("{} inputs", planted.runs));
    let mut row = String::new();
    writeln!(
        row,
        "| {} | {} | {} | {} | {finding} | {planted} |",
        target.name, outcome.runs, outcome.edges, outcome.seconds
    )?;
    Ok(row)
}
