//! Findings as data, and their edge: text or JSON. The form of the JSON is described in the command's help.

use qrtotp_values::UnixTime;

use qrtotp_values::text::clean;
use serde::Serialize;
use std::fmt;
use std::io::Write;

/// How bad something is, the worse the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; no action is needed.
    Info,
    /// Worth a look, or it can't be known here.
    Warn,
    /// It lets someone in who should be kept out, or keeps out someone who should get in.
    Fail,
}

impl Severity {
    const ALL: [Self; 4] = [Self::Fail, Self::Warn, Self::Info, Self::Ok];

    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }

    /// SGR parameters (ECMA-48).
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Info => "36",
            Self::Warn => "33",
            Self::Fail => "1;31",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, for scripts.
    pub id: &'static str,
    pub severity: Severity,
    /// A service, a file, an account or a key of the configuration; may be empty.
    pub subject: String,
    /// The fact that was found.
    pub what: String,
    /// Why it matters; may be empty.
    pub why: String,
    /// A command, an exact line or what else to do; may be empty.
    pub fix: String,
}

/// Findings that `doctor --fix` may be able to mend.
pub const MENDABLE: [&str; 20] = [
    "not-in-use",
    "sshd-not-covered",
    "sibling-not-covered",
    "nobody-asked",
    "exempt-denied",
    "asked-twice",
    "pam-line-odd",
    "code-not-needed",
    "error-lets-in",
    "sshd-no-pam",
    "sshd-never-asks",
    "sshd-key-alone",
    "sshd-without-code",
    "sshd-nobody-gets-in",
    "sshd-password-method",
    "sshd-not-reloaded",
    "configuration",
    "store",
    "configuration-not-applied",
    "proof-service-missing",
];

/// Longest text from elsewhere, in characters.
const LONGEST: usize = 1000;

impl Finding {
    fn new(severity: Severity, id: &'static str, subject: &str, what: &str) -> Self {
        let (subject, what) = (clean(subject, LONGEST), clean(what, LONGEST));
        Self { id, severity, subject, what, why: String::new(), fix: String::new() }
    }

    pub fn ok(id: &'static str, subject: &str, what: &str) -> Self {
        Self::new(Severity::Ok, id, subject, what)
    }

    pub fn info(id: &'static str, subject: &str, what: &str) -> Self {
        Self::new(Severity::Info, id, subject, what)
    }

    pub fn warn(id: &'static str, subject: &str, what: &str) -> Self {
        Self::new(Severity::Warn, id, subject, what)
    }

    pub fn fail(id: &'static str, subject: &str, what: &str) -> Self {
        Self::new(Severity::Fail, id, subject, what)
    }

    /// A finding of `config check`.
    pub fn of_config(id: &'static str, subject: &str, found: &qrtotp_policy::Finding) -> Self {
        let severity = match found.severity {
            qrtotp_policy::Severity::Danger => Severity::Fail,
            qrtotp_policy::Severity::Warning => Severity::Warn,
        };
        Self::new(severity, id, subject, &found.reason)
    }

    pub fn why(self, why: &str) -> Self {
        Self { why: clean(why, LONGEST), ..self }
    }

    pub fn fix(self, fix: &str) -> Self {
        Self { fix: clean(fix, LONGEST), ..self }
    }
}

/// How many findings have which severity.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    fail: usize,
    warn: usize,
    info: usize,
    ok: usize,
}

impl fmt::Display for Summary {
    /// The verdict in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        match (self.fail, self.warn) {
            (0, 0) => f.write_str("OK: nothing is wrong."),
            (0, warnings) => write!(f, "WARN: no failure, {}.", count(warnings, "warning")),
            (failures, warnings) => write!(
                f,
                "FAIL: {}, {}. A failure lets someone in who should be kept out, or keeps out someone who should get in.",
                count(failures, "failure"),
                count(warnings, "warning")
            ),
        }
    }
}

/// How many accounts there are of each kind.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub enrolled: usize,
    pub unenrolled: usize,
    pub revoked: usize,
    pub unreadable: usize,
    /// Whose codes are disabled.
    pub disabled: usize,
    pub devices: usize,
    /// Whose clock is taken to be off.
    pub devices_clock_off: usize,
    /// Accounts whose QR code waits for its first code.
    pub pending: usize,
    pub tokens_live: usize,
    /// Without having been used.
    pub tokens_expired: usize,
}

/// A diagnosis.
#[derive(Debug)]
pub struct Report {
    time: UnixTime,
    pub findings: Vec<Finding>,
    accounts: Option<Counts>,
}

/// The JSON.
#[derive(Serialize)]
struct Whole<'r> {
    version: u8,
    time: UnixTime,
    verdict: Severity,
    summary: Summary,
    findings: Vec<&'r Finding>,
    accounts: &'r Option<Counts>,
}

impl Report {
    pub fn new(time: UnixTime) -> Self {
        Self { time, findings: Vec::new(), accounts: None }
    }

    /// Adds a finding. If only its subject is new, the finding that is there names that, too.
    pub fn add(&mut self, finding: Finding) {
        let same = |known: &&mut Finding| {
            let subject = finding.subject.clone();
            Finding { subject, ..(**known).clone() } == finding
        };
        match self.findings.iter_mut().find(same) {
            Some(known) if known.subject.split(", ").any(|one| one == finding.subject) => {}
            Some(known) => known.subject = format!("{}, {}", known.subject, finding.subject),
            None => self.findings.push(finding),
        }
    }

    pub fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    pub fn count(&mut self, counts: Counts) {
        self.accounts = Some(counts);
    }

    pub fn verdict(&self) -> Severity {
        // Findings of severity `Info` do not change the verdict.
        let worst = self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
        if worst == Severity::Info { Severity::Ok } else { worst }
    }

