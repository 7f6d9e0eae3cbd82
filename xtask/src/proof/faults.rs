//! Every system call of every action fails once: tests/src/sweep.rs, with all calls.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    sync::Mutex,
    thread,
    time::Instant,
};

use anyhow::Result;
use qrtotp_tests::{
    deeds::DEEDS,
    sweep::{Errors, Swept, false_write, sweep},
};

use super::Findings;
use crate::{apt, build, step::say};

/// Concurrent sweeps; they mostly wait for programs.
const AT_A_TIME: usize = 4;

/// Number of shares that an action's calls are divided into.
const PIECES: usize = 3;

/// # Errors
/// Something can't be built or installed.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    build::release()?;
    let began = Instant::now();
    let jobs = DEEDS.iter().flat_map(|deed| (0..PIECES).map(move |piece| (deed, piece)));
    let jobs = Mutex::new(jobs.collect::<VecDeque<_>>());
    let results = Mutex::new(BTreeMap::<&str, Swept>::new());
    let next = || jobs.lock().ok()?.pop_front();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((deed, piece)) = next() {
                    let swept = sweep(deed, &|call| piece_of(call) == piece, Errors::All);
                    say(&format!("{}, part {piece}: {} did not hold", deed.name, swept.wrong.len()));
                    swept.wrong.iter().for_each(|wrong| println!("{wrong}"));
                    if let Ok(mut results) = results.lock() {
                        results.entry(deed.name).or_default().add(swept);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_default();
    Ok(report(&results, &false_write(), began.elapsed().as_secs()))
}

fn piece_of(call: &str) -> usize {
    call.bytes().map(usize::from).sum::<usize>() % PIECES
}

fn report(results: &BTreeMap<&str, Swept>, planted: &[String], seconds: u64) -> Findings {
    let mut found = Findings::default();
    let text = &mut found.text;
    text.push_str("| deed | faults met | went through | refused | did not hold |\n|---|---|---|---|---|\n");
    for deed in &DEEDS {
        let Some(swept) = results.get(deed.name) else {
            found.failures.push(format!("{}: it was not carried out to its end; see above", deed.name));
            continue;
        };
        let met: u32 = swept.tried.values().sum();
        let (done, wrong) = (swept.done, swept.wrong.len());
        let _ = writeln!(text, "| {} | {met} | {done} | {} | {wrong} |", deed.name, met - done);
        found.failures.extend(swept.wrong.iter().cloned());
    }
    let sum = |of: fn(&Swept) -> &BTreeMap<String, u32>| {
        let mut all = BTreeMap::<&str, u32>::new();
        for (name, count) in results.values().flat_map(of) {
            *all.entry(name).or_default() += count;
        }
        all.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(text, "\nCalls that failed, and how often: {}.", sum(|swept| &swept.tried));
    let _ = writeln!(text, "\nWhy it was refused: {}.", sum(|swept| &swept.reasons));
    let _ = writeln!(text, "\nHow they failed: {}.", sum(|swept| &swept.effects));
    let _ = writeln!(text, "\n{seconds} s.");
    if planted.is_empty() {
        found.failures.push("a write that claims to have happened was not found out".to_owned());
    }
    found
}
