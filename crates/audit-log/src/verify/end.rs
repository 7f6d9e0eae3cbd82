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
        self.skip_all(report);
        self.place_early(report);
        self.skip_all(report);
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

    fn skip_all(&mut self, report: &mut Report<'_>) {
        while self.is_waiting() {
            self.skip(report);
        }
    }

    /// The lines before the log's first one. Of those that the store kept, the log should have what is not
    /// older than itself; if the end of the chain was saved, it should have all later ones.
    fn begin(&mut self, kept: &[Event], report: &mut Report<'_>) {
        let First::Later(Leading { seq: first, line, is_proven }) = std::mem::take(&mut self.first) else {
            return;
        };
        let Some(leading) = line.event() else { return };
        let early = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.early)).unwrap_or_default();
        let saved = &report.verifier.saved;
        let mut saved = if self.removed { saved.of_removed(report.user) } else { saved.of(report.user) };
        let mut proof = None;
        if let Known::Line(seq, link) = saved {
            // Of a renamed account, another line may have been saved under the name that it had then.
            let is_next = !is_proven && seq.saturating_add(1) == first;
            let follows = is_next.then(|| fits([Some(link), None], &leading).is_some());
            if follows == Some(true) {
                report.verifier.saved.met(report.user);
            }
            if self.removed && follows != Some(true) {
                saved = Known::Nothing; // it may be of a later account of this name
            } else {
                proof = follows;
            }
        }
        if !is_proven {
            report.lead(&leading, proof.or_else(|| follows(&leading, &early, kept)));
        }
        let origin = report.head().map(|head| head.origin).filter(|_| !self.removed);
        let line_saved = match saved {
            Known::Line(seq, link) if !self.removed => Some((seq, link)),
            _ => None,
        };
        report.early(&leading, &early, kept, origin, line_saved);
        let earlier = report.verifier.saved.earlier(report.user).filter(|_| !self.removed);
        let (begins, from) = (report.verifier.begins, earlier.map(|seq| seq + 1).or(saved.next()));
        for (seq, (event, late)) in known(1, from.unwrap_or(first).min(first) - 1, &early, kept) {
            if !late && event.number("at").zip(begins).is_some_and(|(at, begins)| at >= begins) {
                report.add(seq, Fault::Lost(event.chained().to_owned()), None);
            }
        }
        // Where the log goes back to an early line, those behind it must be there.
        for event in &early {
            let seq = event.seq().unwrap_or(0);
            let next = early.iter().chain(kept).filter_map(Event::seq).filter(|next| *next > seq).min();
            let until = next.unwrap_or(first).min(first).min(from.unwrap_or(first));
            let goes_back = event.number("at").zip(begins).is_some_and(|(at, begins)| at >= begins);
            if goes_back && seq + 1 < until {
                report.add(seq + 1, Fault::Missing(until - 1), None);
            }
        }
        if let Some(from) = from.filter(|from| *from < first) {
            absent((from, first - 1), &early, kept, report);
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
        absent((self.seq + 1, head.seq), &[], kept, report);
    }
}

/// Whether the log's first line follows the line before it, which the store kept or `audit repair` logged.
/// `None`: that is not known, or another line was logged.
fn follows(leading: &Event, early: &[Event], kept: &[Event]) -> Option<bool> {
    let seq = leading.seq()?;
    let fits = |before: &Event| fits([before.link, None], leading).is_some();
    match (numbered(kept, seq - 1), numbered(kept, seq)) {
        (Some(before), Some(same)) => Some(is_same(same, leading) && fits(before)),
        _ => numbered(early, seq - 1).is_some_and(fits).then_some(true),
    }
}

fn numbered(lines: &[Event], seq: u64) -> Option<&Event> {
    lines.iter().find(|event| event.seq() == Some(seq))
}

fn is_same(one: &Event, other: &Event) -> bool {
    one.link == other.link && one.covered() == other.covered()
}

/// Lines from one number to another that are not in their places: lost if the store kept them and they were
/// not logged late, else missing.
fn absent((from, to): (u64, u64), late: &[Event], kept: &[Event], report: &mut Report<'_>) {
    let (mut due, mut before) = (from, None);
    for (seq, (line, is_late)) in known(from, to, late, kept) {
        if seq > due {
            report.add(due, Fault::Missing(seq - 1), None);
        } else if before.is_some() && fits([before, None], line).is_none() {
            report.add(seq, Fault::OtherHead, Some(line));
            return;
        }
        report.compare(seq, line);
        before = line.link;
        if !is_late {
            report.add(seq, Fault::Lost(line.chained().to_owned()), None);
        }
        due = seq + 1;
    }
    if due <= to {
        report.add(due, Fault::Missing(to), None);
    }
}

impl Report<'_> {
    /// The log's first line, which was counted as one to be trusted.
    fn lead(&mut self, leading: &Event, proof: Option<bool>) {
        let Some(is_right) = proof else { return };
        self.verifier.first -= 1;
        if is_right {
            self.prove(leading);
        } else {
            self.add(leading.seq().unwrap_or(0), Fault::Changed, Some(leading));
        }
    }

    /// Lines from before the log's first one that were logged late. Each must be the one that the store kept
    /// and fit its neighbours, if these are known.
    fn early(
        &mut self,
        leading: &Event,
        early: &[Event],
        kept: &[Event],
        origin: Option<Link>,
        saved: Option<(u64, Link)>,
    ) {
        for event in early {
            let seq = event.seq().unwrap_or(0);
            let line = |seq| numbered(kept, seq).or_else(|| numbered(early, seq));
            let next = line(seq + 1).or_else(|| (leading.seq() == Some(seq + 1)).then_some(leading));
            let follows = |before: Option<Option<Link>>, event| {
                before.is_none_or(|before| fits([before, None], event).is_some())
            };
            let is_kept = numbered(kept, seq).map(|same| is_same(same, event));
            let before = line(seq.saturating_sub(1)).map(|before| before.link).or(match saved {
                Some((number, link)) if number + 1 == seq => Some(Some(link)),
                _ => origin.filter(|_| seq == 1).map(Some),
            });
            if saved.is_some_and(|(number, _)| number == seq) {
                self.compare(seq, event);
            }
            if is_kept == Some(false)
                || !follows(before, event)
                || next.is_some_and(|next| !follows(Some(event.link), next))
            {
                self.add(seq, Fault::Changed, Some(event));
            } else if is_kept.is_some() || before.is_some() {
                self.prove(event);
            } else {
                self.verifier.first += 1;
            }
        }
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
