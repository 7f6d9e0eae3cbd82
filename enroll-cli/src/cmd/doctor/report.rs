//! What was found: a line for each thing looked at, or JSON. The form of the JSON is described in the command's help.

use super::accounts::Counts;
use qrtotp_core::clock::UnixTime;
use qrtotp_core::policy::{Finding, Severity};
use qrtotp_core::text::clean;
use serde::Serialize;
use std::fmt;
use std::io::Write;

/// How something is, the worse the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It could not be looked at.
    Skip,
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warn,
    /// It denies logins, or lets somebody in unasked.
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    subject: String,
    status: Status,
    finding: String,
    advice: Option<String>,
}

/// How many checks have which status.
#[derive(Debug, Default, Serialize)]
struct Summary {
    ok: usize,
    warn: usize,
    fail: usize,
    skip: usize,
}

/// A diagnosis.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u8,
    time: UnixTime,
    result: Status,
    summary: Summary,
    checks: Vec<Check>,
    accounts: Option<Counts>,
}

/// Longest text from elsewhere, in characters.
const LONGEST: usize = 1000;

impl Report {
    pub fn new(time: UnixTime) -> Self {
        let (result, summary) = (Status::Ok, Summary::default());
        Self { version: 1, time, result, summary, checks: Vec::new(), accounts: None }
    }

    /// To report about something. What is in `subject` may come from elsewhere.
    pub fn about(&mut self, check: &'static str, subject: &str) -> About<'_> {
        About { report: self, check, subject: clean(subject, LONGEST) }
    }

    pub fn count(&mut self, counts: Counts) {
        self.accounts = Some(counts);
    }

    pub fn failed(&self) -> bool {
        self.result == Status::Fail
    }

    pub fn write_json(&self, out: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        out.write_all(b"\n")
    }

    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        for check in &self.checks {
            let word = match check.status {
                Status::Skip => "SKIP",
                Status::Ok => "OK",
                Status::Warn => "WARN",
                Status::Fail => "FAIL",
            };
            let subject =
                if check.subject.is_empty() { String::new() } else { format!("{}: ", check.subject) };
            writeln!(out, "{word:<5} {:<14} {subject}{}", check.check, check.finding)?;
            if let Some(advice) = &check.advice {
                writeln!(out, "{:20} → {advice}", "")?;
            }
        }
        writeln!(out, "{}", self.summary)
    }
}

impl fmt::Display for Summary {
    /// What somebody who reads nothing else must know.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fail {
            0 if self.warn + self.skip == 0 => return f.write_str("Nothing is wrong."),
            0 => f.write_str("No failure. ")?,
            1 => f.write_str("1 failure: it denies logins, or lets somebody in unasked. ")?,
            many => write!(f, "{many} failures: each denies logins, or lets somebody in unasked. ")?,
        }
        match self.warn {
            0 => f.write_str("No warning. ")?,
            1 => f.write_str("1 warning. ")?,
            many => write!(f, "{many} warnings. ")?,
        }
        match self.skip {
            0 => f.write_str("Everything was looked at."),
            1 => f.write_str("1 thing was not looked at: whether it is right is not known."),
            many => write!(f, "{many} things were not looked at: whether they are right is not known."),
        }
    }
}

/// What is reported about.
pub struct About<'a> {
    report: &'a mut Report,
    check: &'static str,
    subject: String,
}

