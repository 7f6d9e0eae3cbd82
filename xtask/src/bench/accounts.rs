//! Whether a login costs more with many accounts, for us and for pam_oath; and the command over all of them.

use anyhow::{Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    command,
    host::{Attempt, Host, PEOPLE, people, person},
    report::{Bar, Report, Table, number},
    shuffled,
    timing::Times,
};
use crate::step::say;

/// Our stores, each also a service.
pub const FEW: &str = "ours-few";
pub const MANY: &str = "ours-many";
const OATH_FEW: &str = "oath-few";
const OATH_MANY: &str = "oath-many";

/// Measures this many logins of each kind, with few and with `many` accounts.
pub fn measure(host: &Host, rounds: usize, many: usize, report: &mut Report) -> Result<()> {
    say(&format!("making {many} accounts"));
    for (ours, oath, accounts) in [(FEW, OATH_FEW, PEOPLE), (MANY, OATH_MANY, many)] {
        let more = accounts - PEOPLE;
        host.fill(ours, &people(PEOPLE), more)?;
        host.configure_beside(ours, &directory(ours))?;
        host.serve(ours, &format!("pam_qrtotp.so config={}", configuration(ours)));
        let everybody = people(PEOPLE).into_iter().chain((0..more).map(|number| format!("filler{number}")));
        host.enrol_with_oath(oath, everybody)?;
        host.serve(oath, &format!("pam_oath.so usersfile=/var/lib/bench/{oath}/users window=5 digits=6"));
    }
    // Separately: pam_oath reads a large file, which slows the next login.
    add_to(
        report,
        rounds,
        many,
        &logins(host, rounds, [FEW, MANY])?,
        &logins(host, rounds, [OATH_FEW, OATH_MANY])?,
    );
    command::measure(host, many, report)
}

fn directory(store: &str) -> String {
    format!("/etc/{store}")
}

pub fn configuration(store: &str) -> String {
    format!("{}/qrtotp.toml", directory(store))
}

/// The times of this many accepted logins at each of two services, in an order of chance.
pub fn logins(host: &Host, rounds: usize, services: [&'static str; 2]) -> Result<[Times; 2]> {
    let mut plan: Vec<Attempt> = Vec::new();
    // Each user's first login opens files that no other has opened yet, and does not count.
    for round in 0..rounds + PEOPLE {
        let (tick, user) = (host.tick(), person(round % PEOPLE));
        for service in shuffled(services) {
            plan.push(tick.accepted(service, &user));
        }
    }
    let outcomes = host.run(&plan, 0, &[])?.outcomes;
    ensure!(outcomes.iter().all(|outcome| outcome.code == PAM_SUCCESS), "a right code is denied");
    let counted = plan.iter().zip(&outcomes).skip(PEOPLE * services.len());
    Ok(services.map(|service| {
        let those = counted.clone().filter(|(attempt, _)| attempt.service == service);
        Times::of(those.map(|(_, outcome)| outcome.nanoseconds))
    }))
}

fn add_to(report: &mut Report, rounds: usize, accounts: usize, ours: &[Times; 2], oath: &[Times; 2]) {
    let ([few, many], [oath_few, oath_many]) = (ours, oath);
    let row = |name: &str, accounts: usize, times: &Times, few: &Times| {
        let cells = [times.p50(), times.percentile(0.99), times.p50() / few.p50()].map(number);
        [name.to_owned(), accounts.to_string()].into_iter().chain(cells).collect()
    };
    report.tables.push(Table {
        title: "Accepted login by the number of accounts, µs",
        head: vec!["module", "accounts", "p50", "p99", "× few"],
        rows: vec![
            row("pam_qrtotp", PEOPLE, few, few),
            row("pam_qrtotp", accounts, many, few),
            row("pam_oath", PEOPLE, oath_few, oath_few),
            row("pam_oath", accounts, oath_many, oath_few),
        ],
    });
    report.notes.push(format!(
        "Few and many accounts: {rounds} logins of each, in an order of chance, of the same {PEOPLE} users."
    ));
    let ratio = many.p50() / few.p50();
    // Too cheap would discredit the measurement, as too dear would the module.
    report.bars.push(Bar::at_most(
        "accepted login, p50, many accounts / few, or few / many",
        1.05,
        ratio.max(1.0 / ratio),
    ));
}
