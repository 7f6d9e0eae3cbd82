//! Several logs as one, in the order of time. A line that two logs hold comes once.

use crate::event::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::Peekable;

/// So many lines are remembered to tell those that two logs hold.
const REMEMBERED: usize = 8192;
/// The journal's copy comes first: it proves who wrote the line.
const JOURNAL_FIRST: i64 = 2_000_000;

/// Logs, merged. Needs the same memory however long they are.
pub struct Merge<I: Iterator<Item = Entry>> {
    logs: Vec<(Peekable<I>, i64)>,
    /// Which log a line came from, and how often it is still to come from another one.
    seen: HashMap<u64, (usize, u32)>,
    order: VecDeque<u64>,
}

impl<I: Iterator<Item = Entry>> Merge<I> {
    /// Each log on its own is in order.
    pub fn new(logs: impl IntoIterator<Item = I>) -> Self {
        let logs = logs.into_iter().map(|log| (log.peekable(), i64::MIN)).collect();
        Self { logs, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// The log whose next line is the oldest.
    fn oldest(&mut self) -> Option<usize> {
        let mut oldest: Option<(i64, usize)> = None;
        for (number, (log, last)) in self.logs.iter_mut().enumerate() {
            let Some(entry) = log.peek() else { continue };
            // The log's own time, which nobody else can set; without one, the line's, or that of the line
            // before.
            let time = match (entry.time, entry.stamp) {
                (0, 0) => entry.at().unwrap_or(*last),
                (0, stamp) => stamp,
                (time, _) if entry.journal => time.saturating_sub(JOURNAL_FIRST),
                (time, _) => time,
            };
            *last = time;
            if oldest.is_none_or(|(best, _)| time < best) {
                oldest = Some((time, number));
            }
        }
        oldest.map(|(_, number)| number)
    }

    /// Whether another log had the line.
    fn is_known(&mut self, log: usize, entry: &Entry) -> bool {
        let mut hasher = DefaultHasher::new();
        entry.event.line.hash(&mut hasher);
        let hash = hasher.finish();
        match self.seen.get_mut(&hash) {
            Some((from, left)) if *from != log && *left > 0 => {
                *left -= 1;
                return true;
            }
            Some((from, left)) if *from == log => *left += 1,
            _ => {
                self.seen.insert(hash, (log, 1));
                self.order.push_back(hash);
            }
        }
        if self.order.len() > REMEMBERED
            && let Some(old) = self.order.pop_front()
        {
            self.seen.remove(&old);
        }
        false
    }
}

impl<I: Iterator<Item = Entry>> Iterator for Merge<I> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let number = self.oldest()?;
            let entry = self.logs.get_mut(number)?.0.next()?;
            if self.logs.len() == 1 || !self.is_known(number, &entry) {
                return Some(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::from_syslog;

    fn log(lines: &[(u32, &str)]) -> Vec<Entry> {
        let line = |(second, user): &(u32, &str)| {
            let stamp = format!("2026-11-29T10:00:{second:02}Z");
            from_syslog(&format!("{stamp} h su[1]: pam_qrtotp(su:auth): event=login user={user}")).unwrap()
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_line_with_a_later_time_in_it_keeps_no_other_line_from_being_the_journals() {
        let stalls = format!("event=login user=x seq=1 at=9999999999 chain={}", "ab".repeat(20));
        let fake = "event=login result=accepted reason=remembered user=root";
        let message = |text: &str| format!("pam_qrtotp(su:auth): {text}");
        let in_journal = |second: i64, text: &str| {
            let time = (1_795_946_400 + second) * 1_000_000;
            let line = serde_json::json!({ "SYSLOG_IDENTIFIER": "su", "_UID": "1000", "_CAP_EFFECTIVE": "0", "_HOSTNAME": "h",
                "_SOURCE_REALTIME_TIMESTAMP": time.to_string(), "MESSAGE": message(text) });
            crate::event::from_journal(&line.to_string(), None, |_| false).unwrap()
        };
        let in_file = |second: i64, text: &str| {
            from_syslog(&format!("2026-11-29T10:00:{second:02}Z h su[1]: {}", message(text))).unwrap()
        };
        let journal = vec![in_journal(0, &stalls), in_journal(10, fake)];
        let file = vec![in_file(0, &stalls), in_file(10, fake)];
        for file in [file.clone(), file[1..].to_vec()] {
            let all = Merge::new([journal.clone().into_iter(), file.into_iter()]);
            let shown: Vec<bool> = all.map(|entry| entry.is_forged()).collect();
            assert_eq!(shown, [true, true]);
        }
    }

    #[test]
    fn the_journal_s_copy_comes_first_also_if_the_file_has_no_years() {
        let now = || 1_795_964_400; // 2026-11-29 15:00 UTC
        let fake = "pam_qrtotp(su:auth): event=login result=accepted reason=remembered user=root";
        let in_journal = serde_json::json!({ "SYSLOG_IDENTIFIER": "su", "_UID": "1000", "_CAP_EFFECTIVE": "0",
            "_SOURCE_REALTIME_TIMESTAMP": "1795946400000000", "MESSAGE": fake });
        let in_journal = crate::event::from_journal(&in_journal.to_string(), None, |_| false).unwrap();
        let link = format!("seq=1 at=1795932000 chain={}", "ab".repeat(20)); // four hours before
        let shift = format!("Nov 29 10:00:00 h su[1]: pam_qrtotp(su:auth): event=login user=x {link}");
        let file = [shift, format!("Nov 29 10:00:00 h su[1]: {fake}")];
        let mut stamps = crate::Stamps::of_this_host(now, |_| 0);
        let file = file.map(|line| {
            let mut entry = from_syslog(&line).unwrap();
            stamps.date(&line, &mut entry);
            entry
        });
        let all = Merge::new([vec![in_journal], file.to_vec()].map(Vec::into_iter));
        assert_eq!(all.filter(Entry::is_forged).count(), 1);
    }

    fn users(logs: Vec<Vec<Entry>>) -> String {
        let user = |entry: Entry| entry.event.get("user").unwrap().to_owned();
        Merge::new(logs.into_iter().map(Vec::into_iter)).map(user).collect::<Vec<_>>().join("")
    }

    #[test]
    fn lines_of_both_logs_come_once_in_the_order_of_time_and_repeated_ones_as_often_as_one_log_has_them() {
        let one = log(&[(1, "a"), (2, "b"), (2, "b"), (5, "d")]);
        let other = log(&[(1, "a"), (2, "b"), (3, "c"), (5, "d"), (6, "e")]);
        assert_eq!(users(vec![one.clone(), other.clone()]), "abbcde");
        assert_eq!(users(vec![other, one.clone()]), "abbcde");
        assert_eq!(users(vec![one]), "abbd");
    }
}
