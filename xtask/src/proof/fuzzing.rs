//! Every target of fuzz/ for millions of inputs; and each once more with a fault planted, which must be found.

use std::{fmt::Write, time::Duration};

use anyhow::Result;

use super::Findings;
use crate::fuzz::{self, TARGETS, Until};

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
    for target in &TARGETS {
        let runs = if target.name == "conversation" { CONVERSATIONS } else { RUNS };
        let planted = fuzz::fuzz(&program, target, Until::Time(PATIENCE), true)?;
        let outcome = fuzz::fuzz(&program, target, Until::Runs(runs), false)?;
        if let Some((input, why)) = &outcome.finding {
            found.failures.push(format!("{}: {why} ({})", target.name, input.display()));
        } else if outcome.runs < runs {
            found.failures.push(format!("{}: only {} inputs were tried", target.name, outcome.runs));
        }
        if planted.finding.is_none() {
            found.failures.push(format!("{}: its planted fault was not found", target.name));
        }
        let finding = if outcome.finding.is_some() { "one" } else { "none" };
        let planted = planted.finding.map_or("NOT FOUND".to_owned(), |_| format!("{} inputs", planted.runs));
        writeln!(
            found.text,
            "| {} | {} | {} | {} | {finding} | {planted} |",
            target.name, outcome.runs, outcome.edges, outcome.seconds
        )?;
    }
    Ok(found)
}
