//! Attacks by somebody who can write the log, one per test: none may leave a log that verifies.
#![allow(clippy::unwrap_used)]

use super::tests::*;
use super::*;
use crate::event::from_syslog;
use qrtotp_otp::base32_encode;

fn entry_of(line: &str) -> Entry {
    from_syslog(&format!("Nov 29 10:00:00 h su[1]: pam_qrtotp(su:auth): {line}")).unwrap()
}

/// The world's log without alice's real lines, and these behind it.
fn instead_of_alice(world: &World, lines: &[String]) -> Vec<String> {
    let others = world.lines.iter().filter(|line| user_of(line) != "alice").cloned();
    others.chain(lines.iter().cloned()).collect()
}

#[test]
fn an_invented_history_that_ends_with_a_removal_is_found_if_the_account_is_there() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let kept = &alice[alice.len() - 2..];
    let login = "event=login result=denied reason=wrong_code user=alice service=su";
    for (begin, length) in [(0, alice.len()), (0, 3), (alice.len() - 1, alice.len()), (20, 21)] {
        let mut lines: Vec<String> = alice[..begin].iter().map(|event| event.line.clone()).collect();
        let mut before = begin.checked_sub(1).map_or([9; 20], |last| alice[last].link.unwrap());
        for n in begin..length {
            let text = if n + 1 == length { "event=account_removed user=alice" } else { login };
            let (line, link) = forged(before, text, n as u64 + 1, START + n as i64);
            before = link;
            lines.push(line);
        }
        let mut verifier = Verifier::new(world.heads());
        instead_of_alice(&world, &lines).iter().for_each(|line| verifier.read(&entry(line)));
        let head = &world.heads()["alice"];
        verifier.end("alice", kept, Some((head.seq, head.link)));
        let findings = verifier.take_findings();
        assert!(findings.iter().any(|finding| finding.user == "alice"), "{begin} {length}: {findings:?}");
    }
}

#[test]
fn a_log_without_a_line_of_an_account_is_a_finding_if_other_programs_show_that_it_goes_back_further() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    for (goes_back, found) in [(None, false), (Some(START * 1_000_000), true)] {
        let mut verifier = Verifier::new(world.heads());
        goes_back.into_iter().for_each(|time| verifier.goes_back_to(time, true));
        assert_eq!(verifier.proves_nothing(), !found);
        verifier.end("alice", &alice[alice.len() - 3..], None);
        assert_eq!(!verifier.take_findings().is_empty(), found);
    }
}

#[test]
fn a_log_that_is_cut_to_the_last_line_of_one_account_goes_back_to_that_line_whatever_its_time_stamp_says() {
    let world = World::new(300);
    let (alice, bob) = (lines_of(&world, "alice"), lines_of(&world, "bob"));
    let mut last = entry(&bob.last().unwrap().line);
    last.time = i64::MAX / 4; // the log daemon's own stamp is not proven
    let mut verifier = Verifier::new(world.heads());
    verifier.read(&last);
    let bob_ends = bob.last().unwrap().number("at").unwrap();
    let mut kept = alice[alice.len() - 3..].to_vec();
    kept.retain(|event| event.number("at").unwrap() >= bob_ends);
    verifier.end("alice", &alice[alice.len() - 3..], None);
    assert_eq!(verifier.take_findings().is_empty(), kept.is_empty());
}

#[test]
fn the_first_line_of_a_renamed_account_is_proven_by_its_origin() {
    let record = RecordId([0; 16]);
    for change in [false, true] {
        let mut chain = qrtotp_account::Chain::new(record);
        let mut lines: Vec<Entry> = Vec::new();
        for (n, text) in
            ["event=login user=alice", "event=account_renamed user=bob was=alice"].iter().enumerate()
        {
            let mut line = (*text).to_owned();
            chain.add(&mut line, 0, START + n as i64);
            lines.push(entry_of(&if change { line.replace("=login ", "=logix ") } else { line }));
        }
        let origin = qrtotp_account::Chain::new(record).head();
        let head = Head { seq: 2, link: chain.head(), origin };
        let mut verifier = Verifier::new([("bob".to_owned(), head)]);
        lines.iter().for_each(|line| verifier.read(line));
        verifier.end("bob", &[], None);
        verifier.end_others();
        let findings = verifier.take_findings();
        assert_eq!(findings.len(), usize::from(change), "{findings:?}");
        assert_eq!((verifier.proven, verifier.first), (if change { 1 } else { 2 }, u64::from(change)));
    }
}