    fn summary(&self) -> Summary {
        let of = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        Summary {
            fail: of(Severity::Fail),
            warn: of(Severity::Warn),
            info: of(Severity::Info),
            ok: of(Severity::Ok),
        }
    }

    /// The worst first.
    fn sorted(&self, problems: bool) -> impl Iterator<Item = &Finding> {
        let shown = if problems { &Severity::ALL[..2] } else { &Severity::ALL[..] };
        shown.iter().flat_map(|of| self.findings.iter().filter(move |finding| finding.severity == *of))
    }

    /// `problems`: leave out findings that are OK.
    pub fn write_json(&self, problems: bool, out: &mut impl Write) -> std::io::Result<()> {
        let whole = Whole {
            version: 1,
            time: self.time,
            verdict: self.verdict(),
            summary: self.summary(),
            findings: self.sorted(problems).collect(),
            accounts: &self.accounts,
        };
        serde_json::to_writer_pretty(&mut *out, &whole)?;
        out.write_all(b"\n")
    }

    pub fn write(&self, problems: bool, colour: bool, out: &mut impl Write) -> std::io::Result<()> {
        let painted = |text: &str, severity: Severity| match colour {
            true => format!("\x1b[{}m{text}\x1b[0m", severity.colour()),
            false => text.to_owned(),
        };
        writeln!(out, "{}", painted(&self.summary().to_string(), self.verdict()))?;
        for finding in self.sorted(problems) {
            let Finding { id, severity, subject, what, why, fix } = finding;
            let word = painted(&format!("{:<4}", severity.word()), *severity);
            let subject = if subject.is_empty() { String::new() } else { format!("{subject}: ") };
            writeln!(out, "{word}  {subject}{what} [{id}]")?;
            for (label, text) in [("why", why), ("fix", fix)] {
                if !text.is_empty() {
                    writeln!(out, "      {label}: {text}")?;
                }
            }
            if *severity != Severity::Ok && MENDABLE.contains(id) {
                writeln!(out, "      mend: `qrtotp doctor --fix {id}` shows what it would change")?;
            }
        }
        Ok(())
    }
}

/// Some names, for people.
pub fn names<T: fmt::Display>(all: &[T]) -> String {
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

    fn written(report: &Report, problems: bool, colour: bool) -> String {
        let mut out = Vec::new();
        report.write(problems, colour, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn report() -> Report {
        let mut report = Report::new(7);
        report.add(Finding::ok("log", "", "so"));
        report.add(Finding::warn("clock", "", "off").fix("set it"));
        report.add(Finding::info("exempt", "sshd", "by a rule"));
        report.add(Finding::fail("code-not-needed", "sudo", "nobody\nis asked").why("because").fix("add it"));
        report
    }

    #[test]
    fn the_verdict_comes_first_then_the_worst_and_problems_leave_out_the_rest() {
        let verdict = "FAIL: 1 failure, 1 warning. A failure lets someone in who should be kept out, or keeps out someone who should get in.\n";
        let bad = "FAIL  sudo: nobody?is asked [code-not-needed]\n      why: because\n      fix: add it\n      mend: `qrtotp doctor --fix code-not-needed` shows what it would change\nWARN  off [clock]\n      fix: set it\n";
        let rest = "INFO  sshd: by a rule [exempt]\nOK    so [log]\n";
        assert_eq!(written(&report(), false, false), format!("{verdict}{bad}{rest}"));
        assert_eq!(written(&report(), true, false), format!("{verdict}{bad}"));
        assert!(written(&report(), true, true).contains("\x1b[1;31mFAIL\x1b[0m  sudo"));
    }

    #[test]
    fn only_warnings_and_failures_change_the_verdict() {
        let mut report = Report::new(0);
        report.add(Finding::info("a", "", "x"));
        assert_eq!(
            (report.verdict(), written(&report, true, false)),
            (Severity::Ok, "OK: nothing is wrong.\n".into())
        );
        report.add(Finding::warn("b", "", "x"));
        assert!(written(&report, true, false).starts_with("WARN: no failure, 1 warning.\n"));
        report.add(Finding::fail("c", "", "x"));
        assert_eq!(report.verdict(), Severity::Fail);
    }

    #[test]
    fn the_same_of_several_subjects_is_one_finding() {
        let mut report = Report::new(0);
        for subject in ["sshd", "sudo", "sshd"] {
            report.add(Finding::fail("a", subject, "x").fix("y"));
        }
        report.add(Finding::fail("a", "su", "x").fix("z"));
        let subjects: Vec<&str> = report.findings.iter().map(|finding| finding.subject.as_str()).collect();
        assert_eq!(subjects, ["sshd, sudo", "su"]);
    }

    #[test]
    fn the_json_has_the_documented_keys() {
        let mut out = Vec::new();
        report().write_json(true, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let finding = |id, severity, subject, what, why, fix| serde_json::json!({"id": id, "severity": severity, "subject": subject, "what": what, "why": why, "fix": fix});
        let findings = [
            finding("code-not-needed", "fail", "sudo", "nobody?is asked", "because", "add it"),
            finding("clock", "warn", "", "off", "", "set it"),
        ];
        let summary = serde_json::json!({"ok": 1, "info": 1, "warn": 1, "fail": 1});
        let expected = serde_json::json!({"version": 1, "time": 7, "verdict": "fail", "summary": summary, "findings": findings, "accounts": null});
        assert_eq!(json, expected);
    }

    #[test]
    fn ten_names_are_named_and_the_rest_counted() {
        assert_eq!(names(&["a", "b"]), "a, b");
        assert!(names(&[1; 12]).ends_with("1 and 2 more"));
    }
}
