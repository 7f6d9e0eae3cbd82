//! Lines of the log, to which every user can write.

use qrtotp_account::{Chain, RecordId, chain_origin};
use qrtotp_audit_log::{
    Entry, Head, Report, Summary, Thresholds, Verifier, Watch, Writer, ecs, from_journal, from_syslog, ocsf,
    plain, time_of,
};
use std::collections::HashMap;

const RECORD: RecordId = RecordId([7; 16]);
const START: i64 = 1_795_946_400;
/// Lines of alice's chain.
const LINES: i64 = 8;

/// The first byte says behind which line of alice's chain the others come.
pub(crate) fn check(data: &[u8]) {
    let Some((place, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let mut others: Vec<Entry> = text.lines().filter_map(entry_of).collect();
    if others.is_empty() {
        return;
    }
    others.iter().for_each(shown);
    let place = usize::from(*place) % (LINES as usize + 1);
    // A file says of no line who wrote it: whatever is found, the reader ends.
    let _ = findings(place, &others);
    counted(&others);
    for entry in &mut others {
        if !(crate::planted() && entry.event.seq().is_some()) {
            entry.writer = Writer::User(1000);
        }
    }
    assert_eq!(findings(place, &others), 0, "a user's lines say that those of the chain were changed");
    let mut watch = Watch::new(Thresholds::default());
    for entry in others.iter().filter(|entry| entry.is_forged()) {
        assert!(watch.read(entry).is_empty(), "a user's line is an anomaly of somebody else");
    }
}

fn entry_of(line: &str) -> Option<Entry> {
    let _ = time_of(line, START * 1_000_000);
    if line.starts_with('{') { from_journal(line, Some(2998), |_| false) } else { from_syslog(line) }
}

/// Each form in which it is shown can be made.
fn shown(entry: &Entry) {
    assert!(!entry.event.line.contains('\n'));
    let _ = (plain(entry), ecs(entry), ocsf(entry));
}

/// Reads alice's chain with these lines in it; gives the number of faults.
fn findings(place: usize, others: &[Entry]) -> usize {
    let mut chain = Chain::new(RECORD);
    let lines: Vec<Entry> = (0..LINES).map(|number| line_of(&mut chain, number)).collect();
    let head = Head { seq: chain.number(), link: chain.head(), origin: chain_origin(RECORD) };
    let mut verifier = Verifier::new(HashMap::from([("alice".to_owned(), head)]));
    let (before, after) = lines.split_at(place);
    before.iter().chain(others).chain(after).for_each(|entry| verifier.read(entry));
    verifier.end("alice", &[], Some((chain.number(), chain.head())));
    verifier.end_others();
    verifier.take_findings().iter().filter(|finding| !finding.fault.is_note()).count()
}

fn line_of(chain: &mut Chain, number: i64) -> Entry {
    let mut line = "event=login result=accepted reason=code user=alice service=sshd".to_owned();
    chain.add(&mut line, 0, START + 10 * number);
    let mut entry = from_syslog(&format!("Nov 29 10:00:00 h sshd[1]: pam_qrtotp(sshd:auth): {line}"))
        .expect("a line of ours");
    entry.writer = Writer::Root;
    entry
}

/// Counts them for people.
fn counted(entries: &[Entry]) {
    let (mut report, mut summary) = (Report::new("h", START, 30, false), Summary::default());
    let mut watch = Watch::new(Thresholds::default());
    for entry in entries {
        report.add(entry);
        summary.add(entry);
        for anomaly in watch.read(entry) {
            assert_eq!(anomaly.to_string().lines().count(), 1, "a name makes a line of its own");
        }
    }
    // A page takes long to draw.
    if entries.iter().any(|entry| entry.event.line.contains('<')) {
        assert!(!report.html().contains("<script"), "a name is markup");
    }
    let _ = summary.to_string();
}
