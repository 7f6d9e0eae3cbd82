//! Counters of what the log says. They go on from the file that the run before wrote, so neither a restart of
//! the host nor a rotated log sets them back.

use crate::cmd::audit::sources;
use crate::error::Failure;
use crate::replaced_file::read;
use qrtotp_audit_log::{Entry, Trust};
use qrtotp_values::UnixTime;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const LOGINS: &str = "qrtotp_logins_total";
const ANOMALIES: &str = "qrtotp_anomalies_total";
const READ_UNTIL: &str = "qrtotp_log_read_timestamp_seconds";
/// Seconds for which lines may still come late.
const LATE: i64 = 2;
/// Most counters, so that invented names of PAM services fill no file.
const MOST: usize = 500;
/// Longest value of a label, in characters.
const LONGEST: usize = 64;

/// Counters, and how far the log was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By name and labels, as in the file.
    counts: BTreeMap<String, u64>,
    /// Unix seconds.
    read_until: UnixTime,
}

impl Counters {
    /// Those of the run before; without one, the log counts from `now` on.
    pub fn of(file: &Path, now: UnixTime) -> Self {
        let text = read(file).unwrap_or_default();
        Self::parse(&text)
            .filter(|counters| counters.read_until <= now)
            .unwrap_or(Self { read_until: now - LATE, ..Self::default() })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut counters = Self::default();
        let mut until = None;
        for (series, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
            match series.split('{').next() {
                Some(LOGINS | ANOMALIES) if is_series(series) && counters.counts.len() < MOST => {
                    counters.counts.insert(series.to_owned(), value.parse().ok()?);
                }
                Some(READ_UNTIL) => until = value.parse().ok(),
                _ => {}
            }
        }
        Some(Self { read_until: until?, ..counters })
    }

    /// Counts the lines that came since the last run.
    ///
    /// # Errors
    /// There is no log.
    pub fn read_log(&mut self, now: UnixTime) -> Result<(), Failure> {
        let (from, to) = (self.read_until, now - LATE);
        if to <= from {
            return Ok(());
        }
        let mut trust = Trust::default();
        for entry in sources::since(from.saturating_mul(1_000_000))? {
            let time = if entry.time == 0 { entry.when() } else { entry.time };
            let counts = trust.counts(&entry); // older lines tell whether newer ones do
            if counts && (from..to).contains(&time.div_euclid(1_000_000)) {
                self.count(&entry);
            }
        }
        self.read_until = to;
        Ok(())
    }

    fn count(&mut self, entry: &Entry) {
        let label = |key| {
            let text = entry.event.get(key).unwrap_or_default();
            text.chars().take(LONGEST).map(|c| if is_plain(c) { c } else { '_' }).collect::<String>()
        };
        let series = match entry.event.get("event") {
            Some("login") => {
                let [service, result, reason] = ["service", "result", "reason"].map(label);
                format!("{LOGINS}{{service=\"{service}\",result=\"{result}\",reason=\"{reason}\"}}")
            }
            Some("anomaly") => format!("{ANOMALIES}{{rule=\"{}\"}}", label("reason")),
            _ => return,
        };
        if self.counts.len() < MOST || self.counts.contains_key(&series) {
            *self.counts.entry(series).or_default() += 1;
        }
    }

    /// Appends them in the form in which they are read.
    pub fn write(&self, out: &mut String) {
        for (name, help) in [
            (LOGINS, "Logins in the log, by PAM service, result and reason."),
            (ANOMALIES, "Anomalies that the module named, by rule."),
        ] {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
            for (series, count) in self.counts.iter().filter(|(series, _)| series.starts_with(name)) {
                let _ = writeln!(out, "{series} {count}");
            }
        }
        let _ = writeln!(
            out,
            "# HELP {READ_UNTIL} Up to when the log was read.\n# TYPE {READ_UNTIL} gauge\n{READ_UNTIL} {}",
            self.read_until
        );
    }
}

/// Whether this is a name and labels as [`Counters::write`] writes them.
fn is_series(text: &str) -> bool {
    text.ends_with("\"}") && text.chars().all(|c| is_plain(c) || matches!(c, '{' | '}' | '"' | '=' | ','))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_audit_log::from_syslog;

    fn entry(event: &str) -> Entry {
        from_syslog(&format!("2026-11-29T10:00:00Z h sshd[1]: pam_qrtotp(sshd:auth): {event}")).unwrap()
    }

    #[test]
    fn a_run_goes_on_where_the_one_before_ended() {
        let mut counters = Counters { read_until: 1000, ..Counters::default() };
        for line in [
            "event=login result=accepted reason=code service=sshd user=alice",
            "event=login result=accepted reason=code service=sshd user=bob",
            "event=anomaly severity=alert reason=intercepted user=bob service=sshd",
            "event=token_issued user=alice",
        ] {
            counters.count(&entry(line));
        }
        let mut text = "qrtotp_devices 7\n".to_owned();
        counters.write(&mut text);
        assert!(
            text.contains("qrtotp_logins_total{service=\"sshd\",result=\"accepted\",reason=\"code\"} 2\n")
                && text.contains("qrtotp_anomalies_total{rule=\"intercepted\"} 1\n")
                && !text.contains("alice"),
            "{text}"
        );
        assert_eq!(Counters::parse(&text), Some(counters));
        assert_eq!(Counters::parse("qrtotp_devices 7\n"), None, "an older file");
    }

    #[test]
    fn the_name_of_a_service_can_not_break_a_line_nor_make_counters_without_end() {
        let mut counters = Counters::default();
        counters
            .count(&entry("event=login result=denied reason=wrong_code service=\"a\\\"} 9 x{\" user=alice"));
        let mut text = String::new();
        counters.write(&mut text);
        assert!(text.contains("{service=\"a___9_x_\",result"), "{text}");
        for n in 0..2 * MOST {
            counters.count(&entry(&format!("event=login result=denied service=s{n} user=alice")));
        }
        assert_eq!(counters.counts.len(), MOST);
        let hostile = "qrtotp_logins_total{service=\"x\"} 1\nqrtotp_logins_total{x} node_boot 3\nqrtotp_logins_total{a b=\"c\"} 4\n\
                       qrtotp_log_read_timestamp_seconds 5\n";
        assert_eq!(Counters::parse(hostile).unwrap().counts.len(), 1);
    }

    #[test]
    fn a_time_in_the_future_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("qrtotp.prom");
        std::fs::write(&file, format!("{READ_UNTIL} 5000\n")).unwrap();
        assert_eq!(Counters::of(&file, 6000).read_until, 5000);
        assert_eq!(Counters::of(&file, 4000).read_until, 4000 - LATE);
        assert_eq!(Counters::of(&dir.path().join("none"), 4000).read_until, 4000 - LATE);
    }
}
