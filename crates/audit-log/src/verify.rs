//! Verifies the chains of all accounts: finds lines that were changed, removed, added, moved or repeated, and
//! tells them from lines that were only lost.

mod chain;
mod end;
mod finding;
mod report;
mod saved;

use crate::event::{Entry, Event, Writer};
pub use finding::{Fault, Finding, Head};
use qrtotp_account::{Link, RecordId, chain_origin, link};
use qrtotp_otp::base32_decode;
use qrtotp_values::{EARLIEST_PLAUSIBLE, UnixTime};
use saved::{Known, Saved};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Two logins of one account at the same time may log in the other order. So much later, in seconds, a line
/// was moved.
const SAME_TIME: i64 = 5;
/// By more seconds no line's time is before that of the line before, unless the clock was set back: a login
/// waits so long for its account's lock, and the clocks of a fleet may differ by so much.
const SET_BACK: i64 = 10;
/// So many lines of an account wait for those before them.
const WAITING: usize = 64;
/// So many lines of the host's chain from before its first one in the log: `audit repair` compares as many.
const EARLY_OF_HOST: usize = 4096;
/// So many gaps of an account are kept for lines that come late.
const GAPS: usize = 32;

/// Links that the next line may follow: the last line's own, and its correct one if the line was changed.
type Before = [Option<Link>; 2];

struct Gap {
    from: u64,
    to: u64,
    before: Before,
    /// The line behind it, which can only be proven with it.
    next: Event,
    late: Vec<Event>,
}

/// A line that came before its turn.
struct Waiting {
    event: Event,
    /// So many older lines came after it.
    passed: usize,
}

/// A line that is kept for each account: a parsed one takes ten times as much memory.
struct Kept(Box<str>);

impl Kept {
    fn of(event: &Event) -> Self {
        Self(event.line.as_str().into())
    }

    fn event(&self) -> Option<Event> {
        Event::parse(&self.0)
    }
}

/// The first line of a chain that was seen.
#[derive(Default)]
enum First {
    #[default]
    Unseen,
    /// Line 1, with its link.
    One(Link),
    /// A later one: the log begins behind line 1.
    Later(Leading),
}

/// The first line of a chain in the log, if it is not line 1.
struct Leading {
    seq: u64,
    line: Kept,
    /// It follows the saved line before it.
    is_proven: bool,
}

/// There is one for each account: what few of them have is in a box.
#[derive(Default)]
struct Chain {
    seq: u64,
    /// The time of the last line, 0 if it has none.
    at: UnixTime,
    before: Before,
    first: First,
    /// A line fitted since the last gap.
    has_fitted: bool,
    removed: bool,
    /// Begins with number 1: what had the name before was renamed.
    anew: bool,
    rare: Option<Box<Rare>>,
}

/// The part of a chain that most accounts do not need.
#[derive(Default)]
struct Rare {
    /// Before the last line, if that does not fit: the right one may follow.
    doubted: Option<Before>,
    waiting: BTreeMap<u64, Waiting>,
    gaps: Vec<Gap>,
    /// Lines from before the first one that were logged behind it, most of them by `audit repair`.
    early: Vec<Event>,
    /// Line 1, if it does not follow the store's origin: of another account that had the name before, or
    /// changed.
    other_first: Option<Kept>,
    /// The line with the head's number, if it has another link: the same.
    other_head: Option<Kept>,
    /// The line with the saved number, if it has another link: the same.
    other_saved: Option<Kept>,
    /// Line 1 of an account that is not in the store under this name: it may be renamed later.
    trusted_first: Option<Kept>,
    /// The id of its record, if the last checkpoint has the link of one of its lines.
    record: Option<String>,
}