/// A line as `audit heads` prints it.
fn head_line(event: &Event) -> Entry {
    let (user, seq) = (event.get("user").unwrap(), event.seq().unwrap());
    let link = String::from_utf8(qrtotp_account::link_hex(event.link.unwrap()).to_vec()).unwrap();
    from_syslog(&format!("- - qrtotp: event=audit_head user={user} seq={seq} at={START} chain={link}"))
        .unwrap()
}

fn against(world: &World, saved: &[Entry], lines: &[String], kept: &[Event]) -> Vec<Finding> {
    let mut verifier = Verifier::new(world.heads());
    saved.iter().for_each(|entry| verifier.save(entry));
    lines.iter().for_each(|line| verifier.read(&entry(line)));
    for user in USERS {
        let kept: Vec<Event> = kept.iter().filter(|event| event.get("user") == Some(user)).cloned().collect();
        verifier.end(user, &kept, None);
    }
    verifier.end_others();
    verifier.take_findings()
}

#[test]
fn a_removed_beginning_is_found_against_saved_heads_however_much_of_it_is_gone() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let last: Vec<Event> = USERS.iter().map(|user| lines_of(&world, user)[9].clone()).collect();
    let saved: Vec<Entry> = last.iter().map(head_line).collect();
    assert_eq!(against(&world, &saved, &world.lines, &[]), []);
    for removed in 1..=alice.len() {
        let mut lines = world.lines.clone();
        lines.retain(|line| !alice[..removed].iter().any(|event| event.line == *line));
        let found = against(&world, &saved, &lines, &[]);
        // Lines before the saved one may be rotated away.
        assert_eq!(found.is_empty(), removed <= 10, "{removed}: {found:?}");
        // An account without a saved line began later, so all of its lines must be there.
        let others: Vec<Entry> =
            saved.iter().filter(|entry| entry.event.get("user") != Some("alice")).cloned().collect();
        assert!(!against(&world, &others, &lines, &[]).is_empty(), "{removed}");
    }
}

#[test]
fn the_line_behind_the_saved_one_must_follow_it() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let mut other = alice[9].clone();
    other.link = Some([7; 20]);
    let mut lines = world.lines.clone();
    lines.retain(|line| !alice[..10].iter().any(|event| event.line == *line));
    for (saved, found) in [(&alice[9], 0), (&other, 1)] {
        let saved: Vec<Entry> = USERS
            .iter()
            .map(|user| head_line(if *user == "alice" { saved } else { lines_of_ref(&world, user) }))
            .collect();
        let findings = against(&world, &saved, &lines, &[]);
        assert_eq!(findings.len(), found, "{findings:?}");
    }
}

fn lines_of_ref(world: &World, user: &str) -> &'static Event {
    Box::leak(Box::new(lines_of(world, user)[9].clone()))
}

#[test]
fn an_account_that_is_gone_with_its_lines_or_whose_record_was_replaced_is_found_against_saved_heads() {
    let world = World::new(300);
    let saved: Vec<Entry> = world.lines.iter().map(|line| entry(line)).collect();
    let mut without = world.lines.clone();
    without.retain(|line| user_of(line) != "alice");
    let mut heads = world.heads();
    let removed = heads.remove("alice").unwrap();
    let replaced = Head { link: [5; 20], ..removed.clone() };
    for (head, fault) in [(None, Fault::SavedIsGone), (Some(replaced), Fault::AgainstSaved)] {
        let mut verifier = Verifier::new(heads.clone());
        verifier.heads.extend(head.map(|head| ("alice".into(), head)));
        saved.iter().for_each(|entry| verifier.save(entry));
        without.iter().for_each(|line| verifier.read(&entry(line)));
        USERS.iter().for_each(|user| verifier.end(user, &[], None));
        verifier.end_others();
        let findings = verifier.take_findings();
        assert!(matches!(&findings[..], [one] if one.user == "alice" && one.fault == fault), "{findings:?}");
    }
}

