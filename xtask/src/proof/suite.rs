//! Proofs that are tests: run here together with those that take too long for `cargo xtask test`, with their
//! output.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::Findings;
use crate::{apt, build, step::cargo};

/// Unit tests of one crate whose names begin like this.
///
/// # Errors
/// They can't be built or run.
pub fn unit_tests(package: &str, module: &str) -> Result<Findings> {
    unit_tests_with(package, module, &[])
}

/// The same with variables in their environment.
///
/// # Errors
/// As [`unit_tests`].
pub fn unit_tests_with(package: &str, module: &str, variables: &[(&str, &str)]) -> Result<Findings> {
    apt::need(&[apt::TEST])?;
    let mut tests = cargo(&["test", "--package", package, "--lib", module, "--"]);
    tests.envs(variables.iter().copied());
    outcome(tests.args(["--test-threads", "1"]), 1)
}

/// A million untouched lines without a finding.
///
/// # Errors
/// As [`unit_tests`].
pub fn trail() -> Result<Findings> {
    let name = "verify::tests::a_million_untouched_lines";
    let mut tests = cargo(&["test", "--release", "--package", "qrtotp-audit-log", "--lib", "--"]);
    outcome(tests.arg(name), 1)
}

/// Tests of the fleet's store whose names begin like this; those under faults for this many minutes.
///
/// # Errors
/// As [`unit_tests`].
pub fn fleet(tests: &str, minutes: u32) -> Result<Findings> {
    let mut command = cargo(&["test", "--package", "qrtotp-fleet", "--test", "fleet", "--", tests]);
    command.env("QRTOTP_FLEET_MINUTES", minutes.to_string());
    outcome(command.args(["--test-threads", "1"]), 1)
}

/// The end-to-end tests whose path has one of these texts in it, with the release artefacts.
///
/// # Errors
/// Something can't be built, installed or run.
pub fn end_to_end(paths: &[&str]) -> Result<Findings> {
    end_to_end_with(paths, &[])
}

/// The same with variables in their environment.
///
/// # Errors
/// As [`end_to_end`].
pub fn end_to_end_with(paths: &[&str], variables: &[(&str, &str)]) -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    let artefacts = build::release()?;
    let mut tests = cargo(&["test", "--package", "qrtotp-tests", "--test", "e2e", "--"]);
    tests.args(paths).args(["--test-threads", "2"]).envs(variables.iter().copied());
    outcome(tests.envs(artefacts.variables()), 1)
}

/// Shows the tests' output. All of the `programs` test programs must succeed, each with at least one test.
fn outcome(tests: &mut Command, programs: usize) -> Result<Findings> {
    tests.args(["--include-ignored", "--nocapture"]).stdout(Stdio::piped());
    let mut child = tests.spawn()?;
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().context("its standard output")?).lines() {
        let line = line?;
        println!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    let mut found = Findings::default();
    if !child.wait()?.success() {
        found.failures.push("tests failed, see above".into());
    } else if succeeded(&said) != programs {
        found.failures.push(format!("not all of {programs} test programs have run tests, see above"));
    }
    Ok(found)
}

fn succeeded(said: &str) -> usize {
    let results = said.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter(|result| !result.starts_with("0 passed")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ran_no_test_has_not_succeeded() {
        let said = "test a ... ok\ntest result: ok. 1 passed; 0 failed\ntest result: ok. 0 passed; 0 failed\n\
                    test result: FAILED. 1 passed; 1 failed\ntest result: ok. 10 passed; 0 failed\n";
        assert_eq!(succeeded(said), 2);
    }
}
