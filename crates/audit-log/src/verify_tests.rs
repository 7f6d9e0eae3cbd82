//! Six kinds of tampering at many places: each is found, and nothing is found in lines that nobody touched.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::event::from_syslog;
use qrtotp_account::{Chain as Writer, RecordId};
use std::collections::BTreeSet;

pub const START: i64 = 1_795_878_245;
pub const USERS: [&str; 5] = ["alice", "bob", "zoë", "svc-backup", "anna.maria"];

/// A generator of numbers that needs no crate: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

pub fn entry(line: &str) -> Entry {
    from_syslog(&format!("Nov 29 10:00:00 h su[1]: pam_qrtotp(su:auth): {line}")).unwrap()
}

/// Accounts, and a log of so many lines of theirs, at least ten seconds apart.
pub struct World {
    chains: Vec<Writer>,
    pub lines: Vec<String>,
    random: Random,
}

impl World {
    pub fn new(lines: usize) -> Self {
        let record = |n: usize| RecordId([u8::try_from(n).unwrap(); 16]);
        let chains = (0..USERS.len()).map(|n| Writer::new(record(n))).collect();
        let mut world = Self { chains, lines: Vec::new(), random: Random(0x9e37_79b9_7f4a_7c15) };
        for n in 0..lines {
            let line = world.next(START + 10 * i64::try_from(n).unwrap());
            world.lines.push(line);
        }
        world
    }

    fn next(&mut self, at: i64) -> String {
        let user = self.random.below(USERS.len());
        let (result, reason) = [("denied", "wrong_code"), ("accepted", "code")][self.random.below(2)];
        let (host, user_name) = (self.random.below(255), USERS[user]);
        let mut line = format!(
            "event=login result={result} reason={reason} user={user_name} service=su rhost=192.0.2.{host} label=\"q \\\"🔑\\\"\""
        );
        self.chains[user].add(&mut line, 0, at);
        line
    }

    pub fn heads(&self) -> HashMap<String, Head> {
        let head = |(n, chain): (usize, &Writer)| {
            let origin = Writer::new(RecordId([u8::try_from(n).unwrap(); 16])).head();
            (USERS[n].to_owned(), Head { seq: chain.number(), link: chain.head(), origin })
        };
        self.chains.iter().enumerate().map(head).collect()
    }

    pub fn verify(&self, lines: &[String], kept: &[Event]) -> (Verifier, Vec<Finding>) {
        let entries: Vec<Entry> = lines.iter().map(|line| entry(line)).collect();
        self.verify_entries(&entries, kept)
    }

    fn verify_entries(&self, entries: &[Entry], kept: &[Event]) -> (Verifier, Vec<Finding>) {
        let mut verifier = Verifier::new(self.heads());
        entries.iter().for_each(|entry| verifier.read(entry));
        for user in USERS {
            let kept: Vec<Event> =
                kept.iter().filter(|event| event.get("user") == Some(user)).cloned().collect();
            verifier.end(user, &kept, None);
        }
        verifier.end_others();
        let findings = verifier.take_findings();
        (verifier, findings)
    }
}

#[test]
fn nothing_is_found_in_lines_that_nobody_touched() {
    let world = World::new(20_000);
    let (verifier, findings) = world.verify(&world.lines, &[]);
    assert_eq!((findings, verifier.proven, verifier.first), (vec![], 20_000, 0));
    // Rotated: the first lines are gone.
    let (verifier, findings) = world.verify(&world.lines[7_000..], &[]);
    assert_eq!((findings, verifier.proven + verifier.first), (vec![], 13_000));
}

/// Accounts and numbers of lines.
type Places = BTreeSet<(String, u64)>;

fn place(entry: &Entry) -> (String, u64) {
    (entry.event.get("user").unwrap().to_owned(), entry.event.seq().unwrap())
}

/// What these findings name.
fn named(findings: &[Finding]) -> Places {
    let range = |finding: &Finding| match finding.fault {
        Fault::Missing(until) => finding.seq..=until,
        _ => finding.seq..=finding.seq,
    };
    findings.iter().flat_map(|f| range(f).map(|seq| (f.user.clone(), seq))).collect()
}

fn altered(real: &Entry, from: &str, to: &str) -> Entry {
    entry(&real.event.line.replace(from, to))
}

