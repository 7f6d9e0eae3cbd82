//! Counts for people.

use crate::event::Entry;
use std::collections::BTreeMap;
use std::fmt;

/// So many different values of a kind are counted by name; the others together.
const NAMES: usize = 512;
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
    changes: BTreeMap<String, u64>,
    with: BTreeMap<String, u64>,
    /// Lines that a process without root's rights wrote.
    forged: u64,
}

impl Summary {
    /// Counts an entry.
    pub fn add(&mut self, entry: &Entry) {
        if entry.is_forged() {
            self.forged += 1;
            return;
        }
        let event = &entry.event;
        let (kind, result) = (event.get("event").unwrap_or_default(), event.get("result"));
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

/// Adds one to the value, or to `others` if there are too many values.
pub(crate) fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    let key = if counts.len() < NAMES || counts.contains_key(value) { value } else { "others" };
    *counts.entry(key.to_owned()).or_default() += 1;
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
    use crate::event::from_syslog;

    #[test]
    fn logins_are_counted_by_result_reason_and_place() {
        let mut summary = Summary::default();
        for n in 0..20 {
            let line = format!(
                "Nov 29 10:00:00 h su[1]: pam_qrtotp(su:auth): event=login result=denied reason=wrong_code user=u{n} service=su"
            );
            summary.add(&from_syslog(&line).unwrap());
        }
        let text = summary.to_string();
        assert!(text.contains("        20  denied\n") && text.contains("        20  wrong_code\n"), "{text}");
        assert!(text.contains("        12  in 12 more\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
