//! Counters of what the log says. They go on from the file that the run before wrote, so neither a restart of
//! the host nor a rotated log sets them back.

use super::exposition::Exposition;
use crate::cmd::audit::sources;
use crate::cmd::watch::position;
use crate::context::Context;
use crate::error::Failure;
use crate::replaced_file::read;
use qrtotp_account::Name;
use qrtotp_audit_log::{Entry, Event, RULES, Trust};
use qrtotp_store::AccountStore;
use qrtotp_values::UnixTime;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const LOGINS: &str = "qrtotp_logins";
const ANOMALIES: &str = "qrtotp_anomalies";
const ALERTS: &str = "qrtotp_alerts";
const READ_UNTIL: &str = "qrtotp_log_read_timestamp_seconds";
/// The state file of the unit qrtotp-watch.
const WATCH: &str = "/var/lib/private/qrtotp-watch/place";
/// Seconds for which lines may still come late.
const LATE: i64 = 2;
/// Most counters, so that invented names of PAM services fill no file.
const MOST: usize = 500;
/// Longest value of a label, in characters.
const LONGEST: usize = 64;

/// Counters, and how far the log was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Counters {
    /// By name and labels, as in the file.
    counts: BTreeMap<String, u64>,
    /// Unix seconds.
    read_until: UnixTime,
}

impl Counters {
    /// Those of the file, with the lines that came since.
    ///
    /// # Errors
    /// There is no log, or no store.
    pub fn read(file: &Path, context: &Context, now: UnixTime) -> Result<Self, Failure> {
        let mut counters = Self::of(file, now);
        let rules = context.config.rules.rules().unwrap_or_default();
        counters.keep_alerts(rules.iter().filter(|rule| rule.effects.alert).map(|rule| &*rule.name));
        counters.read_log(&mut Kept::of(&*context.store()?), now)?;
        if let Ok(text) = read(Path::new(WATCH)) {
            counters.take_watch(&text);
        }
        Ok(counters)
    }

    /// Counts the logins by these rules, from 0 on, and forgets those by rules that are no more.
    fn keep_alerts<'r>(&mut self, rules: impl Iterator<Item = &'r str>) {
        let (alerts, mut others): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.counts).into_iter().partition(|(series, _)| series.starts_with(ALERTS));
        for series in rules.map(alert_series) {
            let count = alerts.get(&series).copied().unwrap_or(0);
            others.insert(series, count);
        }
        self.counts = others;
    }

    /// Takes the counts of `qrtotp watch`.
    fn take_watch(&mut self, text: &str) {
        let counts = position::counts(text).into_iter();
        self.counts.extend(counts.map(|(rule, count)| (anomaly_series(rule), count)));
    }

    /// All rules with 0: Prometheus sees no increase in a counter that begins with 1.
    fn new(read_until: UnixTime) -> Self {
        let counts = RULES.map(|rule| (anomaly_series(rule), 0));
        Self { counts: counts.into(), read_until }
    }

    /// Those of the run before; without one, the log counts from `now` on.
    fn of(file: &Path, now: UnixTime) -> Self {
        let text = read(file).unwrap_or_default();
        Self::parse(&text)
            .filter(|counters| counters.read_until <= now)
            .unwrap_or_else(|| Self::new(now - LATE))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut counters = Self::new(0);
        let mut until = None;
        for (series, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
            match series.split('{').next() {
                Some(READ_UNTIL) => until = value.parse().ok(),
                Some(name) if is_counter(name) && is_series(series) && counters.has_room(series) => {
                    counters.counts.insert(series.to_owned(), value.parse().ok()?);
                }
                _ => {}
            }
        }
        Some(Self { read_until: until?, ..counters })
    }

    fn has_room(&self, series: &str) -> bool {
        self.counts.len() < MOST || self.counts.contains_key(series) || series.starts_with(ALERTS)
    }

    /// Counts the lines that came since the last run.
    fn read_log(&mut self, kept: &mut Kept<'_>, now: UnixTime) -> Result<(), Failure> {
        let (from, to) = (self.read_until, now - LATE);
        if to <= from {
            return Ok(());
        }
        let (mut trust, before) = (Trust::default(), self.counts.clone());
        for entry in sources::since(from.saturating_mul(1_000_000))? {
            let time = if entry.time == 0 { entry.when() } else { entry.time };
            // Older lines tell whether newer ones count.
            let counts = trust.counts_or_kept(&entry, |event| kept.has(event));
            if counts && (from..to).contains(&time.div_euclid(1_000_000)) {
                self.count(&entry);
            }
        }
        if sources::were_cut() {
            self.counts = before; // the next run reads these lines again
        } else {
            self.read_until = to;
        }
        Ok(())
    }

    fn count(&mut self, entry: &Entry) {
        let label = |key| {
            let text = entry.event.get(key).unwrap_or_default();
            text.chars().take(LONGEST).map(|c| if is_plain(c) { c } else { '_' }).collect::<String>()
        };
        let series = match entry.event.get("event") {
            Some("login") => {
                if let Some(count) = self.counts.get_mut(&alert_series(&label("rule"))) {
                    *count += 1;
                }
                let [service, result, reason] = ["service", "result", "reason"].map(label);
                format!("{LOGINS}_total{{service=\"{service}\",result=\"{result}\",reason=\"{reason}\"}}")
            }
            Some("anomaly") => anomaly_series(&label("reason")),
            _ => return,
        };
        if self.has_room(&series) {
            *self.counts.entry(series).or_default() += 1;
        }
    }

    /// Adds them to what is shown; [`Counters::of`] reads the text form.
    pub fn write(&self, out: &mut Exposition) {
        for (family, help) in [
            (LOGINS, "Logins in the log, by PAM service, result and reason."),
            (ANOMALIES, "Anomalies that the module named or qrtotp-watch found, by rule."),
            (ALERTS, "Logins that a rule with alert = true decided, by rule."),
        ] {
            out.counter(family, help, self.counts.iter().filter(|(series, _)| series.starts_with(family)));
        }
        out.gauge(READ_UNTIL, "Up to when the log was read.", [("", self.read_until)]);
    }
}