/// Tampers with the line at `at`, and says which lines must be named. `None`: the kind of tampering needs
/// another line, or nothing but a checkpoint shows it.
fn tamper(kind: &str, log: &mut Vec<Entry>, at: usize, random: &mut Random) -> Option<Places> {
    let real = log[at].clone();
    let mut named = Places::from([place(&real)]);
    match kind {
        "change" if real.event.line.contains("denied") => log[at] = altered(&real, "denied", "accepted"),
        "change" => log[at] = altered(&real, "192.0.2.", "192.0.3."),
        // The lines before an account's first one in the log may be rotated away.
        "remove" if real.event.seq() == Some(1) => return None,
        "remove" => drop(log.remove(at)),
        "insert" => {
            let other = altered(&log[random.below(log.len())], "rhost=192", "rhost=10");
            named = Places::from([place(&other)]);
            log.insert(at, other);
        }
        "move" => {
            let nth = random.below(3);
            let user = real.event.get("user");
            let other = (at + 1..log.len()).filter(|n| log[*n].event.get("user") == user).nth(nth)?;
            if real.event.seq() == Some(1) {
                // The log then begins with a later line, as if it were rotated: the account is named.
                named = (2..=nth as u64 + 2).map(|seq| (user.unwrap().to_owned(), seq)).collect();
            }
            log.swap(at, other);
        }
        "cut" => {
            named = log.split_off(at).iter().map(place).collect();
            let left = |user: &&str| log.iter().any(|entry| entry.event.get("user") == Some(user));
            USERS.iter().all(left).then_some(())?;
        }
        _ => log.insert(random.below(log.len()), real),
    }
    Some(named)
}

#[test]
fn each_kind_of_tampering_is_found_at_200_places_and_names_account_and_number() {
    let mut world = World::new(240);
    let log: Vec<Entry> = world.lines.iter().map(|line| entry(line)).collect();
    let last = |user: &str| lines_of(&world, user).into_iter().rev().take(8);
    let kept: Vec<Event> = USERS.iter().flat_map(|user| last(user)).collect();
    for kind in ["change", "remove", "insert", "move", "cut", "repeat"] {
        let mut places = 0;
        for at in 0..log.len() {
            let mut tampered = log.clone();
            let Some(expected) = tamper(kind, &mut tampered, at, &mut world.random) else { continue };
            places += 1;
            for kept in [&[], &*kept] {
                let (_, findings) = world.verify_entries(&tampered, kept);
                let of_kept = kept.iter().map(|event| Fault::Lost(event.chained().to_owned()));
                let of_kept: Vec<Fault> = of_kept.collect();
                let mut named = named(&findings);
                if kind == "repeat" {
                    // If the copy stands just before an older line, that one may be the moved one.
                    named.retain(|(user, seq)| !expected.contains(&(user.clone(), seq + 1)));
                }
                assert_eq!(named, expected, "{kind} at {at}: {findings:?}");
                // A loss is only what the store has.
                let is_known =
                    |finding: &Finding| !finding.fault.is_loss() || of_kept.contains(&finding.fault);
                assert!(findings.iter().all(is_known), "{kind} at {at}: {findings:?}");
            }
        }
        assert!(places >= 200, "{kind}: {places}");
    }
}

#[test]
fn of_a_line_that_was_moved_far_only_that_line_is_named_whichever_way_it_went() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let position = |n: usize| world.lines.iter().position(|line| *line == alice[n].line).unwrap();
    for (from, to) in [(10, 3), (3, 10), (40, 1), (1, 40)] {
        let mut lines = world.lines.clone();
        let line = lines.remove(position(from));
        lines.insert(position(to), line);
        let (_, findings) = world.verify(&lines, &[]);
        assert!(matches!(&findings[..], [one] if one.fault == Fault::Moved), "{from} {to}: {findings:?}");
        assert_eq!(named(&findings), [("alice".to_owned(), from as u64 + 1)].into(), "{from} {to}");
    }
}

#[test]
fn a_change_is_named_by_account_and_number_and_nothing_else_is() {
    let world = World::new(500);
    for at in (0..500).step_by(7) {
        let mut lines = world.lines.clone();
        lines[at] = lines[at].replace("192.0.2.", "192.0.3.");
        let changed = Event::parse(&lines[at]).unwrap();
        let (_, findings) = world.verify(&lines, &[]);
        let found: Vec<_> = findings.iter().map(|f| (f.user.as_str(), f.seq, f.fault.clone())).collect();
        assert_eq!(found, [(changed.get("user").unwrap(), changed.seq().unwrap(), Fault::Changed)], "{at}");
    }
}

