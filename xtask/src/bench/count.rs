//! Counts of things that do not vary with the machine's load: instructions by callgrind, system calls by
//! strace.
//!
//! The difference of eleven logins and one, divided by ten, excludes the application's own start.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::host::{Host, PEOPLE, person};

/// Logins beyond the first, over which the cost is averaged.
const MORE: usize = 10;

type Calls = BTreeMap<String, f64>;

pub struct Cost {
    pub instructions: u64,
    calls: Calls,
}

impl Cost {
    pub fn of(host: &Host, service: &'static str) -> Result<Self> {
        let one = calls(host, service, 1)?;
        let mut calls = calls(host, service, MORE + 1)?;
        for (name, count) in &mut calls {
            *count = (*count - one.get(name).copied().unwrap_or(0.0)) / MORE as f64;
        }
        Ok(Self { instructions: instructions_per_login(host, service)?, calls })
    }

    pub fn calls(&self, names: &[&str]) -> f64 {
        names.iter().filter_map(|name| self.calls.get(*name)).sum()
    }

    pub fn all_calls(&self) -> f64 {
        self.calls.values().sum()
    }
}

pub fn instructions_per_login(host: &Host, service: &'static str) -> Result<u64> {
    let few = instructions(host, service, 1)?;
    let many = instructions(host, service, MORE + 1)?;
    ensure!(many > few, "eleven logins need more instructions than one: {many}, {few}");
    Ok((many - few) / MORE as u64)
}

/// This many accepted logins by the users in turn, under another program.
fn log_in(host: &Host, service: &'static str, times: usize, under: &[&str]) -> Result<()> {
    let plan: Vec<_> =
        (0..times).map(|number| host.tick().accepted(service, &person(number % PEOPLE))).collect();
    let run = host.run(&plan, 0, under)?;
    ensure!(run.outcomes.iter().all(|outcome| outcome.code == PAM_SUCCESS), "not every login succeeded");
    Ok(())
}

fn instructions(host: &Host, service: &'static str, times: usize) -> Result<u64> {
    let valgrind =
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=/tmp/callgrind"];
    log_in(host, service, times, &valgrind)?;
    let log = host.sandbox.read("/tmp/callgrind");
    let count = log.lines().find_map(|line| line.split_once("Collected :"));
    let count = count.and_then(|(_, count)| count.trim().parse().ok());
    count.with_context(|| format!("callgrind says: {log}"))
}

fn calls(host: &Host, service: &'static str, times: usize) -> Result<Calls> {
    log_in(host, service, times, &["strace", "-o", "/tmp/strace"])?;
    let mut calls = Calls::new();
    for line in host.sandbox.read("/tmp/strace").lines() {
        if let Some((name, _)) = line.split_once('(') {
            *calls.entry(name.to_owned()).or_default() += 1.0;
        }
    }
    Ok(calls)
}
