//! Every target of fuzz/ for millions of inputs; and each again with a planted fault, which must be found.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Result, anyhow};

use super::Findings;
use crate::{
    fuzz::{self, TARGETS, Target, Until},
    step::say,
};

/// Inputs of each target, and of those that take longer: conversations and logs.
const RUNS: u64 = 10_000_000;
const SLOW_RUNS: u64 = 1_000_000;

const HEAD: &str = "\
| target | inputs | edges covered | seconds | findings | planted fault found after |
|---|---|---|---|---|---|
";

/// # Errors
/// The fuzzer can't be built or run.
pub fn run() -> Result<Findings> {
    let program = fuzz::build()?;
    let found = Mutex::new(Findings { text: HEAD.into(), failures: Vec::new() });
    let next = AtomicUsize::new(0);
    let lane = || {
        while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (row, mut failures) = row(&program, target)?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.text.push_str(&row);
            found.failures.append(&mut failures);
        }
        anyhow::Ok(())
    };
    thread::scope(|scope| -> Result<()> {
        let lanes: Vec<_> = (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            lane.join().map_err(|_| anyhow!("a fuzzer's thread panicked"))??;
        }
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A target's figures, as a row of the table, and its failures.
fn row(program: &Path, target: &Target) -> Result<(String, Vec<String>)> {
    let runs = if matches!(target.name, "conversation" | "log") { SLOW_RUNS } else { RUNS };
    let until = Until::Runs(runs);
    // The planted fault shows what a run of this length can find.
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
    Ok((row, failures))
}