#[test]
fn a_lost_line_is_told_from_a_removed_one_if_the_store_has_it_word_for_word() {
    let world = World::new(300);
    for at in (250..300).step_by(3) {
        let mut lines = world.lines.clone();
        let lost = Event::parse(&lines.remove(at)).unwrap();
        let (_, findings) = world.verify(&lines, std::slice::from_ref(&lost));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].fault, Fault::Lost(lost.chained().to_owned()));
        // Logged again by `audit repair`, it is there.
        lines.push(format!("{} detail=\"recovered by qrtotp audit repair\"", lost.chained()));
        assert_eq!(world.verify(&lines, &[]).1, []);
    }
}

#[test]
fn a_repaired_line_from_before_the_first_one_in_the_log_is_no_finding_whenever_the_log_began() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let of = |events: &[Event]| events.iter().map(|event| event.line.clone()).collect::<Vec<_>>();
    let repaired = |event: &Event| format!("{} detail=\"recovered by qrtotp audit repair\"", event.line);
    let (lost, after) = (&alice[4..6], &alice[6..]);
    let logged: Vec<String> = lost.iter().map(repaired).collect();
    let kept = [&alice[3..], &alice[4..], &alice[5..], after, &[]];
    for at in [0, 1, 3, after.len()] {
        let mut lines = of(after);
        lines.splice(at..at, logged.clone());
        for kept in kept {
            let (verifier, findings) = world.verify(&lines, kept);
            assert_eq!(findings, [], "{at}: {}", kept.len());
            let trusted = u64::from(kept.len() < alice.len() - 4);
            assert_eq!(
                (verifier.proven + verifier.first, verifier.first),
                (lines.len() as u64, trusted),
                "{at}"
            );
        }
        // Rotated away since: the lines between the repaired ones and the first one.
        let rest = [&logged[..], &of(&alice[9..])].concat();
        assert_eq!(world.verify(&rest, &alice[9..]).1, []);
        let changed: Vec<String> =
            lines.iter().map(|line| line.replacen("192.0.2.", "192.0.3.", 1)).collect();
        for place in 0..lines.len() {
            let mut lines = lines.clone();
            lines[place].clone_from(&changed[place]);
            let (_, findings) = world.verify(&lines, &alice[3..]);
            assert!(
                findings.iter().any(|finding| finding.fault == Fault::Changed),
                "{at} {place}: {findings:?}"
            );
        }
        let twice = [&lines[..], &logged[..1]].concat();
        assert!(matches!(&world.verify(&twice, kept[0]).1[..], [one] if one.fault == Fault::Repeated));
    }
}

/// The line as `audit repair` would log it again.
fn as_repaired(line: &str) -> String {
    format!("{line} detail=\"recovered by qrtotp audit repair\"")
}

#[test]
fn the_mark_of_a_repaired_line_hides_no_change_no_removal_and_no_invented_line() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let kept = &alice[alice.len() - 8..];
    let place = |n: usize| world.lines.iter().position(|line| *line == alice[n].line).unwrap();
    let of_alice = |findings: &[Finding], fault: &Fault| {
        findings.iter().any(|finding| finding.user == "alice" && finding.fault == *fault)
    };
    let mut changed = world.lines.clone();
    changed[place(0)] = as_repaired(&changed[place(0)].replace("192.0.2.", "203.0.113."));
    let findings = world.verify(&changed, kept).1;
    assert!(of_alice(&findings, &Fault::Changed), "line 1 was changed: {findings:?}");

    let mut marked = world.lines.clone();
    (0..4).for_each(|n| marked[place(n)] = as_repaired(&alice[n].line));
    assert_eq!(world.verify(&marked, kept).1, []);
    let removed: Vec<usize> = (4..20).map(place).collect();
    let left = marked.iter().enumerate().filter(|(n, _)| !removed.contains(n));
    let left: Vec<String> = left.map(|(_, line)| line.clone()).collect();
    let findings = world.verify(&left, kept).1;
    assert!(of_alice(&findings, &Fault::Missing(20)), "lines 5 to 20 were removed: {findings:?}");

    let mut invented = "event=login result=accepted reason=code user=alice service=sshd".to_owned();
    let mut chain = Writer::new(RecordId([9; 16]));
    chain.add(&mut invented, 0, START);
    invented.clear();
    invented.push_str("event=login result=accepted reason=code user=alice service=sshd");
    chain.add(&mut invented, 0, START + 2_990);
    let mut rotated = world.lines[150..].to_vec();
    rotated.push(as_repaired(&invented));
    let findings = world.verify(&rotated, kept).1;
    assert!(findings.iter().any(|finding| finding.user == "alice"), "a line was invented: {findings:?}");
}