/// Reads all events once and holds an account's chain each.
#[derive(Default)]
pub struct Verifier {
    heads: HashMap<Rc<str>, Head>,
    saved: Saved,
    chains: HashMap<Rc<str>, Chain>,
    findings: Vec<Finding>,
    /// Ids of records that proven lines of the host's chain say were made, each with the line's number.
    made: HashMap<String, u64>,
    /// Ids of records that such lines remove.
    removed: HashMap<String, u64>,
    /// The last links of records that the store does not have, and their ids.
    missing: HashMap<Link, String>,
    /// Lines that fit, of all.
    pub proven: u64,
    /// The first lines of accounts whose earlier ones are not in the log: taken on trust.
    pub first: u64,
    /// Lines that a process without root's rights wrote: not ours.
    pub forged: u64,
    /// When the log begins, in Unix seconds: its oldest time, or a later one.
    begins: Option<i64>,
    /// Other programs' lines say exactly when it begins.
    begins_exactly: bool,
    /// The store is that of a verifier: lines of root's are of the host's own.
    of_verifier: bool,
}

impl Verifier {
    /// `heads`: the ends of all chains in the store, read before the log; that of the host has no name.
    #[must_use]
    pub fn new<N: Into<Rc<str>>>(heads: impl IntoIterator<Item = (N, Head)>) -> Self {
        let heads: HashMap<Rc<str>, Head> =
            heads.into_iter().map(|(name, head)| (name.into(), head)).collect();
        // A table that grows is there twice for a moment.
        let chains = HashMap::with_capacity(heads.len());
        Self { heads, chains, ..Self::default() }
    }

    /// The name of an account, which all tables share.
    fn name(&self, user: &str) -> Rc<str> {
        self.heads.get_key_value(user).map_or_else(|| user.into(), |(name, _)| Rc::clone(name))
    }

    /// The store is that of the verifier on this host, not the host's own.
    #[must_use]
    pub fn of_verifier(self, of_verifier: bool) -> Self {
        Self { of_verifier, ..self }
    }

    /// Keeps the last line of each account in another copy of the log, or of `audit heads`, to compare with.
    /// Give a checkpoint's line of a record to [`save_head`](Self::save_head) or
    /// [`save_missing`](Self::save_missing) as well.
    pub fn save(&mut self, entry: &Entry) {
        self.saved.add(entry);
    }

    /// Keeps the last line of one account to compare with.
    pub fn save_head(&mut self, user: &str, head: &Event) {
        let name = self.name(user);
        self.saved.keep(&name, head);
    }

    /// Keeps how many lines an account had at a checkpoint before that which is compared with. The log goes
    /// back to it, so it should have all later lines.
    pub fn save_earlier(&mut self, user: &str, head: &Event) {
        if head.get("event") != Some("audit_head") {
            return; // the last line, with the hash over the others
        }
        let name = self.name(user);
        self.saved.keep_earlier(name, head.seq().unwrap_or_default());
    }

    /// Keeps the last line of a record that the store does not have, to know its account by.
    pub fn save_missing(&mut self, record: &str, head: &Event) {
        if let Some(link) = head.link {
            self.missing.insert(link, record.to_owned());
        }
    }

    /// Adds a finding that no line of a log shows.
    pub fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Whether the log is known to have begun by this time.
    #[must_use]
    pub fn has_begun(&self, time: UnixTime) -> bool {
        self.begins.is_some_and(|begins| begins <= time)
    }

    /// The log has other programs' lines of this time, in microseconds since 1970: it goes back so far, or,
    /// if that is not `exact`, further.
    pub fn goes_back_to(&mut self, time: i64, exact: bool) {
        self.not_later(time.div_euclid(1_000_000));
        self.begins_exactly |= exact;
    }

    /// Whether the store has lines, and nothing shows that the log goes back far enough to have one.
    #[must_use]
    pub fn proves_nothing(&self) -> bool {
        !self.begins_exactly && self.chains.is_empty() && self.heads.values().any(|head| head.seq > 0)
    }

