//! Every target of fuzz/ for millions of inputs; and each once more with a fault planted, which must be found.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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

const ABOUT: &str = "\
libFuzzer without a sanitizer (the core has no unsafe code), with overflow checks and assertions. What each target is and asserts: \
fuzz/src/.
The last column: inputs until the fault was found that is planted in the target for that purpose. Written after each target: \
\"not tried\" is what an interrupted run left.

| target | inputs | edges covered | seconds | findings | planted fault found after |
|---|---|---|---|---|---|
";

/// What is known of each target.
type Rows = [Option<(String, Vec<String>)>];

/// # Errors
/// The fuzzer can't be built or run.
pub fn run() -> Result<Findings> {
    let program = fuzz::build()?;
    // A run takes hours. What was done with the same sources need not be done again.
    let kept = build::target().join("fuzz/rows").join(document::tree(&["qrtotp-core", "fuzz"])?);
    fs::create_dir_all(&kept)?;
    let known = TARGETS.map(|target| Some((fs::read_to_string(kept.join(target.name)).ok()?, Vec::new())));
    let rows = Mutex::new(known.to_vec());
    let next = AtomicUsize::new(0);
    let lane = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = TARGETS.get(index) else { return anyhow::Ok(()) };
            if !kept.join(target.name).exists() {
                let row = row(&program, target, &kept)?;
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(place) = rows.get_mut(index) {
                    *place = Some(row);
                }
                super::keep("fuzzing", &report(&rows))?;
            }
        }
    };
    thread::scope(|scope| -> Result<()> {
        let lanes: Vec<_> = (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            lane.join().map_err(|_| anyhow!("a fuzzer's thread panicked"))??;
        }
        Ok(())
    })?;
    Ok(report(&rows.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

fn report(rows: &Rows) -> Findings {
    let mut found = Findings { text: ABOUT.into(), failures: Vec::new() };
    for (target, row) in TARGETS.iter().zip(rows) {
        match row {
            Some((row, failures)) => {
                found.text.push_str(row);
                found.failures.extend_from_slice(failures);
            }
            None => {
                found.text.push_str(&format!("| {} | not tried | | | | |\n", target.name));
                found.failures.push(format!("{}: not tried", target.name));
            }
        }
    }
    found
}

/// A target's figures, as a row of the table, and what is wrong with them. The row is kept if nothing is.
fn row(program: &Path, target: &Target, rows: &Path) -> Result<(String, Vec<String>)> {
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
        fs::write(rows.join(target.name), &row)?;
    }
    Ok((row, failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_was_not_tried_is_a_failure_and_said_to_be_one() {
        let mut rows = vec![Some(("| a row |\n".to_owned(), Vec::new())); TARGETS.len()];
        assert!(report(&rows).failures.is_empty());
        rows[1] = None;
        let (found, name) = (report(&rows), TARGETS[1].name);
        assert_eq!(found.failures, [format!("{name}: not tried")]);
        assert!(found.text.contains(&format!("| {name} | not tried |")), "{}", found.text);
    }
}
