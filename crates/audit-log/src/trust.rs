//! Which lines count, for readers that see the log once and don't wait for its end. `audit verify` proves
//! more: it has the store.

use crate::event::{Entry, Event, Writer};
use crate::table::Table;
use qrtotp_account::{Link, link};

/// Seconds that a line may take from the store to the log.
const AT_ONCE: i64 = 10;

/// The end of an account's chain, as far as it was read.
#[derive(Debug, Default)]
struct End {
    last: Option<(u64, Link)>,
    /// The link of a file's line that did not follow the last one. If the next line follows it, lines were
    /// lost between, and the chain goes on there.
    behind_gap: Option<Link>,
}

/// The ends of all chains so far.
#[derive(Debug, Default)]
pub struct Trust {
    ends: Table<String, End>,
}

impl Trust {
    /// Whether the line counts: the journal says that a process of root wrote it, or it follows its account's
    /// line before. From a file, which does not say who wrote a line, one without a link counts, too. What
    /// the journal says a user's process wrote never counts: users can compute a link, too.
    pub fn counts(&mut self, entry: &Entry) -> bool {
        self.counts_or_kept(entry, |_| false)
    }

    /// The same for a reader that has the store. `kept` says whether the store has this very line among the
    /// account's last ones: then the line counts, too, if it came just when it was written and no later one
    /// of its account was read. (So a line that was sent again later counts for nothing.) A run that begins
    /// in the middle of the log knows no line before the first one of su.
    pub fn counts_or_kept(&mut self, entry: &Entry, kept: impl FnOnce(&Event) -> bool) -> bool {
        if matches!(entry.writer, Writer::User(_)) {
            return false;
        }
        let event = &entry.event;
        let is_trusted = matches!(entry.writer, Writer::Root | Writer::Verifier);
        let of_file = entry.writer == Writer::Unknown && !entry.journal;
        let (Some(seq), Some(shown)) = (event.seq(), event.link) else {
            let is_chained = event.link.is_some() || event.is_always_chained();
            return !is_chained && (of_file || is_trusted);
        };
        // Of the verifier's store; no user has such a name.
        let of = if entry.writer == Writer::Verifier { "verifier:" } else { "" };
        let user = format!("{of}{}", event.get("user").unwrap_or_default());
        let end = self.ends.entry(user.clone(), entry.when());
        let follows_gap = end.behind_gap.is_some_and(|before| follows(before, event));
        let follows = end.last.is_some_and(|(_, before)| follows(before, event));
        let is_kept = || {
            let is_of_root = matches!(entry.writer, Writer::Setuid(_) | Writer::Ended(_));
            let is_new = end.last.is_none_or(|(last, _)| seq > last);
            is_of_root && is_new && came_at_once(entry) && kept(event)
        };
        if !(is_trusted || follows || follows_gap || (of_file && end.last.is_none()) || is_kept()) {
            if of_file {
                end.behind_gap = Some(shown);
            }
            return false;
        }
        if follows_gap {
            end.behind_gap = None;
        }
        // Two logins at the same time may log in the other order, and `audit repair` logs older lines.
        if follows || follows_gap || end.last.is_none_or(|(last, _)| seq > last) {
            end.last = Some((seq, shown));
        }
        if event.get("event") == Some("account_removed") {
            self.ends.remove(&user);
        }
        true
    }
}

/// Whether the log received the line within a few seconds of its own time.
fn came_at_once(entry: &Entry) -> bool {
    let received = entry.time.div_euclid(1_000_000);
    entry.event.number("at").is_some_and(|at| (0..=AT_ONCE).contains(&received.saturating_sub(at)))
}

