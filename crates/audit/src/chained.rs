//! Lines of one update of an account, added to its chain under the account's lock and logged once the update
//! is durable.

use super::event::Event;
use super::kind::{Kind, Priority};
use super::sink::{AuditSink, Entry};
use qrtotp_account::{Anomaly, State};
use qrtotp_values::UnixTime;

/// Room for the lines of a login without an allocation.
const ROOM: usize = 4600;
/// Most lines that one answer adds.
const LINES: usize = 6;

/// Lines that an update adds to an account's chain.
///
/// The update may run more than once, so it begins with [`ChainedLines::clear`].
#[derive(Debug, Default)]
pub struct ChainedLines {
    text: String,
    lines: Vec<ChainedLine>,
}

#[derive(Debug)]
struct ChainedLine {
    kind: Kind,
    priority: Priority,
    anomaly: Option<Anomaly>,
    /// Where it ends in the text.
    end: usize,
}

impl ChainedLines {
    /// With room for the lines of a login: no allocation may come between a decision and its write.
    #[must_use]
    pub fn with_room() -> Self {
        let (text, lines) = (String::with_capacity(ROOM), Vec::with_capacity(LINES));
        Self { text, lines }
    }

    /// Forgets all lines, for the next run of the update.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
    }

    /// Adds an event to the chain in `state`. Its `detail` is no part of that: see
    /// [`ChainedLines::emit_with`].
    pub fn add(&mut self, event: &Event<'_>, at: UnixTime, state: &mut State) {
        let start = self.text.len();
        event.write(&mut self.text);
        if !cfg!(qrtotp_bench_without_chain) {
            state.chain.add(&mut self.text, start, at);
        }
        let (kind, priority, anomaly) = (event.kind(), event.priority(), event.known_anomaly());
        self.lines.push(ChainedLine { kind, priority, anomaly, end: self.text.len() });
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether an event of this kind was added.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.lines.iter().any(|line| line.kind == kind)
    }

    /// Logs the lines; `detail` belongs to the event of this kind.
    pub fn emit_with(&self, kind: Kind, detail: &str, audit: &mut dyn AuditSink) {
        self.log(Some((kind, detail)), audit);
    }

    /// Logs the lines.
    pub fn emit(&self, audit: &mut dyn AuditSink) {
        self.log(None, audit);
    }

    fn log(&self, detail: Option<(Kind, &str)>, audit: &mut dyn AuditSink) {
        let mut start = 0;
        for &ChainedLine { kind, priority, anomaly, end } in &self.lines {
            let line = self.text.get(start..end).unwrap_or_default();
            let detail = match (anomaly, detail) {
                (Some(anomaly), _) => anomaly.because(),
                (None, Some((of, detail))) if of == kind => detail,
                (None, _) => "",
            };
            audit.record(&Entry::Chained { kind, priority, line, detail });
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Subject, Verdict};
    use qrtotp_account::{RecordId, link, link_hex};

    #[test]
    fn lines_are_chained_in_order_and_details_are_not_covered() {
        let mut state = State::new(RecordId([1; 16]));
        let origin = state.chain.head();
        let subject = Subject { user: "alice".into(), ..Subject::default() };
        let mut lines = ChainedLines::with_room();
        let lifted = Event::new(Kind::ThrottleLifted, &subject).reason("right_answer");
        lines.add(&lifted, 1000, &mut state);
        lines.add(&Event::login(&subject, Verdict::Accepted, "code"), 1000, &mut state);
        let mut log: Vec<String> = Vec::new();
        lines.emit_with(Kind::Login, "a \"hint\"", &mut log);
        let first = "event=throttle_lifted reason=right_answer user=alice seq=1 at=1000";
        let second = "event=login result=accepted reason=code user=alice with=unknown seq=2 at=1000";
        let one = link(origin, first.as_bytes());
        let two = link(one, second.as_bytes());
        let shown = |link| String::from_utf8(link_hex(link).to_vec()).unwrap();
        assert_eq!(
            log,
            [
                format!("{first} chain={}", shown(one)),
                format!("{second} chain={} detail=\"a \\\"hint\\\"\"", shown(two)),
            ]
        );
        assert_eq!(state.chain.head(), two);
        assert!(lines.has(Kind::Login) && !lines.has(Kind::TokenIssued));
    }
}