    /// Learns from the store's last lines of the host's chain, oldest first, which records were made and
    /// removed. A line counts if it follows the one before it.
    pub fn prove_kept(&mut self, origin: Link, kept: impl IntoIterator<Item = Event>) {
        let mut before = Some(origin);
        for event in kept {
            if fits([before, None], &event).is_some() {
                self.note_record("", &event);
            }
            before = event.link;
        }
    }

    fn note_record(&mut self, user: &str, event: &Event) {
        let (true, Some(record), Some(seq)) = (user.is_empty(), event.get("record"), event.seq()) else {
            return;
        };
        match event.get("event") {
            // Also one whose removal was interrupted.
            Some("record_made") => {
                if self.removed.get(record).is_some_and(|removed| *removed < seq) {
                    self.removed.remove(record);
                }
                self.made.insert(record.to_owned(), seq);
            }
            Some("record_removed" | "record_gone")
                if self.made.get(record).is_none_or(|made| *made < seq) =>
            {
                self.removed.insert(record.to_owned(), seq);
            }
            _ => {}
        }
    }

    /// The records that proven lines of the host's chain say were made: lines behind number `since`, up to
    /// the head in the store.
    pub fn made(&self, since: u64) -> impl Iterator<Item = &str> {
        let until = self.heads.get("").map_or(0, |head| head.seq);
        let lines = self.made.iter().filter(move |(_, seq)| (since + 1..=until).contains(seq));
        lines.map(|(record, _)| record.as_str())
    }

    /// Whether a proven line of the host's chain removes this record.
    #[must_use]
    pub fn has_removed(&self, record: &str) -> bool {
        self.removed.contains_key(record)
    }