fn follows(before: Link, event: &Event) -> bool {
    event.link == Some(link(before, event.covered().as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::from_syslog;
    use qrtotp_account::{Chain, RecordId};
    use std::collections::HashMap;

    /// Writes lines as the module does: with a number and a link if the event changes the account.
    #[derive(Default)]
    pub(crate) struct Log {
        chains: HashMap<String, Chain>,
    }

    impl Log {
        /// The line as an entry of a file.
        pub(crate) fn entry(&mut self, at: i64, line: &str) -> Entry {
            let event = Event::parse(line).unwrap();
            let changes = |reason| matches!(reason, "wrong_code" | "replayed_code");
            let mut line = event.line.clone();
            if event.is_always_chained()
                || event.get("event") == Some("recovery_used")
                || event.get("reason").is_some_and(changes)
            {
                let record = RecordId([9; 16]);
                let user = event.get("user").unwrap_or_default().to_owned();
                self.chains.entry(user).or_insert_with(|| Chain::new(record)).add(&mut line, 0, at);
            }
            let stamp = qrtotp_values::text::utc(at).replace(' ', "T");
            from_syslog(&format!("{stamp} h sshd[1]: pam_qrtotp(sshd:auth): {line}")).unwrap()
        }

        /// The same, as the journal gives a line of this writer.
        pub(crate) fn by(&mut self, writer: Writer, at: i64, line: &str) -> Entry {
            Entry { journal: true, writer, ..self.entry(at, line) }
        }
    }

    const WRONG: &str = "event=login result=denied reason=wrong_code user=root by=alice";
    const WAITS: &str = "event=login result=denied reason=throttled user=root by=alice";

    #[test]
    fn a_line_of_an_unproven_writer_counts_only_if_the_chain_proves_it() {
        for writer in [Writer::Ended(1000), Writer::Setuid(1000), Writer::Unknown] {
            let (mut log, mut trust) = (Log::default(), Trust::default());
            let mut counts = |writer, line: &str| {
                let entry = log.by(writer, 1_795_946_400, line);
                trust.counts(&entry)
            };
            assert!(!counts(writer, WAITS) && !counts(writer, WRONG), "{writer:?}: nothing came before");
            assert!(counts(Writer::Root, WAITS) && counts(Writer::Root, WRONG));
            assert!(!counts(writer, WAITS) && counts(writer, WRONG), "{writer:?}");
        }
    }

    #[test]
    fn a_line_of_a_users_process_never_counts_and_the_chain_does_not_go_on_with_it() {
        let (mut log, mut trust) = (Log::default(), Trust::default());
        assert!(trust.counts(&log.by(Writer::Root, 1, WRONG)));
        let mut counts = |writer| trust.counts(&log.by(writer, 2, WRONG));
        assert!(!counts(Writer::User(1000)), "its link is right, as anyone can compute it");
        assert!(!counts(Writer::Setuid(1000)));
        assert!(counts(Writer::Root) && counts(Writer::Setuid(1000)));
    }

    #[test]
    fn a_verifiers_line_counts_and_an_account_of_the_host_with_the_same_name_has_a_chain_of_its_own() {
        let (mut log, mut of_verifier, mut trust) = (Log::default(), Log::default(), Trust::default());
        assert!(trust.counts(&log.by(Writer::Root, 1, WRONG)));
        assert!(trust.counts(&of_verifier.by(Writer::Verifier, 2, WRONG)));
        assert!(trust.counts(&of_verifier.by(Writer::Verifier, 3, WAITS)));
        assert!(trust.counts(&log.by(Writer::Setuid(1000), 4, WRONG)), "it follows the host's line");
    }

    #[test]
    fn a_line_that_only_looks_chained_counts_from_nobody() {
        let (mut log, mut trust) = (Log::default(), Trust::default());
        assert!(trust.counts(&log.by(Writer::Root, 1, WRONG)));
        let mut real = log.by(Writer::Ended(1000), 2, WRONG);
        real.event =
            Event::parse(&real.event.line.replace("user=root", "user=root rhost=192.0.2.1")).unwrap();
        assert!(!trust.counts(&real));
        let accepted = "event=login result=accepted reason=code user=root";
        for writer in [Writer::Root, Writer::Unknown] {
            let entry = Entry { writer, ..from_syslog(&format!("- h qrtotp: {accepted}")).unwrap() };
            assert!(!trust.counts(&entry), "{writer:?}");
        }
    }

    #[test]
    fn behind_a_gap_a_setuid_programs_lines_count_again_when_one_of_root_came() {
        let (mut log, mut trust) = (Log::default(), Trust::default());
        let mut counts = |writer| trust.counts(&log.by(writer, 1, WRONG));
        assert!(!counts(Writer::Setuid(1000)) && !counts(Writer::Setuid(1000)), "the first is not proven");
        assert!(counts(Writer::Root) && counts(Writer::Setuid(1000)));
        let _lost = log.by(Writer::Setuid(1000), 1, WRONG);
        let mut counts = |writer| trust.counts(&log.by(writer, 1, WRONG));
        assert!(!counts(Writer::Setuid(1000)) && !counts(Writer::Setuid(1000)), "a line is lost");
        assert!(counts(Writer::Root) && counts(Writer::Setuid(1000)));
    }

    #[test]
    fn a_setuid_programs_line_counts_alone_if_the_store_has_it_and_only_once_and_at_its_time() {
        let mut log = Log::default();
        let at = 1_795_946_400;
        let (first, second) =
            (log.by(Writer::Setuid(1000), at, WRONG), log.by(Writer::Setuid(1000), at, WRONG));
        let in_store = [first.event.line.clone(), second.event.line.clone()];
        let kept = |event: &Event| in_store.iter().any(|line| line == event.chained());
        for entry in [&first, &second] {
            assert!(!Trust::default().counts(entry), "nothing came before");
            assert!(Trust::default().counts_or_kept(entry, kept));
        }
        let mut trust = Trust::default();
        assert!(trust.counts_or_kept(&second, kept));
        assert!(!trust.counts_or_kept(&second, kept), "sent again");
        assert!(!trust.counts_or_kept(&first, kept), "sent again, and older");
        let forged = |line: &str| {
            let line = first.event.line.replace("result=denied", line);
            Entry { event: Event::parse(&line).unwrap(), ..first.clone() }
        };
        assert!(Trust::default().counts_or_kept(&forged("result=denied"), kept));
        for not_ours in [
            forged("result=accepted"),
            Entry { writer: Writer::User(1000), ..first.clone() },
            Entry { time: first.time + 60_000_000, ..first.clone() },
            Entry { time: first.time - 2_000_000, ..first.clone() },
        ] {
            assert!(!Trust::default().counts_or_kept(&not_ours, kept), "{not_ours:?}");
        }
    }

    #[test]
    fn lines_of_a_file_count_in_the_order_of_the_chain_and_without_a_link() {
        let (mut log, mut trust) = (Log::default(), Trust::default());
        let entries: Vec<Entry> = (0..4).map(|n| log.entry(n, WRONG)).collect();
        let counted: Vec<bool> = [0, 2, 1, 3].into_iter().map(|n| trust.counts(&entries[n])).collect();
        assert_eq!(counted, [true, false, true, true]);
        assert!(trust.counts(&log.entry(9, WAITS)));
    }
}
