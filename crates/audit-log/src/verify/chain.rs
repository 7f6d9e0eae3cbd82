//! An account's chain, as it is read line by line.

use super::{
    Before, Chain, EARLY_OF_HOST, Fault, First, GAPS, Gap, Head, Kept, Leading, Rare, Report, SAME_TIME,
    SET_BACK, WAITING, Waiting, fits,
};
use crate::event::Event;
use qrtotp_account::{Link, link};

impl Chain {
    /// The link of `event` if it follows the line before.
    pub(super) fn fits(&self, event: &Event) -> Option<Link> {
        fits(self.before, event)
    }

    /// Whether `event` follows the line before, or that is not known.
    pub(super) fn may_be_next(&self, event: &Event) -> bool {
        self.before == [None, None] || self.fits(event).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seq == 0 && !self.is_waiting() && !self.has_early()
    }

    fn has_early(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.early.is_empty())
    }

    /// Whether `event` follows a repaired line, and no other line was seen.
    pub(super) fn follows_early(&self, event: &Event) -> bool {
        let mut early = self.rare.iter().filter(|_| self.seq == 0).flat_map(|rare| &rare.early);
        early.any(|before| {
            before.seq().map(|seq| seq + 1) == event.seq() && fits([before.link, None], event).is_some()
        })
    }

    /// Whether line 1 was seen, and this is it.
    pub(super) fn begins_with(&self, event: &Event) -> bool {
        matches!(self.first, First::One(first) if event.link == Some(first))
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Whether lines came before their turn.
    pub(super) fn is_waiting(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.waiting.is_empty())
    }

    /// Goes on under another account name, for which the store has this origin.
    pub(super) fn rename(&mut self, origin: Option<Link>, report: &mut Report<'_>) {
        let Some(rare) = &mut self.rare else { return };
        let is_first = |first: &Event| fits([origin, None], first).is_some();
        rare.other_first.take_if(|first| first.event().is_some_and(|first| is_first(&first)));
        rare.other_head = None;
        if origin.is_none() {
            return;
        }
        if let Some(first) = rare.trusted_first.take().and_then(|first| first.event()) {
            if is_first(&first) {
                report.verifier.first -= 1;
                report.prove(&first);
            } else {
                rare.other_first = Some(Kept::of(&first));
            }
        }
    }

    pub(super) fn read(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        // The log may have begun between the place of a line and that to which `audit repair` logged it.
        if self.seq == 0 && event.is_recovered() && !self.anew {
            self.early(seq, event, report);
        } else {
            self.read_in_place(seq, event, report);
        }
    }

    fn read_in_place(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        if self.seq == 0 && seq > 1 && !self.anew {
            self.lead(seq, event, report);
        } else if seq == self.seq + 1 {
            self.due(seq, event, report);
        } else if seq > self.seq {
            let waiting = Waiting { event: event.clone(), passed: 0 };
            if self.rare().waiting.insert(seq, waiting).is_some() {
                report.add(seq, Fault::Repeated, Some(event));
            }
        } else {
            self.late(seq, event, report);
        }
        let now = event.number("at").unwrap_or(0);
        let is_over = |rare: &Rare| {
            rare.waiting.values().next().is_some_and(|first| {
                now.saturating_sub(first.event.number("at").unwrap_or(now)) > SAME_TIME
                    || rare.waiting.len() > WAITING
            })
        };
        while self.rare.as_deref().is_some_and(is_over) {
            self.skip(report);
        }
    }

    /// The first line there is.
    fn lead(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        let is_proven = report.follows_saved(seq, event) == Some(true);
        self.first = First::Later(Leading { seq, line: Kept::of(event), is_proven });
        // The log goes back to it, whatever the log daemon's own time stamps say.
        if let Some(at) = event.number("at").filter(|_| !event.is_recovered()) {
            report.verifier.not_later(at);
        }
        self.advance(seq, event, [event.link, None], report);
        self.place_early(report);
    }

    /// Whether a line belongs before the first one in the log: `audit repair` logged it, or it was logged at
    /// the same time as the line that follows it.
    pub(super) fn is_early(&self, seq: u64, event: &Event) -> bool {
        let First::Later(leading) = &self.first else { return false };
        let is_next = |next: &Event| next.seq() == Some(seq + 1) && fits([event.link, None], next).is_some();
        let is_at_once = || {
            let is_late = event.number("at").is_none_or(|at| self.at.saturating_sub(at) > SAME_TIME);
            let mut early = self.rare.iter().flat_map(|rare| &rare.early);
            !is_late && (leading.line.event().is_some_and(|first| is_next(&first)) || early.any(is_next))
        };
        seq < leading.seq && (event.is_recovered() || is_at_once())
    }

    /// Keeps a line from before the first one in the log.
    fn early(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        let most = if report.user.is_empty() { EARLY_OF_HOST } else { WAITING };
        if self.seq == 0 && self.rare().early.len() == most {
            self.place_early(report);
            return self.read_in_place(seq, event, report);
        }
        let early = &mut self.rare().early;
        if early.len() == most || early.iter().any(|known| known.seq() == Some(seq)) {
            report.add(seq, Fault::Repeated, Some(event));
        } else {
            early.push(event.clone());
        }
    }

    /// Reads the lines that `audit repair` logged before all others of the chain, unless they are older than
    /// the first one of those.
    pub(super) fn place_early(&mut self, report: &mut Report<'_>) {
        let first = match &self.first {
            First::Later(leading) => leading.seq,
            // Repaired lines alone: those in front of the last ones without a gap may have been followed by
            // others that were rotated away.
            First::Unseen if self.seq == 0 => {
                let early = self.rare.iter().flat_map(|rare| &rare.early);
                let mut numbers: Vec<u64> = early.filter_map(Event::seq).collect();
                numbers.sort_unstable_by(|a, b| b.cmp(a));
                let ends =
                    numbers.iter().zip(numbers.iter().skip(1)).find(|(later, seq)| **seq + 1 < **later);
                ends.map_or(0, |(later, _)| *later)
            }
            First::One(_) | First::Unseen => 0,
        };
        let Some(rare) = &mut self.rare else { return };
        let mut others: Vec<Event> = rare.early.extract_if(.., |event| event.seq() >= Some(first)).collect();
        others.sort_unstable_by_key(Event::seq);
        for event in others {
            self.read_in_place(event.seq().unwrap_or(0), &event, report);
        }
    }

    /// The line that is due, and those that waited for it. Of lines in another order than that of time, the
    /// one that stands alone was moved.
    fn due(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        self.next(seq, event, report);
        if !self.is_waiting() {
            return;
        }
        // One that `audit repair` logged again comes late.
        if let Some(at) = event.number("at").filter(|_| !event.is_recovered()) {
            for later in self.rare().waiting.values_mut() {
                let time = later.event.number("at").unwrap_or(at);
                later.passed += usize::from(time.saturating_sub(at) > SAME_TIME);
            }
        }
        if self.drain(report) {
            report.add(seq, Fault::Moved, Some(event));
        }
    }

    /// The next line.
    fn next(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        let unknown = self.before == [None, None];
        match self.fits(event) {
            Some(_) => {
                report.prove(event);
                if !event.is_recovered() {
                    report.verifier.not_later(event.number("at").unwrap_or(0));
                }
                self.has_fitted = true;
                self.advance(seq, event, [event.link, None], report);
            }
            // Of an account that was removed since, the origin is not known.
            None if unknown || (seq == 1 && report.head().is_none()) => {
                report.verifier.first += 1;
                if seq == 1 {
                    self.rare().trusted_first = Some(Kept::of(event));
                } else if let Some(rare) = &mut self.rare {
                    rare.trusted_first = None;
                }
                self.advance(seq, event, [event.link, None], report);
            }
            None => {
                if seq == 1 {
                    self.rare().other_first = Some(Kept::of(event));
                } else {
                    report.add(seq, Fault::Changed, Some(event));
                }
                let computed = self.before[0].map(|before| link(before, event.covered().as_bytes()));
                let before = self.before;
                self.advance(seq, event, [event.link, computed], report);
                self.rare().doubted = Some(before);
            }
        }
    }

    fn advance(&mut self, seq: u64, event: &Event, before: Before, report: &mut Report<'_>) {
        (self.seq, self.before) = (seq, before);
        self.forget_doubted();
        // A line that does not fit proves no time.
        if let Some(at) = event.number("at").filter(|_| before[1].is_none()) {
            if self.at.saturating_sub(at) > SET_BACK {
                report.add(seq, Fault::ClockSetBack(self.at.saturating_sub(at)), Some(event));
            }
            self.at = at;
        }
        if seq == 1 {
            self.first = event.link.map_or(First::Unseen, First::One);
        }
        self.removed = event.get("event") == Some("account_removed");
        if report.head().is_some_and(|head| head.seq == seq && !before.contains(&Some(head.link))) {
            self.rare().other_head = Some(Kept::of(event));
        }
        if report.is_other_than_saved(seq, event) {
            self.rare().other_saved = Some(Kept::of(event));
        }
    }

    /// Whether the store has the chain's last line. Then, if it is `account_removed`, the removal did not
    /// happen.
    pub(super) fn is_kept(&self, head: &Head, kept: &[Event]) -> bool {
        let is_last = |(seq, link)| seq == self.seq && self.before.contains(&Some(link));
        let kept = kept.iter().filter_map(|event| Some((event.seq()?, event.link?)));
        kept.chain([(head.seq, head.link)]).any(is_last)
    }

    fn forget_doubted(&mut self) {
        self.rare.iter_mut().for_each(|rare| rare.doubted = None);
    }

    /// The line of this number, if it waits.
    fn take_waiting(&mut self, seq: u64) -> Option<Waiting> {
        self.rare.as_mut()?.waiting.remove(&seq)
    }

    /// Goes on with the lines that wait and are due now. Returns whether one of them came too early because
    /// the line before them came too late.
    fn drain(&mut self, report: &mut Report<'_>) -> bool {
        let mut is_late = false;
        while let Some(Waiting { event, passed }) = self.take_waiting(self.seq + 1) {
            if self.fits(&event).is_some() {
                is_late |= passed == 1;
                if passed > 1 && !event.is_recovered() {
                    report.add(self.seq + 1, Fault::Moved, Some(&event));
                }
            }
            self.next(self.seq + 1, &event, report);
        }
        is_late
    }

    /// Gives up on the lines before the first one that waits.
    pub(super) fn skip(&mut self, report: &mut Report<'_>) {
        let first = self.rare.as_mut().and_then(|rare| rare.waiting.pop_first());
        let Some((seq, Waiting { event, .. })) = first else { return };
        let gap = Gap {
            from: self.seq + 1,
            to: seq - 1,
            before: self.before,
            next: event.clone(),
            late: Vec::new(),
        };
        let gaps = &mut self.rare().gaps;
        if gaps.len() < GAPS {
            gaps.push(gap);
        } else {
            report.add(gap.from, Fault::Missing(gap.to), None);
        }
        self.has_fitted = false;
        self.advance(seq, &event, [event.link, None], report);
        let _ = self.drain(report); // those before are missing
    }

    /// A line whose turn is over.
    fn late(&mut self, seq: u64, event: &Event, report: &mut Report<'_>) {
        if self.is_early(seq, event) {
            return self.early(seq, event, report);
        }
        let (has_fitted, last) = (self.has_fitted, self.seq);
        let ended_by_added =
            |gap: &mut Gap| !has_fitted && gap.from == seq && fits(gap.before, event).is_some();
        let Some(rare) = &mut self.rare else {
            report.add(seq, Fault::Repeated, Some(event));
            return;
        };
        if let Some(gap) = rare.gaps.pop_if(ended_by_added) {
            // Nothing fitted behind the gap, and this line fits before it: what ended it was added.
            report.add(gap.to + 1, Fault::Changed, Some(&gap.next));
            (self.seq, self.before) = (seq - 1, gap.before);
            self.forget_doubted();
            self.next(seq, event, report);
            return;
        }
        if let Some(gap) = rare.gaps.iter_mut().find(|gap| (gap.from..=gap.to).contains(&seq)) {
            if gap.late.iter().any(|known| known.seq() == Some(seq)) {
                report.add(seq, Fault::Repeated, Some(event));
                return;
            }
            // One that `audit repair` logged again is no news.
            if !event.is_recovered() {
                report.add(seq, Fault::Moved, Some(event));
            }
            gap.late.push(event.clone());
            return;
        }
        if seq == last
            && let Some(before) = rare.doubted
            && fits(before, event).is_some()
        {
            // The one before it was added.
            report.prove(event);
            rare.doubted = None;
            self.before = [event.link, None];
            return;
        }
        report.add(seq, Fault::Repeated, Some(event));
    }
}
