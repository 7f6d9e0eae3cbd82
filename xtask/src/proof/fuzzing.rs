//! Every target of fuzz/ for millions of inputs; and each once more with a fault planted, which must be found.

use std::{
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
    fuzz::{self, TARGETS, Target, Until},
    step::say,
};

/// Inputs of each target, and scripts of whole conversations.
const RUNS: u64 = 10_000_000;
const CONVERSATIONS: u64 = 1_000_000;

const ABOUT: &str = "\
libFuzzer without a sanitizer (the core has no unsafe code), with overflow checks and assertions. What each target is and asserts: \
fuzz/src/.
The last column: inputs until the fault was found that is planted in the target for that purpose. A target is tried again once what \
it tries has changed since its row's commit. Written after each target: \"not tried\" is what an interrupted run left.

| target | commit | inputs | edges covered | seconds | findings | planted fault found after |
|---|---|---|---|---|---|---|
";
const NOT_FOUND: &str = "NOT FOUND";

/// What is known of each target.
type Rows = [Option<(String, Vec<String>)>];

/// # Errors
/// The fuzzer can't be built or run.
pub fn run() -> Result<Findings> {
    let program = fuzz::build()?;
    // A run takes hours, so what still holds of the last one stays.
    let section = document::section_of(super::FUZZING)?;
    let known = TARGETS.each_ref().map(|target| Some((still_true(target, &section)?, Vec::new())));
    let rows = Mutex::new(known.to_vec());
    let next = AtomicUsize::new(0);
    let lane = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = TARGETS.get(index) else { return anyhow::Ok(()) };
            if known.get(index).is_some_and(Option::is_none) {
                let row = row(&program, target)?;
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

/// The target's row in the section, if nothing failed in it and what it tells of has not changed since.
fn still_true(target: &Target, section: &str) -> Option<String> {
    let (row, commit) = good_row(target, section)?;
    document::is_as_in(commit, &target.sources()).unwrap_or(false).then(|| format!("{row}\n"))
}

/// The row and its commit.
fn good_row<'a>(target: &Target, section: &'a str) -> Option<(&'a str, &'a str)> {
    let row = section.lines().find(|line| line.starts_with(&format!("| {} |", target.name)))?;
    let [_, _, commit, inputs, _, _, findings, planted, _] =
        row.split('|').map(str::trim).collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let enough = inputs.parse::<u64>().is_ok_and(|inputs| inputs >= runs_of(target));
    (enough && findings == "none" && planted != NOT_FOUND).then_some((row, commit))
}

fn runs_of(target: &Target) -> u64 {
    if target.name == "conversation" { CONVERSATIONS } else { RUNS }
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
                found.text.push_str(&format!("| {} | – | not tried | | | | |\n", target.name));
                found.failures.push(format!("{}: not tried", target.name));
            }
        }
    }
    found
}

/// A target's figures, as a row of the table, and what is wrong with them.
fn row(program: &Path, target: &Target) -> Result<(String, Vec<String>)> {
    let runs = runs_of(target);
    let commit = document::commit_of(&target.sources())?.unwrap_or_else(|| "with changes".into());
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
        "| {} | {commit} | {} | {} | {} | {} | {} |\n",
        target.name,
        outcome.runs,
        outcome.edges,
        outcome.seconds,
        if outcome.finding.is_some() { "one" } else { "none" },
        if planted.finding.is_some() { format!("{} inputs", planted.runs) } else { NOT_FOUND.to_owned() },
    );
    say(row.trim());
    Ok((row, failures))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_target_that_was_not_tried_is_a_failure_and_said_to_be_one() {
        let mut rows = vec![Some(("| a row |\n".to_owned(), Vec::new())); TARGETS.len()];
        assert!(report(&rows).failures.is_empty());
        rows[1] = None;
        let (found, name) = (report(&rows), TARGETS[1].name);
        assert_eq!(found.failures, [format!("{name}: not tried")]);
        assert!(found.text.contains(&format!("| {name} | – | not tried |")), "{}", found.text);
    }

    #[test]
    fn a_row_with_a_finding_too_few_inputs_or_no_planted_fault_is_not_kept() {
        let [target, ..] = TARGETS;
        let row = |inputs: u64, findings: &str, planted: &str| {
            format!("| x | y |\n| {} | abc1234 | {inputs} | 7 | 8 | {findings} | {planted} |\n", target.name)
        };
        let good = row(RUNS, "none", "0 inputs");
        assert_eq!(good_row(&target, &good), good.lines().nth(1).map(|row| (row, "abc1234")));
        for bad in
            [row(RUNS - 1, "none", "0 inputs"), row(RUNS, "one", "0 inputs"), row(RUNS, "none", NOT_FOUND)]
        {
            assert_eq!(good_row(&target, &bad), None, "{bad}");
        }
    }

    #[test]
    fn what_has_changed_since_a_commit_is_tried_again() {
        let sources = TARGETS.each_ref().map(Target::sources);
        let first = |paths: &[String]| document::is_as_in("4b825dc642cb6eb9a060e54bf8d69288fbee4904", paths);
        assert!(!first(&sources[0]).unwrap(), "nothing was there in git's empty tree");
        assert!(!document::is_as_in("0000000", &sources[0]).unwrap(), "a commit that nobody knows");
        assert!(document::is_as_in("HEAD", &["no-such-path".into()]).unwrap());
    }
}