/// The last lines of accounts that the store keeps, each account read at most once.
struct Kept<'s> {
    store: &'s dyn AccountStore,
    lines: HashMap<Name, Vec<Event>>,
}

impl<'s> Kept<'s> {
    fn of(store: &'s dyn AccountStore) -> Self {
        Self { store, lines: HashMap::new() }
    }

    /// Whether the store has this very line.
    fn has(&mut self, event: &Event) -> bool {
        let Some(name) = event.get("user").and_then(|user| Name::new(user).ok()) else { return false };
        if !self.lines.contains_key(&name) {
            let Ok(Some((_, lines))) = self.store.last_lines(&name) else { return false };
            let lines = lines.iter().filter_map(|line| Event::parse(line)).collect();
            self.lines.insert(name.clone(), lines);
        }
        let lines = self.lines.get(&name).into_iter().flatten();
        event.link.is_some() && lines.into_iter().any(|line| line.chained() == event.chained())
    }
}

fn anomaly_series(rule: &str) -> String {
    format!("{ANOMALIES}_total{{rule=\"{rule}\"}}")
}

fn alert_series(rule: &str) -> String {
    format!("{ALERTS}_total{{rule=\"{rule}\"}}")
}

fn is_counter(name: &str) -> bool {
    name.strip_suffix("_total").is_some_and(|family| [LOGINS, ANOMALIES, ALERTS].contains(&family))
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

    fn text(counters: &Counters) -> String {
        let mut out = Exposition::new(super::super::exposition::Form::Text);
        counters.write(&mut out);
        out.end()
    }

    #[test]
    fn each_rule_is_there_with_0_before_it_names_anything_and_in_a_file_of_an_older_version() {
        for counters in [Counters::new(7), Counters::parse(&format!("{READ_UNTIL} 7\n")).unwrap()] {
            let text = text(&counters);
            for rule in RULES {
                let line = format!("qrtotp_anomalies_total{{rule=\"{rule}\"}} 0\n");
                assert!(text.contains(&line), "{line}: {text}");
            }
        }
    }

    #[test]
    fn a_run_goes_on_where_the_one_before_ended() {
        let mut counters = Counters::new(1000);
        for line in [
            "event=login result=accepted reason=code service=sshd user=alice",
            "event=login result=accepted reason=code service=sshd user=bob",
            "event=anomaly severity=alert reason=intercepted user=bob service=sshd",
            "event=token_issued user=alice",
        ] {
            counters.count(&entry(line));
        }
        let text = format!("qrtotp_devices 7\n{}", text(&counters));
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
    fn logins_by_the_rules_with_an_alert_are_counted_from_0_and_no_other_name_becomes_a_label() {
        let mut counters = Counters::new(1000);
        counters.keep_alerts(["breakglass", "root"].into_iter());
        for rule in ["breakglass", "office", "x} 9", "default"] {
            counters.count(&entry(&format!(
                "event=login result=ignored service=login user=alice rule=\"{rule}\""
            )));
        }
        let mut later = Counters::parse(&text(&counters)).unwrap();
        let alerts = |counters: &Counters| {
            let text = text(counters);
            text.lines()
                .filter_map(|line| line.strip_prefix("qrtotp_alerts_total"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(alerts(&later), "{rule=\"breakglass\"} 1 {rule=\"root\"} 0");
        later.keep_alerts(["breakglass", "new"].into_iter());
        assert_eq!(alerts(&later), "{rule=\"breakglass\"} 1 {rule=\"new\"} 0");
    }

    #[test]
    fn the_rules_of_watch_have_the_counts_that_its_unit_keeps_and_no_other_rule_has() {
        let mut counters = Counters::new(7);
        counters.take_watch("1795878245000000\nspray 3\nintercepted 9\nqrtotp_logins_total 4\n");
        let text = text(&counters);
        for (rule, count) in [("spray", 3), ("many-enrolments", 0), ("intercepted", 0)] {
            let line = format!("qrtotp_anomalies_total{{rule=\"{rule}\"}} {count}\n");
            assert!(text.contains(&line), "{line}: {text}");
        }
        assert!(!text.contains("logins_total 4"), "{text}");
    }

    #[test]
    fn the_name_of_a_service_can_not_break_a_line_nor_make_counters_without_end() {
        let mut counters = Counters::new(0);
        counters
            .count(&entry("event=login result=denied reason=wrong_code service=\"a\\\"} 9 x{\" user=alice"));
        let text = text(&counters);
        assert!(text.contains("{service=\"a___9_x_\",result"), "{text}");
        for n in 0..2 * MOST {
            counters.count(&entry(&format!("event=login result=denied service=s{n} user=alice")));
        }
        assert_eq!(counters.counts.len(), MOST);
        let hostile = "qrtotp_logins_total{service=\"x\"} 1\nqrtotp_logins_total{x} node_boot 3\nqrtotp_logins_total{a b=\"c\"} 4\n\
                       qrtotp_log_read_timestamp_seconds 5\n";
        assert_eq!(Counters::parse(hostile).unwrap().counts.len(), RULES.len() + 1);
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
