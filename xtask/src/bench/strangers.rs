//! Whether the time of a refusal reveals who has an account: a wrong code for an unknown user, for a user who
//! never enrolled and for an enrolled one.

use anyhow::{Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    candidate::OURS,
    host::{Attempt, CROWD, Host, NEWCOMER, people, person},
    report::{Bar, Report, Table, number},
    shuffled,
    timing::Times,
};

const KINDS: [&str; 3] = ["unknown", "un-enrolled", "enrolled"];
/// A name that is not in `/etc/passwd`.
const UNKNOWN: &str = "stranger";

/// The host's sources of users, and the setting that limits them to files. Other sources are asked about an
/// unknown name by every caller, long before a module can influence it.
const SOURCES: &str = "/etc/nsswitch.conf";
const FILES_ONLY: &str = "passwd: files\ngroup: files\n";

pub fn measure(host: &Host, rounds: usize, report: &mut Report) -> Result<()> {
    let sources = host.sandbox.read(SOURCES);
    let [unknown, _, enrolled] = refusals(host, rounds / 4)?;
    let named = sources.lines().find(|line| line.starts_with("passwd:")).unwrap_or("passwd:");
    let named = named.split_whitespace().collect::<Vec<_>>().join(" ");
    report.notes.push(format!(
        "With this machine's `{named}` a wrong code of an unknown user takes {} times an enrolled one's: the look-up is the \
         host's, which the figures below leave out (`passwd: files`).",
        number(unknown.p50() / enrolled.p50())
    ));
    host.sandbox.overwrite(SOURCES, FILES_ONLY);
    let times = refusals(host, rounds)?;
    add_to(report, rounds, &times);
    Ok(())
}

/// This many rounds of a wrong code of each kind. Every enrolled user's is counted.
fn refusals(host: &Host, rounds: usize) -> Result<[Times; 3]> {
    let right = host.tick();
    let lifted: Vec<_> = people(CROWD).iter().map(|user| right.accepted(OURS, user)).collect();
    ensure!(
        host.run(&lifted, 0, &[])?.outcomes.iter().all(|o| o.code == PAM_SUCCESS),
        "a right code is denied"
    );
    let mut plan: Vec<Attempt> = Vec::new();
    for round in 0..rounds {
        let tick = host.tick();
        for user in shuffled([UNKNOWN, NEWCOMER, &person(round % CROWD)]) {
            plan.push(tick.refused(OURS, user));
        }
    }
    let outcomes = host.run(&plan, 0, &[])?.outcomes;
    ensure!(outcomes.iter().all(|outcome| outcome.code != PAM_SUCCESS), "a wrong code is accepted");
    let counted = people(CROWD).iter().map(|user| host.failures(OURS, user)).sum::<Result<usize>>()?;
    ensure!(counted == rounds, "{counted} of {rounds} failures of enrolled users were counted");
    let times = |is: fn(&str) -> bool| {
        let those = plan.iter().zip(&outcomes).filter(|(attempt, _)| is(&attempt.user));
        Times::of(those.map(|(_, outcome)| outcome.nanoseconds))
    };
    let enrolled = |user: &str| user != UNKNOWN && user != NEWCOMER;
    Ok([times(|user| user == UNKNOWN), times(|user| user == NEWCOMER), times(enrolled)])
}

fn add_to(report: &mut Report, rounds: usize, times: &[Times; 3]) {
    let enrolled = times[2].p50();
    let row = |(kind, times): (&str, &Times)| {
        let cells = [times.p50(), times.percentile(0.99), times.p50() / enrolled];
        std::iter::once(kind.to_owned()).chain(cells.map(number)).collect()
    };
    report.tables.push(Table {
        title: "Refusal of a wrong code, µs",
        head: vec!["user", "p50", "p99", "× enrolled"],
        rows: KINDS.into_iter().zip(times).map(row).collect(),
    });
    report.notes.push(format!(
        "Unknown, un-enrolled and enrolled users: {rounds} wrong codes of each, in an order of chance."
    ));
    let all = times.each_ref().map(Times::p50);
    let (least, most) = (all.into_iter().fold(f64::NAN, f64::min), all.into_iter().fold(f64::NAN, f64::max));
    report.bars.push(Bar::at_most("refusal, slowest / fastest kind of user, p50", 1.05, most / least));
}