    /// The findings since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// How many accounts have lines.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.chains.iter().filter(|(user, chain)| !user.is_empty() && !chain.is_empty()).count()
    }

    /// The next line of the log.
    pub fn read(&mut self, entry: &Entry) {
        let of_this_store = match entry.writer {
            Writer::Verifier => self.of_verifier,
            Writer::Root | Writer::Setuid(_) | Writer::Ended(_) => !self.of_verifier,
            Writer::User(_) | Writer::Unknown => true,
        };
        if !of_this_store {
            return;
        }
        if let Writer::User(_) = entry.writer {
            // For doas, the journal may record the program that it runs next. The chain is more reliable.
            let chain = self.chains.get(entry.event.get("user").unwrap_or_default());
            let is_next = chain.is_some_and(|chain| {
                entry.event.seq() == Some(chain.seq + 1) && chain.fits(&entry.event).is_some()
                    || chain.follows_early(&entry.event)
            });
            if !is_next {
                self.forged += 1;
                return;
            }
        }
        self.not_later(entry.time / 1_000_000);
        let event = &entry.event;
        // A line of the host's chain has no user.
        let host = self.heads.contains_key("").then_some("");
        let (Some(user), Some(seq)) = (event.get("user").or(host), event.seq()) else {
            return self.read_unchained(event);
        };
        if event.has_extra_keys {
            Report { user, verifier: self }.add(seq, Fault::Changed, Some(event));
        }
        let Some(mut chain) = self.chain_of(user, seq, event) else { return };
        if let Some(record) = event.link.and_then(|link| self.missing.get(&link)) {
            chain.rare().record = Some(record.clone());
        }
        let mut report = Report { user, verifier: self };
        chain.read(seq, event, &mut report);
        let name = self.name(user);
        self.chains.insert(name, chain);
    }

    /// Reads a line without a place in a chain: a fault if it has a link or its kind is always chained.
    fn read_unchained(&mut self, event: &Event) {
        if event.link.is_some() || event.is_always_chained() {
            let user = event.get("user").unwrap_or("?");
            Report { user, verifier: self }.add(0, Fault::Unchained, Some(event));
        }
    }

    /// The log begins at this time or before. A host without a clock of its own begins in 1970; that tells
    /// nothing.
    fn not_later(&mut self, time: UnixTime) {
        if time >= EARLIEST_PLAUSIBLE {
            self.begins = Some(self.begins.map_or(time, |begins| begins.min(time)));
        }
    }

    /// The chain that a line belongs to: a renamed account keeps its own, a removed one that is made again
    /// begins another. `None`: the line tells of a rename and does not fit.
    fn chain_of(&mut self, user: &str, seq: u64, event: &Event) -> Option<Chain> {
        let origin = self.heads.get(user).map(|head| head.origin);
        if event.get("event") == Some("account_renamed")
            && !user.is_empty()
            && let Some(was) = event.get("was")
            && self.chains.get(user).is_none_or(|chain| chain.removed || chain.is_empty())
            && let Some(mut chain) = self.chains.remove(was)
        {
            if seq <= chain.seq || (seq == chain.seq + 1 && !chain.may_be_next(event)) {
                let was = self.name(was);
                self.chains.insert(was, chain);
                Report { user, verifier: self }.add(seq, Fault::Changed, Some(event));
                return None;
            }
            if let Some(replaced) = self.chains.remove(user) {
                self.end_removed(user, replaced);
            }
            let of_former = self.heads.get(was).map(|head| head.origin);
            let anew = Chain { before: [of_former, None], anew: true, ..Chain::default() };
            let former = self.name(was);
            self.chains.insert(former, anew);
            // Another line of that number may be of a later account.
            if self.saved.has_names_of_today() {
                chain.rare.iter_mut().for_each(|rare| rare.other_saved = None);
            } else if chain.rare.as_ref().is_none_or(|rare| rare.other_saved.is_none()) {
                let name = self.name(user);
                self.saved.rename(was, &name, chain.seq);
            }
            chain.rename(origin, &mut Report { user, verifier: self });
            return Some(chain);
        }
        let mut fresh = Chain { before: [origin, None], ..Chain::default() };
        match self.chains.remove(user) {
            Some(chain) if seq == 1 && chain.seq > 0 && !chain.begins_with(event) => {
                if chain.removed {
                    self.end_removed(user, chain);
                    return Some(fresh);
                }
                if fresh.fits(event).is_none() || chain.is_early(seq, event) {
                    return Some(chain);
                }
                let fault = if chain.has_fitted { Fault::NoAccount } else { Fault::Changed };
                Report { user, verifier: self }.add(chain.seq, fault, None);
                if let Some(rare) = chain.rare {
                    fresh.rare().early = rare.early;
                }
                Some(fresh)
            }
            Some(chain) => Some(chain),
            None => Some(fresh),
        }
    }

    /// Compares the end of an account's chain with the store. `kept`: the store's last lines; `now`: number
    /// and link of the last one, `None` if the account is gone since the heads were read. Read both after the
    /// log.
    pub fn end(&mut self, user: &str, kept: &[Event], now: Option<(u64, Link)>) {
        let Some(head) = self.heads.get(user).cloned() else { return };
        self.rename_as_kept(kept);
        let is_gone = now.is_none();
        let now = now.unwrap_or((head.seq, head.link));
        let chain = match self.chains.remove(user) {
            Some(chain) if chain.removed && !chain.is_kept(&head, kept) => {
                self.end_removed(user, chain);
                if is_gone {
                    return; // removed while the log was read
                }
                // The account was made again since: the log should have all of its lines.
                Some(Chain { before: [Some(head.origin), None], ..Chain::default() })
            }
            Some(chain) => Some(chain),
            None => self.unseen(user, &head, kept),
        };
        if let Some(mut chain) = chain {
            chain.end(kept, Some(&head), now, &mut Report { user, verifier: self });
        }
    }

    /// Follows renames whose lines only the store has: the log has the account's lines under its former name.
    fn rename_as_kept(&mut self, kept: &[Event]) {
        let is_rename = |event: &&Event| event.get("event") == Some("account_renamed");
        let mut renames: Vec<&Event> = kept.iter().filter(is_rename).collect();
        renames.sort_unstable_by_key(|event| event.seq());
        for event in renames {
            let (Some(user), Some(was), Some(seq)) = (event.get("user"), event.get("was"), event.seq())
            else {
                continue;
            };
            let is_lost = !self.chains.contains_key(user) && !self.heads.contains_key(was);
            let follows = self.chains.get(was).is_some_and(|chain| (1..seq).contains(&chain.seq));
            if is_lost
                && follows
                && let Some(chain) = self.chain_of(user, seq, event)
            {
                let user = self.name(user);
                self.chains.insert(user, chain);
            }
        }
    }

    /// The chain of an account without a line in the log. `None`: all of its lines are older than the log.
    fn unseen(&mut self, user: &str, head: &Head, kept: &[Event]) -> Option<Chain> {
        let newest = kept.iter().filter_map(|event| event.number("at")).max();
        let is_older = newest.is_none_or(|at| self.begins.is_none_or(|begins| at < begins));
        let origin = Chain { before: [Some(head.origin), None], ..Chain::default() };
        match self.saved.of(user) {
            Known::Line(seq, link) if seq <= head.seq => {
                if seq == head.seq && link != head.link {
                    Report { user, verifier: self }.add(seq, Fault::AgainstSaved, None);
                }
                self.saved.met(user);
                match self.saved.earlier(user).filter(|earlier| *earlier < seq) {
                    Some(seq) => Some(Chain { seq, ..Chain::default() }),
                    None => Some(Chain { seq, before: [Some(link), None], ..Chain::default() }),
                }
            }
            Known::NoLine => Some(origin),
            Known::Line(..) => Some(Chain { seq: head.seq, ..Chain::default() }),
            _ if head.seq == 0 || is_older => None,
            _ => {
                let oldest = kept.iter().filter_map(Event::seq).filter(|seq| *seq <= head.seq).min();
                let seq = oldest.unwrap_or(1).saturating_sub(1);
                Some(if seq == 0 { origin } else { Chain { seq, ..Chain::default() } })
            }
        }
    }

    /// Whether the host's chain says that this chain's record was removed. One that could not be read has no
    /// last line of its own.
    fn removes(&self, chain: &Chain) -> bool {
        let id = |record: &String| Some(RecordId(base32_decode(record).ok()?.as_slice().try_into().ok()?));
        let Some(rare) = &chain.rare else { return false };
        let first = rare.trusted_first.as_ref().and_then(Kept::event);
        let is_first =
            |id| first.as_ref().is_some_and(|first| fits([Some(chain_origin(id)), None], first).is_some());
        rare.record.as_ref().is_some_and(|record| self.removed.contains_key(record))
            || self.removed.keys().filter_map(id).any(is_first)
    }

    fn end_removed(&mut self, user: &str, mut chain: Chain) {
        chain.end(&[], None, (0, Link::default()), &mut Report { user, verifier: self });
    }

    /// Ends the chains of accounts that the store does not have.
    pub fn end_others(&mut self) {
        let mut names: Vec<Rc<str>> = self.chains.keys().cloned().collect();
        names.sort();
        for user in names {
            let Some(mut chain) = self.chains.remove(&user) else { continue };
            chain.removed |= self.removes(&chain);
            let mut report = Report { user: &user, verifier: self };
            chain.end(&[], None, (0, Link::default()), &mut report);
            if !chain.removed && !chain.is_empty() {
                report.add(chain.seq, Fault::NoAccount, None);
            }
        }
        for (user, seq) in self.saved.left() {
            Report { user: &user, verifier: self }.add(seq, Fault::SavedIsGone, None);
        }
    }
}

/// Where findings about one account go.
struct Report<'v> {
    user: &'v str,
    verifier: &'v mut Verifier,
}

fn fits(before: Before, event: &Event) -> Option<Link> {
    let shown = event.link?;
    let covered = event.covered().as_bytes();
    before.into_iter().flatten().any(|before| link(before, covered) == shown).then_some(shown)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "verify_attacks.rs"]
mod attacks;