impl About<'_> {
    pub fn ok(&mut self, finding: &str) {
        self.add(Status::Ok, finding, "");
    }

    pub fn skip(&mut self, finding: &str, advice: &str) {
        self.add(Status::Skip, finding, advice);
    }

    pub fn warn(&mut self, finding: &str, advice: &str) {
        self.add(Status::Warn, finding, advice);
    }

    pub fn fail(&mut self, finding: &str, advice: &str) {
        self.add(Status::Fail, finding, advice);
    }

    /// A finding of `config check`.
    pub fn finding(&mut self, finding: &Finding) {
        match finding.severity {
            Severity::Danger => self.fail(&finding.reason, ""),
            Severity::Warning => self.warn(&finding.reason, ""),
        }
    }

    fn add(&mut self, status: Status, finding: &str, advice: &str) {
        self.report.result = self.report.result.max(status);
        let summary = &mut self.report.summary;
        *match status {
            Status::Skip => &mut summary.skip,
            Status::Ok => &mut summary.ok,
            Status::Warn => &mut summary.warn,
            Status::Fail => &mut summary.fail,
        } += 1;
        self.report.checks.push(Check {
            check: self.check,
            subject: self.subject.clone(),
            status,
            finding: clean(finding, LONGEST),
            advice: (!advice.is_empty()).then(|| clean(advice, LONGEST)),
        });
    }
}

/// Some names, for people.
pub fn names<T: std::fmt::Display>(all: &[T]) -> String {
    const MOST: usize = 10;
    let shown: Vec<String> = all.iter().take(MOST).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(MOST);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(report: &Report) -> String {
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_worst_status_is_the_result_and_only_a_failure_fails() {
        let mut report = Report::new(0);
        report.about("clock", "").skip("x", "");
        assert_eq!(report.result, Status::Ok);
        report.about("clock", "").warn("x", "");
        assert!(report.result == Status::Warn && !report.failed());
        report.about("pam", "sshd").fail("x", "");
        report.about("log", "").ok("x");
        assert!(report.failed());
    }

    #[test]
    fn a_line_says_what_is_and_the_next_one_what_to_do() {
        let mut report = Report::new(0);
        report.about("pam", "sshd").fail("nobody\nis asked", "add it");
        let text = written(&report);
        assert!(text.starts_with("FAIL  pam            sshd: nobody?is asked\n"), "{text}");
        assert!(text.contains("\n                     → add it\n"), "{text}");
    }

    #[test]
    fn the_last_line_counts_failures_warnings_and_what_was_not_looked_at() {
        let last = |statuses: &[Status]| {
            let mut report = Report::new(0);
            statuses.iter().for_each(|status| report.about("pam", "sshd").add(*status, "x", ""));
            written(&report).lines().last().unwrap().to_owned()
        };
        let (ok, warn, fail, skip) = (Status::Ok, Status::Warn, Status::Fail, Status::Skip);
        assert_eq!(last(&[ok, ok]), "Nothing is wrong.");
        assert_eq!(last(&[ok, warn]), "No failure. 1 warning. Everything was looked at.");
        assert_eq!(
            last(&[skip, ok]),
            "No failure. No warning. 1 thing was not looked at: whether it is right is not known."
        );
        assert_eq!(
            last(&[skip, fail, warn, warn, skip]),
            "1 failure: it denies logins, or lets somebody in unasked. 2 warnings. \
             2 things were not looked at: whether they are right is not known."
        );
        assert_eq!(
            last(&[fail, fail]),
            "2 failures: each denies logins, or lets somebody in unasked. No warning. Everything was looked at."
        );
    }

    #[test]
    fn the_json_has_the_documented_keys() {
        let mut report = Report::new(7);
        report.about("pam", "sshd").warn("so", "do");
        report.about("log", "").ok("so");
        let mut out = Vec::new();
        report.write_json(&mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let check = |subject: &str, check: &str, status: &str, advice: Option<&str>| serde_json::json!({"check": check, "subject": subject, "status": status, "finding": "so", "advice": advice});
        let checks = [check("sshd", "pam", "warn", Some("do")), check("", "log", "ok", None)];
        let summary = serde_json::json!({"ok": 1, "warn": 1, "fail": 0, "skip": 0});
        let expected = serde_json::json!({"version": 1, "time": 7, "result": "warn", "summary": summary, "checks": checks, "accounts": null});
        assert_eq!(json, expected);
    }

    #[test]
    fn ten_names_are_named_and_the_rest_counted() {
        assert_eq!(names(&["a", "b"]), "a, b");
        assert!(names(&[1; 12]).ends_with("1 and 2 more"));
    }
}
