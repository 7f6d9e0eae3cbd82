//! The selftest's results, as a table or JSON.

use crate::error::Exit;
use crate::progress::Progress;
use qrtotp_values::text::clean;
use serde::Serialize;
use std::io::Write;

/// Most characters of a failed check's output to show.
const LONGEST: usize = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    Passed,
    Failed,
    NotTried,
}

#[derive(Debug, Serialize)]
struct Check {
    /// Stable, for scripts.
    id: &'static str,
    result: Result,
    what: &'static str,
    /// The reason it was not tried, or the output of its failure. Empty if it passed.
    detail: String,
}

#[derive(Debug)]
pub struct SelftestReport {
    checks: Vec<Check>,
    progress: Progress,
}

impl Default for SelftestReport {
    fn default() -> Self {
        Self { checks: Vec::new(), progress: Progress::of("checks, in about a minute") }
    }
}

#[derive(Serialize)]
struct Whole<'r> {
    version: u8,
    passed: usize,
    failed: usize,
    not_tried: usize,
    checks: &'r [Check],
}

impl SelftestReport {
    /// `seen` tells a failure.
    pub fn check(&mut self, id: &'static str, what: &'static str, passed: bool, seen: &str) {
        let result = if passed { Result::Passed } else { Result::Failed };
        // The important part is at the end.
        let skipped = seen.chars().count().saturating_sub(LONGEST);
        let end: String = seen.trim_end().chars().skip(skipped).collect();
        let detail = if passed { String::new() } else { clean(end.trim(), LONGEST) };
        self.push(Check { id, result, what, detail });
    }

    pub fn not_tried(&mut self, id: &'static str, what: &'static str, why: &str) {
        self.push(Check { id, result: Result::NotTried, what, detail: clean(why, LONGEST) });
    }

    fn push(&mut self, check: Check) {
        self.checks.push(check);
        self.progress.one_more_of_few();
    }

    /// All checks are done.
    pub fn end_progress(&mut self) {
        self.progress.end();
    }

    fn count(&self, result: Result) -> usize {
        self.checks.iter().filter(|check| check.result == result).count()
    }

    pub fn exit(&self) -> Exit {
        match (self.count(Result::Failed), self.count(Result::Passed)) {
            (0, 0) => Exit::Error, // nothing is known
            (0, _) => Exit::Done,
            _ => Exit::Refused,
        }
    }

    pub fn write_json(&self, out: &mut impl Write) -> std::io::Result<()> {
        let whole = Whole {
            version: 1,
            passed: self.count(Result::Passed),
            failed: self.count(Result::Failed),
            not_tried: self.count(Result::NotTried),
            checks: &self.checks,
        };
        serde_json::to_writer_pretty(&mut *out, &whole)?;
        out.write_all(b"\n")
    }

    pub fn write(&self, colour: bool, out: &mut impl Write) -> std::io::Result<()> {
        for check in &self.checks {
            let (mark, sgr) = match check.result {
                Result::Passed => ("ok  ", "32"),
                Result::Failed => ("FAIL", "1;31"),
                Result::NotTried => ("-   ", "33"),
            };
            match colour {
                true => write!(out, "\x1b[{sgr}m{mark}\x1b[0m  {}", check.what)?,
                false => write!(out, "{mark}  {}", check.what)?,
            }
            match check.result {
                Result::Passed => writeln!(out)?,
                Result::Failed => writeln!(out, " [{}]\n      seen: {}", check.id, check.detail)?,
                Result::NotTried => writeln!(out, ": not tried, {}", check.detail)?,
            }
        }
        let [passed, failed, not_tried] =
            [Result::Passed, Result::Failed, Result::NotTried].map(|of| self.count(of));
        writeln!(out, "{passed} passed, {failed} failed, {not_tried} not tried.")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report() -> SelftestReport {
        let mut report = SelftestReport::default();
        report.check("code", "a correct code is accepted", true, "never shown");
        report.not_tried("qr", "the QR code scans", "zbarimg is not installed");
        report
    }

    #[test]
    fn what_was_not_tried_is_no_tick_and_no_failure() {
        let mut out = Vec::new();
        report().write(false, &mut out).unwrap();
        let expected = "ok    a correct code is accepted\n-     the QR code scans: not tried, zbarimg is not installed\n1 passed, 0 failed, 1 not tried.\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(report().exit(), Exit::Done);
    }

    #[test]
    fn if_nothing_was_tried_that_is_no_success() {
        let mut report = SelftestReport::default();
        report.not_tried("qr", "the QR code scans", "zbarimg is not installed");
        assert_eq!(report.exit(), Exit::Error);
        assert_eq!(SelftestReport::default().exit(), Exit::Error);
    }

    #[test]
    fn a_failure_says_what_was_seen_and_changes_the_exit_code() {
        let mut report = report();
        report.check("code-twice", "a code is refused twice", false, "inside\u{7}\n");
        let mut out = Vec::new();
        report.write(false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("FAIL  a code is refused twice [code-twice]\n      seen: inside?\n"), "{text}");
        assert_eq!(report.exit(), Exit::Refused);
        let mut out = Vec::new();
        report.write_json(&mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            json["checks"][2],
            serde_json::json!({"id": "code-twice", "result": "failed", "what": "a code is refused twice", "detail": "inside?"})
        );
        assert_eq!((&json["version"], &json["not_tried"]), (&1.into(), &1.into()));
    }
}
