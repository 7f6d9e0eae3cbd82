//! Proofs that are end-to-end tests: run here, with what is too long for `cargo xtask test`, and with what they tell of themselves.

use std::process::Stdio;

use anyhow::Result;
use qrtotp_tests::figures;

use super::Findings;
use crate::{
    apt,
    build::{self, Artefacts},
    step::cargo,
};

/// What a run of tests has printed.
pub struct Told {
    printed: String,
    held: bool,
}

/// Runs these files of tests/tests/.
///
/// # Errors
/// Something can't be built, installed or run.
pub fn run(files: &[&str]) -> Result<Told> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    of(&build::release()?, files)
}

/// The same with these artefacts.
///
/// # Errors
/// As [`run`].
pub fn of(artefacts: &Artefacts, files: &[&str]) -> Result<Told> {
    let mut tests = cargo(&["test", "--package", "qrtotp-tests"]);
    tests.args(files.iter().flat_map(|file| ["--test", file]));
    tests.args(["--", "--include-ignored", "--nocapture", "--test-threads", "2"]).stderr(Stdio::inherit());
    let output = tests.envs(artefacts.variables()).output()?;
    Ok(Told { printed: String::from_utf8_lossy(&output.stdout).into_owned(), held: output.status.success() })
}

impl Told {
    /// Adds a table with these columns and the rows that were told of it, which must be some, and that the tests failed if they did.
    pub fn table(&self, name: &str, columns: &[&str], found: &mut Findings) {
        let mut rows = Vec::new();
        for row in figures::rows(&self.printed, name) {
            // What several tests tell alike is told once.
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        let line = "---|".repeat(columns.len());
        found.text.push_str(&format!("| {} |\n|{line}\n{}\n", columns.join(" | "), rows.join("\n")));
        if rows.is_empty() {
            found.failures.push(format!("the tests tell nothing of {name}"));
        }
    }

    /// How many tests passed, of each file.
    pub fn passed(&self) -> Vec<u32> {
        let lines = self.printed.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
        lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
    }

    pub fn held(&self) -> bool {
        self.held
    }

    /// Notes that tests failed, if they did.
    pub fn outcome(&self, found: &mut Findings) {
        if !self.held {
            found.failures.push("tests failed; see above".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_which_nothing_was_told_and_a_failed_test_are_failures() {
        let told = |printed: &str, held| Told { printed: printed.to_owned(), held };
        let mut found = Findings::default();
        let good = told("figures of hosts | a | 1 |\nfigures of hosts | a | 1 |\n", true);
        good.table("hosts", &["what", "count"], &mut found);
        good.outcome(&mut found);
        assert_eq!(found.text, "| what | count |\n|---|---|\n| a | 1 |\n");
        assert!(found.failures.is_empty());
        let bad = told("", false);
        bad.table("hosts", &["what", "count"], &mut found);
        bad.outcome(&mut found);
        assert_eq!(found.failures.len(), 2);
    }
}
