//! A power cut at every moment of a login, an enrolment, a revocation and the use of a token. Another process
//! does the action under strace, which records each call that changes a file or makes it durable. Then, for
//! each call, every possible disk content after the calls before it is laid out and used.

mod actions;
mod check;
mod disk;
mod journal;

use super::*;
use actions::{ACTIONS, Action, HOST, LOGGED, REPORT};
use disk::Disk;
use journal::Event;
use std::path::Path;
use std::process::Command;

/// Most states to check after one call.
const MOST: usize = 4096;

/// The operations of an action, and its reports.
struct Record {
    events: Vec<Event>,
    reports: Vec<check::Claims>,
}

/// The results of the power cuts, up to the first violation.
#[derive(Default)]
struct Found {
    calls: usize,
    states: usize,
    wrong: Vec<String>,
}

fn record(action: &Action) -> Record {
    let dir = place();
    let trace = dir.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "100000", "-e", "signal=none", "-e", journal::CALLS, "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", actions::TEST, "--test-threads", "1"])
        .env(actions::PLAY, action.name)
        .env(actions::PLACE, dir.path())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("strace is needed");
    assert!(status.success(), "{} was not done", action.name);
    let trace = std::fs::read_to_string(trace).unwrap();
    let events = journal::read(&trace, &dir.path().join(HOST), REPORT);
    let reports = (0..).map_while(|n| std::fs::read_to_string(dir.path().join(format!("{REPORT}.{n}"))).ok());
    Record { events, reports: reports.map(|text| check::claims(&text)).collect() }
}

/// A directory in memory if possible: the test writes thousands of stores.
fn place() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let private = std::fs::Permissions::from_mode(0o700);
    let mut builder = tempfile::Builder::new();
    let builder = builder.permissions(private);
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.unwrap()
}

impl Record {
    /// A copy in which the n-th sync does nothing if `swallowed(n)`, to test the checks themselves.
    fn without_syncs(&self, swallowed: impl Fn(usize) -> bool) -> Self {
        let mut syncs = 0..;
        let mut is_kept =
            |event: &Event| !(matches!(event, Event::Sync(_)) && syncs.next().is_some_and(&swallowed));
        let events = self.events.iter().filter(|event| is_kept(event)).cloned().collect();
        Self { events, reports: self.reports.clone() }
    }

    /// A copy in which the action's audit lines are logged just before the sync of their state.
    fn logged_early(&self) -> Self {
        let (before, action) = self.events.split_at(self.begin());
        let mut events = before.to_vec();
        for event in action {
            let is_needed = |event: &Event| matches!(event, Event::Sync(path) if is_state(path));
            let sync = events.iter().rposition(is_needed).filter(|_| self.is_logging(event));
            events.insert(sync.unwrap_or(events.len()), event.clone());
        }
        Self { events, reports: self.reports.clone() }
    }

    fn is_logging(&self, event: &Event) -> bool {
        matches!(event, Event::Reported(number) if self.reports[*number].values().all(|word| word == LOGGED))
    }

    fn begin(&self) -> usize {
        self.events.iter().position(|event| *event == Event::Reported(0)).expect("a beginning")
    }

    /// The numbers of the action's syncs.
    fn syncs(&self) -> std::ops::Range<usize> {
        let count = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Sync(_))).count();
        count(&self.events[..self.begin()])..count(&self.events)
    }
}

/// Whether it is an account's state, not the store's directory, which has the same name.
fn is_state(path: &Path) -> bool {
    path.ends_with("state") && path.components().count() > 1
}

/// Cuts the power after each call, and checks all possible results, or a selection if there are more than
/// [`MOST`].
fn cut(record: &Record) -> Found {
    let begin = record.begin();
    let mut disk = Disk::new();
    record.events[..begin].iter().for_each(|event| disk.take(event));
    disk.wait_for_seconds_left();
    let mut claims = check::Claims::new();
    let mut found = Found::default();
    for event in &record.events[begin..] {
        disk.take(event);
        if let Event::Reported(number) = event {
            claims.extend(record.reports[*number].clone());
        }
        found.calls += 1;
        for files in disk.remains(MOST) {
            found.states += 1;
            let dir = place();
            files.lay_out(&dir.path().join(HOST));
            let wrong = check::violations(&dir.path().join(HOST), &claims);
            if !wrong.is_empty() {
                found.wrong = wrong.into_iter().map(|wrong| format!("after {event:?}: {wrong}")).collect();
                return found;
            }
        }
    }
    found
}

#[test]
fn after_a_power_cut_at_any_call_an_account_is_whole_and_nothing_used_or_revoked_is_good_again() {
    for action in &ACTIONS {
        let record = record(action);
        let Found { calls, states, wrong } = cut(&record);
        println!("recorded: | {} | {calls} | {states} | {} |", action.name, wrong.len());
        assert!(wrong.is_empty(), "{}: {wrong:#?}", action.name);
        let planted = cut(&record.without_syncs(|_| true)).wrong;
        assert!(!planted.is_empty(), "{}: swallowed syncs were not noticed", action.name);
    }
}

#[test]
fn an_audit_line_that_is_logged_before_its_state_is_durable_is_noticed() {
    for action in &ACTIONS {
        let record = record(action);
        let wrong = cut(&record.logged_early()).wrong;
        assert!(wrong.iter().any(|wrong| wrong.contains("chain")), "{}: {wrong:?}", action.name);
    }
}

#[test]
#[ignore = "a minute: `cargo xtask proof recorder`"]
fn a_sync_that_does_nothing_is_noticed_where_it_alone_is_needed() {
    for action in &ACTIONS {
        let record = record(action);
        let syncs = record.syncs();
        let needed = |sync: &usize| !cut(&record.without_syncs(|other| other == *sync)).wrong.is_empty();
        let noticed = syncs.clone().filter(needed).count();
        println!("syncs: | {} | {noticed} of {} |", action.name, syncs.len());
        assert!(noticed > 0, "{}: none of its syncs was needed", action.name);
    }
}