#[test]
fn a_line_that_the_store_filled_in_is_compared_with_the_saved_one() {
    let world = World::new(300);
    let alice = lines_of(&world, "alice");
    let at = alice.len() - 3;
    let mut saved = alice[at].clone();
    saved.link = Some([7; 20]);
    let saved = [head_line(&saved)];
    let mut lines = world.lines.clone();
    lines.retain(|line| *line != alice[at].line);
    for repaired in [false, true] {
        if repaired {
            lines.push(format!("{} detail=\"recovered by qrtotp audit repair\"", alice[at].line));
        }
        let found = against(&world, &saved, &lines, &alice[at..]);
        assert!(found.iter().any(|finding| finding.fault == Fault::AgainstSaved), "{found:?}");
    }
}

#[test]
fn saved_heads_fit_accounts_that_were_renamed_removed_or_made_again_since() {
    let add = |chain: &mut qrtotp_account::Chain, text: &str, at| {
        let mut line = text.to_owned();
        chain.add(&mut line, 0, START + at);
        entry_of(&line)
    };
    let (first, second) = (RecordId([1; 16]), RecordId([2; 16]));
    let mut chain = qrtotp_account::Chain::new(first);
    let mut lines: Vec<Entry> = (0..3).map(|n| add(&mut chain, "event=login user=anna", 10 * n)).collect();
    lines.push(add(&mut chain, "event=account_renamed user=zed was=anna", 40));
    lines.push(add(&mut chain, "event=account_removed user=zed", 50));
    let mut again = qrtotp_account::Chain::new(second);
    lines.extend((0..9).map(|n| add(&mut again, "event=login user=anna", 60 + 10 * n)));
    let origin = qrtotp_account::Chain::new(second).head();
    let head = Head { seq: 9, link: again.head(), origin };
    // Saved before the rename, after it, and after the second account was made.
    for (saved, from) in [(1, 0), (1, 1), (1, 2), (3, 0), (3, 3), (7, 0), (12, 0), (12, 5)] {
        let mut verifier = Verifier::new([("anna".to_owned(), head.clone())]);
        verifier.save(&head_line(&lines[saved].event));
        lines[from..].iter().for_each(|line| verifier.read(line));
        verifier.end("anna", &[], None);
        verifier.end_others();
        assert_eq!(verifier.take_findings(), [], "{saved} {from}");
    }
}

/// A line of a checkpoint.
fn checkpoint_line(event: &Event, record: RecordId) -> Entry {
    let (user, record) = (event.get("user").unwrap(), base32_encode(&record.0));
    let line = head_line(event).event.line.replace(&format!("user={user}"), &format!("record={record}"));
    from_syslog(&format!("- - qrtotp: {line}")).unwrap()
}

/// The findings of `verify` against a checkpoint, of which the store has the records of these accounts.
fn against_checkpoint(
    verifier: &mut Verifier,
    saved: &[(Entry, Option<&str>)],
    lines: &[Entry],
) -> Vec<Finding> {
    for (entry, user) in saved {
        verifier.save(entry);
        user.iter().for_each(|user| verifier.save_head(user, &entry.event));
    }
    lines.iter().for_each(|line| verifier.read(line));
    let mut names: Vec<String> = verifier.heads.keys().map(ToString::to_string).collect();
    names.sort();
    names.iter().for_each(|user| verifier.end(user, &[], None));
    verifier.end_others();
    verifier.take_findings()
}

