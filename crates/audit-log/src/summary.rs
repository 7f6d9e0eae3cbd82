//! Counts for people.

use crate::event::Entry;
use crate::trust::Trust;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// So many different values of a kind are counted by name, at least; the others together.
const NAMES: usize = 512;
/// The others' name.
pub(crate) const OTHERS: &str = "others";
/// So many are shown.
const SHOWN: usize = 8;

/// Counts of events. Memory does not grow with the length of the log.
#[derive(Debug, Default)]
pub struct Summary {
    results: BTreeMap<String, u64>,
    refusals: BTreeMap<String, u64>,
    services: BTreeMap<String, u64>,
    places: BTreeMap<String, u64>,
    refused_users: BTreeMap<String, u64>,
    rules: BTreeMap<String, u64>,
    /// Rules of the configuration that no line names.
    unused: BTreeSet<String>,
    anomalies: BTreeMap<String, u64>,
    changes: BTreeMap<String, u64>,
    with: BTreeMap<String, u64>,
    /// Lines that a process without root's rights wrote.
    forged: u64,
    /// Other lines that neither the journal nor the chain proves.
    not_proven: u64,
    trust: Trust,
}

impl Summary {
    /// Names the rules of the configuration: those that decide no login are told.
    pub fn know_rules(&mut self, names: impl IntoIterator<Item = String>) {
        self.unused.extend(names);
    }

    /// Counts an entry.
    pub fn add(&mut self, entry: &Entry) {
        if let Some(rule) = entry.event.get("rule").filter(|_| !entry.is_forged()) {
            self.unused.remove(rule); // also if nothing proves it
        }
        if !self.trust.counts(entry) {
            *(if entry.is_forged() { &mut self.forged } else { &mut self.not_proven }) += 1;
            return;
        }
        let event = &entry.event;
        let (kind, result) = (event.get("event").unwrap_or_default(), event.get("result"));
        if kind == "anomaly" {
            return count(&mut self.anomalies, event.get("reason").unwrap_or("?"));
        }
        if kind != "login" {
            return count(&mut self.changes, kind);
        }
        let Some(result) = result else { return };
        count(&mut self.results, result);
        let each = |counts: &mut BTreeMap<String, u64>, key| {
            if let Some(value) = event.get(key) {
                count(counts, value);
            }
        };
        each(&mut self.services, "service");
        each(&mut self.rules, "rule");
        each(&mut self.with, "with");
        if result == "denied" {
            each(&mut self.refusals, "reason");
            each(&mut self.places, "rhost");
            each(&mut self.refused_users, "user");
        }
    }
}

/// Adds one to the value. Of too many values the more frequent half stays, whatever came first.
pub(crate) fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    if counts.len() > 2 * NAMES && !counts.contains_key(value) {
        let mut all: Vec<u64> = counts.values().copied().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let (least, mut others) = (all.get(NAMES).copied().unwrap_or(0), 0);
        counts.retain(|name, count| {
            let stays = *count > least || name == OTHERS;
            others += if stays { 0 } else { *count };
            stays
        });
        *counts.entry(OTHERS.to_owned()).or_default() += others;
    }
    *counts.entry(value.to_owned()).or_default() += 1;
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, counts) in [
            ("Logins", &self.results),
            ("By service", &self.services),
            ("Accepted with", &self.with),
            ("By rule", &self.rules),
            ("Refused because", &self.refusals),
            ("Refused users", &self.refused_users),
            ("Refused from", &self.places),
            ("Anomalies", &self.anomalies),
            ("Other events", &self.changes),
        ] {
            if counts.is_empty() {
                continue;
            }
            writeln!(f, "{title}")?;
            let mut sorted: Vec<_> = counts.iter().collect();
            sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
            for (name, count) in sorted.iter().take(SHOWN) {
                let name: String = name.chars().take(60).collect();
                writeln!(f, "{count:>10}  {name}")?;
            }
            if let Some(more) = sorted.get(SHOWN..).filter(|more| !more.is_empty()) {
                writeln!(
                    f,
                    "{:>10}  in {} more",
                    more.iter().map(|(_, count)| **count).sum::<u64>(),
                    more.len()
                )?;
            }
        }
        if !self.unused.is_empty() {
            writeln!(f, "Rules that no line names")?;
            self.unused.iter().try_for_each(|rule| writeln!(f, "            {rule}"))?;
        }
        if self.not_proven > 0 {
            writeln!(f, "Not counted\n{:>10}  lines that nothing proves", self.not_proven)?;
        }
        if self.forged > 0 {
            writeln!(f, "FORGED\n{:>10}  lines that processes without root's rights wrote", self.forged)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::Writer;
    use crate::trust::tests::Log;

    #[test]
    fn a_value_that_comes_late_and_often_is_counted_by_name_and_the_table_stays_small() {
        let mut counts = BTreeMap::new();
        for n in 0..5000 {
            count(&mut counts, &format!("once{n}"));
        }
        (0..50).for_each(|_| count(&mut counts, "late"));
        for n in 5000..10_000 {
            count(&mut counts, &format!("once{n}"));
        }
        assert_eq!(counts.get("late"), Some(&50));
        assert_eq!(counts.values().sum::<u64>(), 10_050);
        assert!(counts.len() <= 2 * NAMES + 2, "{}", counts.len());
    }

    #[test]
    fn lines_that_nothing_proves_are_counted_apart() {
        let (mut summary, mut log) = (Summary::default(), Log::default());
        for writer in [Writer::Ended(1000), Writer::Setuid(1000), Writer::User(1000), Writer::Root] {
            summary.add(&log.by(writer, 1, "event=login result=ignored reason=not_required user=alice"));
        }
        let text = summary.to_string();
        assert!(text.contains("         1  ignored\n") && text.contains("FORGED\n         1  "), "{text}");
        assert!(text.contains("Not counted\n         2  lines that nothing proves\n"), "{text}");
    }

    #[test]
    fn rules_that_decide_no_login_and_anomalies_are_told() {
        let (mut summary, mut log) = (Summary::default(), Log::default());
        summary.know_rules(["office", "night", "su"].map(str::to_owned));
        let by_su = "event=login result=denied reason=rule_denied user=alice service=su rule=su";
        summary.add(&log.by(Writer::Setuid(1000), 1, by_su));
        for line in [
            "event=login result=denied reason=wrong_code user=alice rule=office",
            "event=anomaly severity=alert reason=intercepted user=alice",
        ] {
            summary.add(&log.entry(1, line));
        }
        let text = summary.to_string();
        for expected in [
            "By rule\n         1  office\n",
            "Rules that no line names\n            night\n",
            "Anomalies\n         1  intercepted\n",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn logins_are_counted_by_result_reason_and_place() {
        let (mut summary, mut log) = (Summary::default(), Log::default());
        for n in 0..20 {
            let line = format!("event=login result=denied reason=wrong_code user=u{n} service=su");
            summary.add(&log.entry(1, &line));
        }
        let text = summary.to_string();
        assert!(text.contains("        20  denied\n") && text.contains("        20  wrong_code\n"), "{text}");
        assert!(text.contains("        12  in 12 more\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
