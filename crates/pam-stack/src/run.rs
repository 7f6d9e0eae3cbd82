//! libpam's dispatcher (`_pam_dispatch_aux`), over every result that the modules can have.

use crate::code::{Action, PamCode};
use crate::module::{ModuleFacts, Past};
use crate::tree::{PamLine, Stack};
use std::collections::HashSet;

/// libpam's result for the part so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Impression {
    Undefined,
    Positive,
    Negative,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The next entry.
    at: usize,
    impression: Impression,
    status: PamCode,
    /// The state before each substack, by level.
    saved: Vec<(Impression, PamCode)>,
    level: usize,
    past: Past,
}

/// A line that was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its index in the stack.
    pub entry: usize,
    /// Its module's result.
    pub code: PamCode,
    /// Its line's action for that.
    pub action: Action,
}

/// The lines of a run, in their order.
pub type Run = Vec<Step>;

impl Stack {
    /// A run that succeeds, if there is one for logins with these facts.
    #[must_use]
    pub fn success(&self, facts: &ModuleFacts) -> Option<Run> {
        self.run(|entry, past| facts.of(entry, self.part, past))
    }

    /// Like [`Stack::success`], with all possible results of each entry.
    #[must_use]
    pub fn run(&self, results: impl Fn(&PamLine, Past) -> Vec<PamCode>) -> Option<Run> {
        if self.aborted || self.entries.is_empty() {
            return None;
        }
        let start = State {
            at: 0,
            impression: Impression::Undefined,
            status: PamCode::PERM_DENIED,
            saved: vec![(Impression::Undefined, PamCode::PERM_DENIED)],
            level: 0,
            past: Past::default(),
        };
        let mut seen = HashSet::new();
        let mut open: Vec<(State, Run)> = vec![(start, Vec::new())];
        while let Some((mut state, run)) = open.pop() {
            let Some(entry) = self.entries.get(state.at) else {
                if state.status == PamCode::SUCCESS && state.impression == Impression::Positive {
                    return Some(run);
                }
                continue;
            };
            if !seen.insert(state.clone()) {
                continue;
            }
            state.enter(entry.level);
            if entry.marker {
                state.at += 1;
                open.push((state, run));
                continue;
            }
            for code in results(entry, state.past).into_iter().rev() {
                let action = entry.control.action(code);
                let mut next = state.clone();
                next.past = state.past.after(entry, code);
                next.apply(&self.entries, code, action);
                let mut run = run.clone();
                run.push(Step { entry: state.at, code, action });
                open.push((next, run));
            }
        }
        None
    }
}

impl State {
    fn enter(&mut self, level: usize) {
        if level > self.level {
            self.saved.resize(level + 1, (Impression::Undefined, PamCode::PERM_DENIED));
            self.saved[level] = (self.impression, self.status);
        }
        self.level = level;
    }

    fn apply(&mut self, entries: &[PamLine], code: PamCode, action: Action) {
        let level = self.level;
        let follows = |at: usize| entries.get(at + 1).map(|entry| entry.level).filter(|next| *next >= level);
        let mut last = self.at;
        match action {
            Action::Ignore => {}
            Action::Reset => (self.impression, self.status) = self.saved[level],
            Action::Ok | Action::Done => {
                if self.impression == Impression::Undefined
                    || (self.impression == Impression::Positive && self.status == PamCode::SUCCESS)
                {
                    (self.impression, self.status) = (Impression::Positive, code);
                }
                if action == Action::Done && self.impression == Impression::Positive {
                    while follows(last).is_some() {
                        last += 1;
                    }
                }
            }
            Action::Bad | Action::Die => {
                if self.impression != Impression::Negative {
                    (self.impression, self.status) = (Impression::Negative, code);
                }
                while action == Action::Die && follows(last).is_some() {
                    last += 1;
                }
            }
            Action::Jump(mut over) => {
                while over > 0 && follows(last).is_some() {
                    last += 1;
                    while follows(last).is_some_and(|next| next > level) {
                        last += 1;
                    }
                    over -= 1;
                }
                if over > 0 {
                    (self.impression, self.status) = (Impression::Negative, PamCode::PERM_DENIED);
                }
            }
        }
        self.at = last + 1;
    }
}
