//! Every target of fuzz/ for millions of inputs; and each once more with a fault planted, which must be found.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Result, anyhow};

use super::{Findings, document};
use crate::{
    build,
    fuzz::{self, TARGETS, Target, Until},
    step::say,
};

/// Inputs of each target, and scripts of whole conversations.
const RUNS: u64 = 10_000_000;
const CONVERSATIONS: u64 = 1_000_000;

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
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut done = Vec::new();
        while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((target.name, row(&program, target, &rows)?));
        }
        anyhow::Ok(done)
    };
    let mut done = thread::scope(|scope| -> Result<Vec<_>> {
        let lanes: Vec<_> = (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(lane)).collect();
        let mut done = Vec::new();
        for lane in lanes {
            done.extend(lane.join().map_err(|_| anyhow!("a fuzzer's thread panicked"))??);
        }
        Ok(done)
    })?;
    done.sort_unstable_by_key(|(name, _)| *name);
    for (_, (row, failures)) in done {
        found.text.push_str(&row);
        found.failures.extend(failures);
    }
    Ok(found)
}

/// A target's figures, as a row of the table, and what is wrong with them. The row is kept if nothing is.
fn row(program: &Path, target: &Target, rows: &Path) -> Result<(String, Vec<String>)> {
    let kept = rows.join(target.name);
    if let Ok(row) = fs::read_to_string(&kept) {
        return Ok((row, Vec::new()));
    }
    let runs = if target.name == "conversation" { CONVERSATIONS } else { RUNS };
    let until = Until::Runs(runs);
    // What a run of this length finds is what it would have found.
    let planted = fuzz::fuzz(program, target, until, true)?;
    let outcome = fuzz::fuzz(program, target, until, false)?;
    let mut failures = Vec::new();
    if let Some((input, why)) = &outcome.finding {
        failures.push(format!("{}: {why} ({})", target.name, input.display()));
    } else if outcome.runs < runs {
        failures.push(format!("{}: only {} inputs were tried", target.name, outcome.runs));
    }
    if planted.finding.is_none() {
        failures.push(format!("{}: its planted fault was not found", target.name));
    }
    let row = format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        target.name,
        outcome.runs,
        outcome.edges,
        outcome.seconds,
        if outcome.finding.is_some() { "one" } else { "none" },
        if planted.finding.is_some() { format!("{} inputs", planted.runs) } else { "NOT FOUND".to_owned() },
    );
    say(row.trim());
    if failures.is_empty() {
        fs::write(&kept, &row)?;
    }
    Ok((row, failures))
}