#[test]
fn repaired_first_lines_and_many_repaired_ones_are_no_finding() {
    let world = World::new(1000);
    let alice = lines_of(&world, "alice");
    let others = |line: &&String| !alice.iter().any(|event| event.line == **line);
    let others: Vec<String> = world.lines.iter().filter(others).cloned().collect();
    let text = |events: &[Event]| events.iter().map(|event| event.line.clone()).collect::<Vec<_>>();
    let repaired = |events: &[Event]| events.iter().map(|event| as_repaired(&event.line)).collect::<Vec<_>>();
    for (n, is_late) in [(1, true), (2, true), (3, true), (64, false), (65, false), (100, false)] {
        let (lost, rest) = (repaired(&alice[..n]), text(&alice[n..]));
        let of_alice = if is_late { [rest, lost].concat() } else { [lost, rest].concat() };
        let findings = world.verify(&[others.clone(), of_alice].concat(), &[]).1;
        assert_eq!(findings, [], "{n} {is_late}");
    }
}

#[test]
fn two_lines_at_once_may_stand_in_either_order_also_where_the_log_begins() {
    for (later, is_found) in [(0, false), (4, false), (60, true)] {
        let mut world = World::new(0);
        let mut lines: Vec<String> = Vec::new();
        for at in [0, 10, 20, 20 + later, 300, 310] {
            let mut line = "event=login result=accepted reason=code user=alice service=su".to_owned();
            world.chains[0].add(&mut line, 0, START + at);
            lines.push(line);
        }
        lines[2..].swap(0, 1);
        let (_, findings) = world.verify(&lines[2..], &[]);
        assert_eq!(!findings.is_empty(), is_found, "{later}: {findings:?}");
    }
}

#[test]
fn look_alikes_do_not_hide_what_is_there() {
    let mut world = World::new(200);
    for at in [0, 50, 199] {
        let mut lines = world.lines.clone();
        for seq in [1_u64, 3, 40, u64::MAX] {
            let forged = format!(
                "event=login result=accepted reason=code user=alice service=su seq={seq} at={} chain={}",
                START + 10 * i64::try_from(at).unwrap(),
                "0".repeat(40)
            );
            lines.insert(at, forged);
        }
        let (verifier, findings) = world.verify(&lines, &[]);
        assert!(verifier.proven + verifier.first >= 195, "{at}: {} {}", verifier.proven, verifier.first);
        assert!(findings.len() >= 3, "{at}: {findings:?}");
    }
    let line = world.next(START + 5000);
    let mut forged = entry(&line.replace("su", "sx"));
    forged.writer = crate::Writer::User(1000);
    let mut verifier = Verifier::new(world.heads());
    verifier.read(&forged);
    assert_eq!((verifier.forged, verifier.take_findings()), (1, vec![]));
}

#[test]
fn a_verifiers_lines_and_those_of_the_host_are_of_two_stores() {
    let world = World::new(200);
    for (writer, of_verifier, proven) in [
        (crate::Writer::Verifier, true, 200),
        (crate::Writer::Verifier, false, 0),
        (crate::Writer::Root, true, 0),
        (crate::Writer::Root, false, 200),
    ] {
        let mut verifier = Verifier::new(world.heads()).of_verifier(of_verifier);
        world.lines.iter().for_each(|line| verifier.read(&Entry { writer, ..entry(line) }));
        assert_eq!((verifier.proven, verifier.forged), (proven, 0), "{writer:?} {of_verifier}");
        assert_eq!(verifier.take_findings(), []);
    }
}

#[test]
fn two_logins_at_the_same_time_may_log_in_the_other_order() {
    let mut world = World::new(0);
    let mut lines: Vec<String> = (0..100).map(|n| world.next(START + n / 10)).collect();
    for pair in lines.chunks_exact_mut(3) {
        pair.swap(0, 2);
    }
    let (verifier, findings) = world.verify(&lines, &[]);
    assert_eq!((findings, verifier.proven), (vec![], 100));
}