#[test]
fn a_checkpoint_is_compared_as_saved_heads_are_so_a_rotated_log_is_whole_and_a_removed_beginning_is_found() {
    let world = World::new(300);
    let mut saved: Vec<(Entry, Option<&str>)> = Vec::new();
    for (n, user) in (0..).zip(USERS) {
        let line = checkpoint_line(&lines_of(&world, user)[9], RecordId([n; 16]));
        saved.push((line, Some(user)));
    }
    let alice = lines_of(&world, "alice");
    for removed in 0..alice.len() {
        let left =
            world.lines.iter().filter(|line| !alice[..removed].iter().any(|event| event.line == **line));
        let left: Vec<Entry> = left.map(|line| entry(line)).collect();
        let found = against_checkpoint(&mut Verifier::new(world.heads()), &saved, &left);
        assert_eq!(found.is_empty(), removed <= 10, "{removed}: {found:?}");
        // A checkpoint without the account is older than its first line.
        let found = against_checkpoint(&mut Verifier::new(world.heads()), &saved[1..], &left);
        assert_eq!(found.is_empty(), removed == 0, "{removed}: {found:?}");
    }
    let mut other = alice[9].clone();
    other.link = Some([7; 20]);
    saved[0].0 = checkpoint_line(&other, RecordId([0; 16]));
    let all: Vec<Entry> = world.lines.iter().map(|line| entry(line)).collect();
    let found = against_checkpoint(&mut Verifier::new(world.heads()), &saved, &all);
    assert!(
        matches!(&found[..], [one] if one.user == "alice" && one.fault == Fault::AgainstSaved),
        "{found:?}"
    );
}

#[test]
fn a_checkpoint_has_accounts_under_the_names_of_today_whatever_the_log_calls_them() {
    let add = |chain: &mut qrtotp_account::Chain, text: &str, at| {
        let mut line = text.to_owned();
        chain.add(&mut line, 0, START + at);
        entry_of(&line)
    };
    let records = [RecordId([1; 16]), RecordId([2; 16]), RecordId([3; 16])];
    let [mut removed, mut renamed, mut anna] = records.map(qrtotp_account::Chain::new);
    let mut lines: Vec<Entry> = (0..4).map(|n| add(&mut removed, "event=login user=bob", n * 10)).collect();
    lines.push(add(&mut removed, "event=account_removed user=bob", 40));
    lines.extend((0..6).map(|n| add(&mut renamed, "event=login user=anna", 50 + n * 10)));
    lines.push(add(&mut renamed, "event=account_renamed user=zed was=anna", 120));
    lines.extend((0..3).map(|n| add(&mut anna, "event=login user=anna", 130 + n * 10)));
    let head = |chain: &qrtotp_account::Chain, record| {
        let origin = qrtotp_account::Chain::new(record).head();
        Head { seq: chain.number(), link: chain.head(), origin }
    };
    let heads = HashMap::from([
        ("zed".to_owned(), head(&renamed, records[1])),
        ("anna".to_owned(), head(&anna, records[2])),
    ]);
    let saved = [
        (checkpoint_line(&lines[4].event, records[0]), None),
        (checkpoint_line(&lines[11].event, records[1]), Some("zed")),
        (checkpoint_line(&lines[14].event, records[2]), Some("anna")),
    ];
    for rotated in [2..2, 0..2, 0..5, 0..9] {
        let left: Vec<Entry> = lines
            .iter()
            .enumerate()
            .filter(|(n, _)| !rotated.contains(n))
            .map(|(_, line)| line.clone())
            .collect();
        let found = against_checkpoint(&mut Verifier::new(heads.clone()), &saved, &left);
        assert_eq!(found, [], "{rotated:?}");
    }
}

