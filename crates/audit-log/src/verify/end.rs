//! How a chain ends: what the store has behind the log's last line, before its first one and in its gaps.

use super::saved::Known;
use super::{Before, Chain, Fault, First, Gap, Head, Leading, Report, fits};
use crate::event::Event;
use qrtotp_account::Link;
use std::collections::BTreeMap;

impl Chain {
    /// `kept`: the store's last lines; `now`: the number and the link of the last one, after the log was
    /// read.
    pub(super) fn end(
        &mut self,
        kept: &[Event],
        head: Option<&Head>,
        now: (u64, Link),
        report: &mut Report<'_>,
    ) {
        while self.is_waiting() {
            self.skip(report);
        }
        self.begin(kept, report);
        let mut rare = self.rare.take().unwrap_or_default();
        if !self.removed {
            for (event, fault) in [
                (rare.other_first.take(), Fault::Changed),
                (rare.other_head.take(), Fault::OtherHead),
                (rare.other_saved.take(), Fault::AgainstSaved),
            ] {
                if let Some(event) = event.and_then(|kept| kept.event()) {
                    report.add(event.seq().unwrap_or(0), fault, Some(&event));
                }
            }
        }
        for gap in rare.gaps {
            gap.fill(kept, report);
        }
        let Some(head) = head else { return };
        if self.seq > head.seq {
            self.ahead(kept, now, report);
        }
        if self.seq < head.seq {
            self.tail(kept, head, report);
        }
        report.verifier.saved.end(report.user, self.seq.max(head.seq)).into_iter().for_each(|saved| {
            report.add(self.seq + 1, Fault::Missing(saved), None);
        });
    }

    /// The lines before the log's first one. Of those that the store kept, the log should have what is not
    /// older than itself; if the end of the chain was saved, it should have all later ones.
    fn begin(&mut self, kept: &[Event], report: &mut Report<'_>) {
        let First::Later(Leading { seq: first, digest, is_proven }) = std::mem::take(&mut self.first) else {
            return;
        };
        let saved = &report.verifier.saved;
        let mut saved = if self.removed { saved.of_removed(report.user) } else { saved.of(report.user) };
        let other =
            self.rare.as_mut().and_then(|rare| rare.other_leading.take()).and_then(|kept| kept.event());
        let mut proof = None;
        if let Known::Line(seq, link) = saved {
            // Of a renamed account, another line may have been saved under the name that it had then.
            let other = other.as_ref().filter(|_| seq.saturating_add(1) == first);
            let follows = other.map(|event| fits([Some(link), None], event).is_some());
            if follows == Some(true) {
                report.verifier.saved.met(report.user);
            }
            if self.removed && follows != Some(true) {
                saved = Known::Nothing; // it may be of a later account of this name
            } else {
                proof = follows.zip(other);
            }
        }
        let line = |seq| kept.iter().find(|event| event.seq() == Some(seq));
        if let (None, false, Some(before), Some(same)) = (proof, is_proven, line(first - 1), line(first)) {
            let is_same = Leading::digest_of(same) == digest && fits([before.link, None], same).is_some();
            proof = Some((is_same, same));
        }
        match proof {
            Some((true, event)) => {
                report.verifier.first -= 1;
                report.prove(event);
            }
            Some((false, _)) => {
                report.verifier.first -= 1;
                report.add(first, Fault::Changed, other.as_ref());
            }
            None => {}
        }
        let (begins, from) = (report.verifier.begins, saved.next());
        for (seq, (event, _)) in known(1, from.unwrap_or(first).min(first) - 1, &[], kept) {
            if event.number("at").zip(begins).is_some_and(|(at, begins)| at >= begins) {
                report.add(seq, Fault::Lost(event.chained().to_owned()), None);
            }
        }
        if let Some(from) = from.filter(|from| *from < first) {
            absent(from, first - 1, kept, report);
        }
    }

    /// The log's last line is behind the head that was read before the log: the store must have it by now.
    fn ahead(&self, kept: &[Event], now: (u64, Link), report: &mut Report<'_>) {
        let (seq, link) = now;
        if seq < self.seq {
            report.add(seq, Fault::StoreIsOlder(self.seq), None);
        } else if seq == self.seq {
            if !self.before.contains(&Some(link)) {
                report.add(seq, Fault::OtherHead, None);
            }
        } else {
            match self.agrees(kept) {
                Some(true) => {}
                Some(false) => report.add(self.seq, Fault::OtherHead, None),
                None => report.verifier.first += 1, // more lines since than the store keeps
            }
        }
    }

    /// Whether the last line is the one that the store kept, or the store's next line follows it. `None`: it
    /// kept neither.
    fn agrees(&self, kept: &[Event]) -> Option<bool> {
        let of = |seq| kept.iter().find(|event| event.seq() == Some(seq));
        if let Some(same) = of(self.seq) {
            return Some(self.before.contains(&same.link));
        }
        of(self.seq + 1).map(|next| self.fits(next).is_some())
    }

    /// The lines behind the log's last one.
    fn tail(&mut self, kept: &[Event], head: &Head, report: &mut Report<'_>) {
        if self.before != [None, None] && self.agrees(kept) == Some(false) {
            report.add(self.seq, Fault::OtherHead, None);
            return;
        }
        absent(self.seq + 1, head.seq, kept, report);
    }
}

/// Lines that the log does not have: lost if the store kept them, else missing.
fn absent(from: u64, to: u64, kept: &[Event], report: &mut Report<'_>) {
    let (mut due, mut before) = (from, None);
    for (seq, (line, _)) in known(from, to, &[], kept) {
        if seq > due {
            report.add(due, Fault::Missing(seq - 1), None);
        } else if before.is_some() && fits([before, None], line).is_none() {
            report.add(seq, Fault::OtherHead, Some(line));
            return;
        }
        report.compare(seq, line);
        before = line.link;
        report.add(seq, Fault::Lost(line.chained().to_owned()), None);
        due = seq + 1;
    }
    if due <= to {
        report.add(due, Fault::Missing(to), None);
    }
}

/// Those of these lines that have a number from `from` to `to`, and whether they are late ones.
fn known<'e>(from: u64, to: u64, late: &'e [Event], kept: &'e [Event]) -> BTreeMap<u64, (&'e Event, bool)> {
    let both = kept.iter().map(|event| (event, false)).chain(late.iter().map(|event| (event, true)));
    let numbered = both.filter_map(|(event, late)| Some((event.seq()?, (event, late))));
    numbered.filter(|(seq, _)| (from..=to).contains(seq)).collect()
}

impl Gap {
    /// Fills it with late lines and with those that the store kept, and proves them and the line behind.
    fn fill(&self, kept: &[Event], report: &mut Report<'_>) {
        let (mut before, mut due): (Before, u64) = (self.before, self.from);
        for (seq, (event, late)) in known(self.from, self.to, &self.late, kept) {
            if seq > due {
                report.add(due, Fault::Missing(seq - 1), None);
            } else if fits(before, event).is_none() {
                report.add(seq, Fault::Changed, Some(event));
            } else if late {
                report.prove(event);
            }
            if !late {
                report.add(seq, Fault::Lost(event.chained().to_owned()), None);
            }
            report.compare(seq, event);
            (before, due) = ([event.link, None], seq + 1);
        }
        if due <= self.to {
            report.add(due, Fault::Missing(self.to), None);
        } else if fits(before, &self.next).is_some() {
            report.prove(&self.next);
        } else {
            report.add(self.to + 1, Fault::Changed, Some(&self.next));
        }
    }
}