#[test]
fn an_old_store_a_foreign_chain_and_a_removed_account_are_found() {
    let mut world = World::new(100);
    let lines = world.lines.clone();
    let old = World::new(60);
    let (_, findings) = old.verify(&lines, &[]);
    assert!(findings.iter().any(|finding| matches!(finding.fault, Fault::StoreIsOlder(_))), "{findings:?}");
    world.chains[0] = Writer::new(RecordId([9; 16]));
    assert!(!world.verify(&lines, &[]).1.is_empty());
    let mut verifier = Verifier::default();
    lines.iter().for_each(|line| verifier.read(&entry(line)));
    verifier.end_others();
    let findings = verifier.take_findings();
    assert!(
        findings.len() == USERS.len() && findings.iter().all(|f| f.fault == Fault::NoAccount),
        "{findings:?}"
    );
}

#[test]
fn a_renamed_account_goes_on_and_one_that_was_removed_and_made_again_begins_anew() {
    let mut chain = Writer::new(RecordId([0; 16]));
    let add = |chain: &mut Writer, text: &str, at| {
        let mut line = text.to_owned();
        chain.add(&mut line, 0, START + at);
        entry(&line)
    };
    let mut again = Writer::new(RecordId([1; 16]));
    let entries = [
        add(&mut chain, "event=login user=alice", 0),
        add(&mut chain, "event=account_renamed user=bob was=alice", 10),
        add(&mut chain, "event=account_removed user=bob", 20),
        add(&mut again, "event=login user=bob", 30),
    ];
    let origin = Writer::new(RecordId([1; 16])).head();
    let head = Head { seq: 1, link: again.head(), origin };
    let mut verifier = Verifier::new([("bob".to_owned(), head)]);
    entries.iter().for_each(|entry| verifier.read(entry));
    verifier.end("bob", &[], None);
    verifier.end_others();
    assert_eq!((verifier.take_findings(), verifier.proven, verifier.first), (vec![], 3, 1));
}

#[test]
fn a_rename_whose_line_is_lost_is_told_from_an_account_that_is_gone() {
    let mut chain = Writer::new(RecordId([1; 16]));
    let origin = chain.head();
    let texts = ["login user=anna", "account_renamed user=bob was=anna", "account_renamed user=cleo was=bob"];
    let entries = texts.map(|text| {
        let mut line = format!("event={text}");
        chain.add(&mut line, 0, START);
        entry(&line)
    });
    let kept: Vec<Event> = entries.iter().map(|entry| entry.event.clone()).collect();
    for logged in 1..=3 {
        let head = Head { seq: 3, link: chain.head(), origin };
        let mut verifier = Verifier::new([("cleo".to_owned(), head)]);
        entries[..logged].iter().for_each(|entry| verifier.read(entry));
        verifier.end("cleo", &kept, None);
        verifier.end_others();
        let lost = (logged + 1..=3).map(|seq| ("cleo".to_owned(), seq as u64));
        let found = verifier.take_findings();
        assert!(found.iter().all(|finding| finding.fault.is_loss()), "{found:?}");
        let found = found.into_iter().map(|finding| (finding.user, finding.seq));
        assert_eq!(found.collect::<Vec<_>>(), lost.collect::<Vec<_>>());
    }
}

#[test]
fn an_account_whose_removal_was_interrupted_goes_on() {
    let mut chain = Writer::new(RecordId([1; 16]));
    let origin = chain.head();
    let (mut entries, mut heads) = (Vec::new(), Vec::new());
    for text in ["login", "account_removed", "login"] {
        let mut line = format!("event={text} user=bob");
        chain.add(&mut line, 0, START);
        entries.push(entry(&line));
        heads.push(Head { seq: entries.len() as u64, link: chain.head(), origin });
    }
    let found = |lines: usize, head: usize, kept: &[usize]| {
        let mut verifier = Verifier::new([("bob".to_owned(), heads[head - 1].clone())]);
        entries[..lines].iter().for_each(|entry| verifier.read(entry));
        let kept: Vec<Event> = kept.iter().map(|n| entries[n - 1].event.clone()).collect();
        verifier.end("bob", &kept, None);
        verifier.end_others();
        verifier.take_findings().iter().map(|finding| finding.seq).collect::<Vec<_>>()
    };
    assert_eq!(found(2, 2, &[1, 2]), [0; 0], "its removal was logged, and the account is there");
    assert_eq!(found(3, 3, &[2, 3]), [0; 0], "it was used since");
    assert_eq!(found(2, 3, &[2, 3]), [3], "of which the line is lost");
    assert_eq!(found(1, 2, &[1, 2]), [2], "the line of the removal is lost");
}

