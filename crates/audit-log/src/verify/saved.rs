//! The last line of each account, saved elsewhere by an earlier run. The log must agree with it in that line
//! and in all later ones.

use crate::event::{Entry, Event};
use qrtotp_account::Link;
use std::collections::HashMap;
use std::rc::Rc;

/// Ends of chains, from `audit heads`, a checkpoint or another copy of the log.
#[derive(Debug, Default)]
pub(super) struct Saved {
    lines: HashMap<Rc<str>, Line>,
    /// From `audit heads` or a checkpoint: these have all accounts that had lines.
    all: bool,
    /// From a checkpoint: it has ids of records, and the store maps them to the names of today. So a former
    /// account of the same name is not among them under that name.
    by_record: bool,
    /// How many lines each account had at an earlier checkpoint, from which on the log should be whole.
    earlier: Option<HashMap<Rc<str>, u64>>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    seq: u64,
    link: Link,
    /// The log or the store has the same line.
    met: bool,
}

/// Facts about an account's chain from an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// It had no line.
    NoLine,
    /// Its last line, not yet seen in the log or the store.
    Line(u64, Link),
    /// Its last line was seen.
    Met,
}

impl Known {
    /// The number of the first line after the saved one, if the saved one was not yet seen.
    pub(super) fn next(self) -> Option<u64> {
        match self {
            Self::Nothing | Self::Met => None,
            Self::NoLine => Some(1),
            Self::Line(seq, _) => Some(seq.saturating_add(1)),
        }
    }
}

impl Saved {
    /// Keeps the line if it is its account's last one. A checkpoint's line of a record has no account's name:
    /// it is kept when the store has told it.
    pub(super) fn add(&mut self, entry: &Entry) {
        let event = &entry.event;
        let is_head = event.get("event") == Some("audit_head");
        self.all |= is_head;
        if is_head && event.get("record").is_some() {
            self.by_record = true;
        } else {
            self.keep(&event.get("user").unwrap_or_default().into(), event);
        }
    }

    /// The same of this account.
    pub(super) fn keep(&mut self, user: &Rc<str>, event: &Event) {
        let (Some(seq), Some(link)) = (event.seq(), event.link) else { return };
        let line = Line { seq, link, met: false };
        let known = self.lines.entry(Rc::clone(user)).or_insert(line);
        if seq > known.seq {
            *known = line;
        }
    }

    /// Keeps how many lines an account had at the earlier checkpoint.
    pub(super) fn keep_earlier(&mut self, user: Rc<str>, seq: u64) {
        self.earlier.get_or_insert_default().insert(user, seq);
    }

    /// How many lines the account had at the earlier checkpoint.
    pub(super) fn earlier(&self, user: &str) -> Option<u64> {
        let earlier = self.earlier.as_ref()?;
        Some(earlier.get(user).copied().unwrap_or_default())
    }

    /// Whether the names are those of today, also of accounts that were renamed since.
    pub(super) fn has_names_of_today(&self) -> bool {
        self.by_record
    }

    pub(super) fn of(&self, user: &str) -> Known {
        match self.lines.get(user) {
            Some(Line { met: true, .. }) => Known::Met,
            Some(Line { seq, link, .. }) => Known::Line(*seq, *link),
            None if self.all => Known::NoLine,
            None => Known::Nothing,
        }
    }

    /// The same of an account that was removed: a checkpoint may have its record.
    pub(super) fn of_removed(&self, user: &str) -> Known {
        let known = self.of(user);
        if self.by_record { Known::Nothing } else { known }
    }

    /// The saved line was found.
    pub(super) fn met(&mut self, user: &str) {
        if let Some(line) = self.lines.get_mut(user) {
            line.met = true;
        }
    }

    /// The chain, of so many lines, goes on under another name.
    pub(super) fn rename(&mut self, was: &str, user: &Rc<str>, lines: u64) {
        if let Some(line) = self.lines.remove(was) {
            let name = if line.seq <= lines { Rc::clone(user) } else { was.into() };
            self.lines.insert(name, line);
        }
    }

    /// Takes the account's saved line, now that its chain ends with `last`. Returns the saved number if it is
    /// later and the chain never reached it.
    pub(super) fn end(&mut self, user: &str, last: u64) -> Option<u64> {
        let line = self.lines.remove(user)?;
        (!line.met && line.seq > last).then_some(line.seq)
    }

    /// Accounts whose saved line is in neither the log nor the store, with the line's number.
    pub(super) fn left(&mut self) -> Vec<(String, u64)> {
        let mut left: Vec<_> = std::mem::take(&mut self.lines)
            .into_iter()
            .filter(|(_, line)| !line.met)
            .map(|(user, line)| (user.to_string(), line.seq))
            .collect();
        left.sort();
        left
    }
}
