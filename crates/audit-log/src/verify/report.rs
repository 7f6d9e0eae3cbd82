//! The findings about one account, as its chain is read.

use super::saved::Known;
use super::{Fault, Finding, Head, Report, fits};
use crate::event::Event;

impl Report<'_> {
    pub(super) fn add(&mut self, seq: u64, fault: Fault, event: Option<&Event>) {
        let line = event.map(|event| event.line.clone()).unwrap_or_default();
        self.verifier.findings.push(Finding { user: self.user.to_owned(), seq, fault, line });
    }

    /// The account's end in the store.
    pub(super) fn head(&self) -> Option<&Head> {
        self.verifier.heads.get(self.user)
    }

    /// Counts a line that fits.
    pub(super) fn prove(&mut self, event: &Event) {
        self.verifier.proven += 1;
        self.verifier.note_record(self.user, event);
    }

    /// Whether another line was saved with this number. If it is the saved one, that is done.
    pub(super) fn is_other_than_saved(&mut self, seq: u64, event: &Event) -> bool {
        match self.verifier.saved.of(self.user) {
            Known::Line(saved, link) if saved == seq => {
                let is_same = event.link == Some(link);
                if is_same {
                    self.verifier.saved.met(self.user);
                }
                !is_same
            }
            _ => false,
        }
    }

    /// Whether the first line that was seen follows the saved line before it; `None`: another one is saved,
    /// or none. Counts it.
    pub(super) fn follows_saved(&mut self, seq: u64, event: &Event) -> Option<bool> {
        let follows = match self.verifier.saved.of(self.user) {
            Known::Line(saved, link) if saved.saturating_add(1) == seq => {
                Some(fits([Some(link), None], event).is_some())
            }
            _ => None,
        };
        if follows == Some(true) {
            self.verifier.saved.met(self.user);
            self.prove(event);
        } else {
            self.verifier.first += 1;
        }
        follows
    }

    /// Compares a line with the saved one.
    pub(super) fn compare(&mut self, seq: u64, event: &Event) {
        if self.is_other_than_saved(seq, event) {
            self.add(seq, Fault::AgainstSaved, Some(event));
        }
    }
}