#[test]
fn another_copy_of_the_log_shows_that_a_chain_was_computed_anew() {
    let world = World::new(50);
    let (mut forger, mut lines) = (World::new(0), Vec::new());
    forger.random = Random(77);
    for n in 0..50 {
        lines.push(forger.next(START + 10 * n));
    }
    assert_eq!(forger.verify(&lines, &[]).1, [], "root can compute a whole chain");
    let mut verifier = Verifier::new(forger.heads());
    world.lines.iter().for_each(|line| verifier.save(&entry(line)));
    lines.iter().for_each(|line| verifier.read(&entry(line)));
    USERS.iter().for_each(|user| verifier.end(user, &[], None));
    assert!(verifier.take_findings().iter().any(|finding| finding.fault == Fault::AgainstSaved));
}

/// In release: `cargo test --release -p qrtotp-audit-log`.
#[test]
#[cfg_attr(debug_assertions, ignore = "takes long without optimisation")]
fn a_million_untouched_lines_and_the_ends_of_their_chains_have_no_finding() {
    const LINES: usize = 1_000_000;
    let at = |n: usize| START + i64::try_from(n).unwrap();
    let mut world = World::new(0);
    (0..LINES).for_each(|n| drop(world.next(at(n))));
    let (mut again, mut verifier) = (World::new(0), Verifier::new(world.heads()));
    let mut last: HashMap<String, Vec<Event>> = HashMap::new();
    for n in 0..LINES {
        let entry = entry(&again.next(at(n)));
        verifier.read(&entry);
        if n >= LINES - 500 {
            last.entry(entry.event.get("user").unwrap().to_owned()).or_default().push(entry.event);
        }
    }
    for (user, lines) in last {
        verifier.end(&user, &lines[lines.len() - 8..], None);
    }
    verifier.end_others();
    assert_eq!((verifier.take_findings(), verifier.proven, verifier.first), (vec![], LINES as u64, 0));
}

pub fn user_of(line: &str) -> String {
    Event::parse(line).unwrap().get("user").unwrap().to_owned()
}

/// A line that fits behind `before`. Anyone who can read the log can compute it.
pub fn forged(before: Link, text: &str, seq: u64, at: i64) -> (String, Link) {
    let covered = format!("{text} seq={seq} at={at}");
    let link = link(before, covered.as_bytes());
    let hex = String::from_utf8(qrtotp_account::link_hex(link).to_vec()).unwrap();
    (format!("{covered} chain={hex}"), link)
}

pub fn lines_of(world: &World, user: &str) -> Vec<Event> {
    let events = world.lines.iter().map(|line| Event::parse(line).unwrap());
    events.filter(|event| event.get("user") == Some(user)).collect()
}

#[test]
fn a_line_that_fits_behind_the_head_is_found_whatever_its_time_and_one_that_the_store_has_by_now_is_not() {
    let world = World::new(500);
    let alice = lines_of(&world, "alice");
    let last = alice.last().unwrap();
    let text = "event=login result=accepted reason=code user=alice service=sshd";
    let (seq, mut lines) = (last.seq().unwrap() + 1, world.lines.clone());
    let (line, link) = forged(last.link.unwrap(), text, seq, 9_999_999_999);
    lines.push(line.clone());
    let (_, findings) = world.verify(&lines, &[]);
    assert!(matches!(findings[..], [Finding { fault: Fault::StoreIsOlder(_), .. }]), "{findings:?}");
    let (next, behind) = forged(link, text, seq + 1, START + 9000);
    let next = Event::parse(&next).unwrap();
    for (now, kept, found) in [
        ((seq, link), &[][..], 0),
        ((seq, [7; 20]), &[], 1),
        ((seq + 1, behind), std::slice::from_ref(&next), 0),
        ((seq + 1, behind), std::slice::from_ref(last), 0),
    ] {
        let mut verifier = Verifier::new(world.heads());
        lines.iter().for_each(|line| verifier.read(&entry(line)));
        verifier.end("alice", kept, Some(now));
        assert_eq!(verifier.take_findings().len(), found, "{now:?}");
    }
}