#[test]
fn only_lines_that_the_hosts_chain_proves_remove_a_record() {
    let mut chain = qrtotp_account::Chain::new(qrtotp_account::RecordId([7; 16]));
    let origin = chain.head();
    let mut add = |record: &str| {
        let mut line = format!("event=record_removed record={record}");
        chain.add(&mut line, 0, START);
        line
    };
    let (first, second) = (add("ONE"), add("TWO"));
    let head = Head { seq: 2, link: chain.head(), origin };
    let removed = |lines: &[&str], kept: &[&str]| {
        let mut verifier = Verifier::new(HashMap::from([(String::new(), head.clone())]));
        lines.iter().for_each(|line| verifier.read(&entry(line)));
        let kept: Vec<Event> = kept.iter().filter_map(|line| Event::parse(line)).collect();
        verifier.prove_kept(origin, kept);
        ["ONE", "TWO"].map(|record| verifier.has_removed(record))
    };
    assert_eq!(removed(&[&first, &second], &[]), [true, true]);
    assert_eq!(removed(&[], &[&first, &second]), [true, true]);
    let forged = second.replace("TWO", "ONE");
    let of_a_user = first.replace("record=", "user=bob record=");
    for line in ["event=record_removed record=ONE", &forged, &of_a_user] {
        assert_eq!(removed(&[line], &[line]), [false, false], "{line}");
    }
    assert_eq!(removed(&[], &[&second]), [false, false], "the first kept line follows none");
}

#[test]
fn an_account_whose_record_the_hosts_chain_removes_needs_no_last_line_of_its_own() {
    let add = |chain: &mut qrtotp_account::Chain, mut line: String| {
        chain.add(&mut line, 0, START);
        Event::parse(&line).unwrap()
    };
    let (alice, other) = (RecordId([7; 16]), RecordId([9; 16]));
    let mut chain = qrtotp_account::Chain::new(alice);
    let lines = [1, 2, 3].map(|n| add(&mut chain, format!("event=login user=alice failures={n}")));
    let faults = |from: usize, checkpoint: bool, removed: RecordId| {
        let mut verifier = Verifier::default();
        if checkpoint {
            verifier.save_missing(&base32_encode(&alice.0), &lines[1]);
        }
        lines[from..].iter().for_each(|line| verifier.read(&entry(&line.line)));
        let mut host = qrtotp_account::Chain::new(RecordId([8; 16]));
        let origin = host.head();
        let line = format!("event=record_removed record={}", base32_encode(&removed.0));
        verifier.prove_kept(origin, [add(&mut host, line)]);
        verifier.end_others();
        verifier.take_findings().len()
    };
    assert_eq!(faults(0, false, alice), 0, "line 1 follows the record's id");
    assert_eq!(faults(1, true, alice), 0, "the checkpoint has line 2, as the log");
    assert_eq!(faults(1, false, alice), 1, "nothing tells whose lines these are");
    assert_eq!((faults(0, true, other), faults(0, false, other)), (1, 1));
}

#[test]
fn only_lines_that_the_hosts_chain_proves_up_to_the_stores_end_say_that_a_record_was_made() {
    let mut chain = qrtotp_account::Chain::new(qrtotp_account::RecordId([7; 16]));
    let origin = chain.head();
    let mut add = |record: &str| {
        let mut line = format!("event=record_made record={record}");
        chain.add(&mut line, 0, START);
        (line, chain.head())
    };
    let [(one, link), (two, _)] = [add("ONE"), add("TWO")];
    let head = Head { seq: 1, link, origin };
    let made = |lines: &[&str], since| {
        let mut verifier = Verifier::new(HashMap::from([(String::new(), head.clone())]));
        lines.iter().for_each(|line| verifier.read(&entry(line)));
        verifier.made(since).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(made(&[&one, &two], 1), [""; 0], "a checkpoint came since");
    assert_eq!(made(&[&one, &two], 0), ["ONE"], "the second one was made while the log was read");
    for forged in ["event=record_made record=TWO", &one.replace("ONE", "TWO")] {
        assert_eq!(made(&[forged], 0), [""; 0], "{forged}");
    }
}
