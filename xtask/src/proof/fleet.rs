//! All proofs of a fleet (issue 22), in their long forms, and a table of them.

use std::{
    fmt::Write,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{Findings, newcomer, suite};
use crate::{
    apt, bench, build, debian,
    step::{run as step, say},
    supply,
};

/// Minutes of logins under faults.
const MINUTES: u32 = 20;

type Part = (&'static str, fn() -> Result<Findings>);

/// The properties, each with the check of it.
const PARTS: [Part; 15] = [
    ("every interleaving in the model, and every planted fault is found", || suite::fleet("model::", 1)),
    ("20 minutes of kills, freezes, cuts, full disks: nothing twice, nothing lost", || {
        suite::fleet("faults::", MINUTES)
    }),
    ("40 minutes of kills, freezes, cuts, clocks 15 s off, by what PAM and all logs say", || {
        suite::end_to_end_with(&["fleet::histories::"], &[("QRTOTP_FLEET_LONG", "1")])
    }),
    ("restored backups, with and without --bump-revision", || suite::fleet("etcd::a_restored_backup", 1)),
    ("speed beside the floor", speed),
    ("1,000 revocations, and 1,000 with a verifier cut off", || {
        end_to_end(&["a_revocation_acknowledged_at_one"])
    }),
    ("a stolen host", || end_to_end(&["with_all_that_a_stolen_host", "a_stolen_host"])),
    ("a stolen host and the users' requests", || suite::end_to_end_with(&["fleet::stolen_host::"], &[])),
    ("a break-glass code that was used is reported within 10 s of the verifiers' return", || {
        suite::end_to_end_with(&["fleet::late_reports::"], &[])
    }),
    ("a login host has no secret", || end_to_end(&["a_login_host_has_no_secret"])),
    ("100 failures a second at a host", || end_to_end(&["at_a_host_with_a_hundred_failures"])),
    ("the time of a refusal tells nothing", || end_to_end(&["alone::the_time_of_a_refusal"])),
    ("sizes", sizes),
    ("a newcomer on booted systems", newcomer::run),
    ("no verifier: denied in time, and the way out; the demo", way_out),
];

/// # Errors
/// etcd can't be unpacked.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    debian::etcd()?;
    let mut found = Findings::default();
    let mut table = String::new();
    for (name, part) in PARTS {
        say(&format!("fleet: {name}"));
        let start = Instant::now();
        let mut part = part().unwrap_or_else(|error| Findings {
            failures: vec![format!("it could not be carried out: {error:#}")],
            ..Findings::default()
        });
        row(&mut table, name, &part, start.elapsed());
        print!("{}", part.text);
        found.failures.extend(part.failures.drain(..).map(|failure| format!("{name}: {failure}")));
    }
    found.text = table;
    Ok(found)
}

fn row(table: &mut String, name: &str, part: &Findings, took: Duration) {
    let result = if part.failures.is_empty() { "held" } else { "FAILED" };
    let seconds = took.as_secs();
    let _ = writeln!(table, "| {name:<80} | {result:<6} | {:>3}:{:02} |", seconds / 60, seconds % 60);
}

fn end_to_end(tests: &[&str]) -> Result<Findings> {
    let paths: Vec<String> = tests.iter().map(|test| format!("fleet::proofs::{test}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    suite::end_to_end_with(&paths, &[("QRTOTP_FLEET_LONG", "1")])
}

fn way_out() -> Result<Findings> {
    let mut found = end_to_end(&["without_any_verifier"])?;
    let mut demo = Command::new(std::env::current_exe()?);
    if let Err(error) = step(demo.args(["demo", "--fleet"])) {
        found.failures.push(format!("{error:#}"));
    }
    Ok(found)
}

fn sizes() -> Result<Findings> {
    supply::check()?;
    supply::check_sizes(&build::release()?)?;
    Ok(Findings::default())
}

fn speed() -> Result<Findings> {
    Findings::of_bench(&bench::fleet_alone().context("the bench")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_in_the_table_and_its_part_is_named() {
        let mut table = String::new();
        row(&mut table, "a stolen host", &Findings::default(), Duration::from_secs(61));
        let failed = Findings { failures: vec!["it read a secret".into()], ..Findings::default() };
        row(&mut table, "sizes", &failed, Duration::ZERO);
        let lines: Vec<_> = table.lines().collect();
        assert!(
            lines[0].contains("| a stolen host ") && lines[0].ends_with("| held   |   1:01 |"),
            "{table}"
        );
        assert!(lines[1].contains("| FAILED |"), "{table}");
    }
}