#[test]
fn a_line_with_a_later_time_at_the_beginning_hides_no_account() {
    let world = World::new(500);
    let alice = lines_of(&world, "alice");
    let kept = &alice[alice.len() - 8..];
    let mut lines = world.lines.clone();
    lines.retain(|line| user_of(line) != "alice");
    assert!(!world.verify(&lines, kept).1.is_empty());
    for user in ["x", "bob"] {
        let text = format!("event=login result=denied reason=throttled user={user} seq=7 at=9999999999");
        lines.insert(0, format!("{text} chain={}", "ab".repeat(20)));
        let (_, findings) = world.verify(&lines, kept);
        assert!(findings.iter().any(|finding| finding.user == "alice"), "{findings:?}");
    }
}

#[test]
fn a_line_that_should_have_a_number_and_a_hash_and_has_not_is_found() {
    let world = World::new(100);
    let chain = format!("at={START} chain={}", "ab".repeat(20));
    let text = "event=login result=accepted reason=code";
    for added in [
        format!("{text} user=alice service=sshd with=unknown"),
        format!("{text} user=alice service=sshd seq=0 {chain}"),
        format!("{text} user=alice service=sshd seq={} {chain}", u64::MAX),
        format!("{text} service=sshd seq=9 {chain}"),
        "event=token_issued reason=with_code user=alice service=qrtotp token=t-9QX0AB".to_owned(),
    ] {
        let mut lines = world.lines.clone();
        lines.insert(50, added.clone());
        let (_, findings) = world.verify(&lines, &[]);
        assert!(matches!(findings[..], [Finding { fault: Fault::Unchained, .. }]), "{added}: {findings:?}");
    }
    let mut lines = world.lines.clone();
    lines.insert(50, "event=login result=denied reason=throttled user=alice service=sshd wait=7".into());
    assert_eq!(world.verify(&lines, &[]).1, []);
}

#[test]
fn a_rename_and_a_removal_that_nobody_made_cut_nothing_out() {
    let world = World::new(500);
    let alice = lines_of(&world, "alice");
    let (before, text) = (&alice[39], "service=qrtotp by=root");
    let at = before.number("at").unwrap();
    let renamed = format!("event=account_renamed user=zed {text} was=alice");
    let (renamed, link) = forged(before.link.unwrap(), &renamed, 41, at + 1);
    let (removed, _) = forged(link, &format!("event=account_removed user=zed {text}"), 42, at + 2);
    for last in [60, u64::MAX] {
        let mut lines = Vec::new();
        for line in &world.lines {
            let seq = Event::parse(line).unwrap().seq().unwrap();
            if user_of(line) != "alice" || !(41..=last).contains(&seq) {
                lines.push(line.clone());
            }
            if *line == before.line {
                lines.extend([renamed.clone(), removed.clone()]);
            }
        }
        let (_, findings) = world.verify(&lines, &[]);
        assert!(findings.iter().any(|finding| finding.user == "alice"), "{last}: {findings:?}");
    }
    // One that does not fit takes nothing along.
    let mut lines = world.lines.clone();
    lines.insert(250, renamed.replace("user=zed", "user=bob").replace("seq=41", "seq=999"));
    lines.insert(250, renamed.replace("service=qrtotp", "service=su"));
    let (verifier, findings) = world.verify(&lines, &[]);
    assert!(!findings.is_empty() && verifier.proven >= 499, "{findings:?} {}", verifier.proven);
}

#[test]
fn a_name_that_another_account_had_before_is_no_finding() {
    let record = |n: u8| Writer::new(RecordId([n; 16]));
    let add = |chain: &mut Writer, text: &str, at| {
        let mut line = text.to_owned();
        chain.add(&mut line, 0, START + at);
        entry(&line)
    };
    let login = "event=login result=accepted reason=code user=anna";
    for case in ["made again", "longer than the one after it", "renamed onto it", "renamed, then made again"]
    {
        let (mut first, mut second) = (record(1), record(2));
        let mut lines: Vec<Entry> = (0..7).map(|n| add(&mut first, login, n)).collect();
        match case {
            "renamed, then made again" => {
                lines.push(add(&mut first, "event=account_renamed user=zed was=anna", 10));
                lines.push(add(&mut first, "event=account_removed user=zed", 11));
            }
            _ => lines.push(add(&mut first, "event=account_removed user=anna", 10)),
        }
        if case == "renamed onto it" {
            lines.extend((0..3).map(|n| add(&mut second, &login.replace("anna", "ann"), 20 + 10 * n)));
            lines.push(add(&mut second, "event=account_renamed user=anna was=ann", 60));
        }
        let more = if case == "made again" { 9 } else { 2 };
        lines.extend((0..more).map(|n| add(&mut second, login, 100 + 10 * n)));
        let head = Head { seq: second.number(), link: second.head(), origin: record(2).head() };
        let mut verifier = Verifier::new([("anna".to_owned(), head)]);
        lines.iter().for_each(|line| verifier.read(line));
        verifier.end("anna", &[], None);
        verifier.end_others();
        assert_eq!(verifier.take_findings(), [], "{case}");
    }
}

#[test]
fn a_history_that_was_written_anew_is_no_loss_even_if_its_last_line_is_left_out() {
    let world = World::new(500);
    let alice = lines_of(&world, "alice");
    let kept = &alice[alice.len() - 8..];
    for left_out in 1..4 {
        let (mut before, mut lines) = (world.heads()["alice"].origin, Vec::new());
        for line in &world.lines {
            let event = Event::parse(line).unwrap();
            let seq = event.seq().unwrap();
            if user_of(line) != "alice" {
                lines.push(line.clone());
            } else if seq <= (alice.len() - left_out) as u64 {
                let text = event.covered().split(" seq=").next().unwrap().replace("accepted", "denied");
                let (line, link) = forged(before, &text, seq, event.number("at").unwrap());
                before = link;
                lines.push(line);
            }
        }
        let (_, findings) = world.verify(&lines, kept);
        assert!(matches!(findings[..], [Finding { fault: Fault::OtherHead, .. }]), "{findings:?}");
    }
}

#[test]
fn keys_behind_the_hash_are_found() {
    let world = World::new(100);
    for added in ["result=denied", "user=mallory rhost=203.0.113.9", "detail=x detail=y"] {
        let mut lines = world.lines.clone();
        lines[50].push_str(&format!(" {added}"));
        let (_, findings) = world.verify(&lines, &[]);
        assert!(matches!(findings[..], [Finding { fault: Fault::Changed, .. }]), "{added}: {findings:?}");
        lines[50] = format!("{} audience=dovecot detail=x", world.lines[50]);
        assert_eq!(world.verify(&lines, &[]).1, []);
    }
}

#[test]
fn a_clock_that_was_set_back_is_noted_and_is_no_fault_and_ten_seconds_are_nothing() {
    let mut verifier = Verifier::default();
    let mut chain = Writer::new(RecordId([7; 16]));
    for at in [1_795_946_400, 1_795_946_390, 1_795_946_500, 1_795_942_900, 1_795_942_901] {
        let mut line = "event=login result=accepted reason=code user=alice service=sshd".to_owned();
        chain.add(&mut line, 0, at);
        verifier.read(&entry(&line));
    }
    let found = verifier.take_findings();
    let [found] = &found[..] else { unreachable!("{found:?}") };
    assert_eq!((found.seq, &found.fault), (4, &Fault::ClockSetBack(3600)));
    assert!(found.fault.is_note() && !found.fault.is_loss());
    assert_eq!(verifier.proven, 4, "and it is proven as ever");
}

#[test]
fn a_log_s_first_line_is_proven_if_the_store_has_it_and_the_one_before_and_found_if_it_was_changed() {
    let world = World::new(60);
    let kept: Vec<Event> = world.lines.iter().filter_map(|line| Event::parse(line)).collect();
    let (verifier, findings) = world.verify(&world.lines[30..], &kept);
    assert_eq!((findings, verifier.proven, verifier.first), (vec![], 30, 0));
    let mut changed = world.lines[30..].to_vec();
    changed[0] = changed[0].replace("rhost=192", "rhost=193");
    let (verifier, findings) = world.verify(&changed, &kept);
    let faults: Vec<&Fault> = findings.iter().map(|finding| &finding.fault).collect();
    assert_eq!((faults, verifier.proven, verifier.first), (vec![&Fault::Changed], 29, 0));
}

#[test]
fn the_state_of_each_account_is_small() {
    // With the tables of names, ends and saved lines, 100,000 accounts then take less than 64 MiB.
    assert!(size_of::<super::Chain>() <= 104, "{}", size_of::<super::Chain>());
}
