//! The cost of the chain of audit lines: our module, and the same source built without the chain.

use anyhow::{Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    accounts::logins,
    count::instructions_per_login,
    host::{CROWD, Host, people},
    rate::{EACH, Rates, together},
    report::{Bar, Report, Table, number},
    timing::Times,
};
use crate::build;

/// Services, each with a store of its own.
const WITH: &str = "with-chain";
const WITHOUT: &str = "without-chain";
const BOTH: [&str; 2] = [WITH, WITHOUT];

pub fn measure(host: &Host, rounds: usize, crowds: usize, report: &mut Report) -> Result<()> {
    let module = build::without_chain()?;
    host.install_module(&module, "without_chain.so")?;
    for (service, module) in [(WITH, "pam_qrtotp.so"), (WITHOUT, "without_chain.so")] {
        host.fill(service, &people(CROWD), 0)?;
        host.configure_beside(service, &format!("/etc/{service}"))?;
        host.serve(service, &format!("{module} config=/etc/{service}/qrtotp.toml"));
    }
    let instructions = [instructions_per_login(host, WITH)?, instructions_per_login(host, WITHOUT)?];
    ensure!(has_chain(host, WITH) && !has_chain(host, WITHOUT), "the modules are not what they are named");
    let times = logins(host, rounds, BOTH)?;
    let rates = crowd(host, crowds)?;
    add_to(report, instructions.map(|count| count as f64), &times, &rates);
    Ok(())
}

/// Whether the last line of a service has a link.
fn has_chain(host: &Host, service: &str) -> bool {
    let service = format!(" service={service} ");
    let line = host.sandbox.log.wait(&["event=login", &service]);
    line.contains(" chain=")
}

/// Rounds of both modules in turn, each with its first place in every other one.
fn crowd(host: &Host, rounds: usize) -> Result<Rates> {
    let mut rates = Rates::default();
    for round in 0..rounds {
        let ticks: Vec<_> = (0..EACH).map(|_| host.tick()).collect();
        for turn in 0..BOTH.len() {
            let service = BOTH[(round + turn) % BOTH.len()];
            let run = together(host, &ticks, |tick, user| tick.accepted(service, user))?;
            ensure!(run.outcomes.iter().all(|outcome| outcome.code == PAM_SUCCESS), "a right code is denied");
            rates.add(service, run.outcomes.len(), &run);
        }
    }
    Ok(rates)
}

fn add_to(report: &mut Report, instructions: [f64; 2], times: &[Times; 2], rates: &Rates) {
    let row = |at: usize| {
        let name = BOTH[at];
        let cells = [instructions[at], times[at].p50(), times[at].percentile(0.99), rates.of(name)];
        std::iter::once(name.to_owned()).chain(cells.map(number)).collect()
    };
    report.tables.push(Table {
        title: "Accepted login with and without the chain of audit lines",
        head: vec!["module", "instructions", "p50 µs", "p99 µs", "50 at once, per second"],
        rows: vec![row(0), row(1)],
    });
    report.bars.extend([
        Bar::at_most("chain, instructions / without", 1.05, instructions[0] / instructions[1]),
        Bar::at_most("chain, accepted login, p50 / without", 1.05, times[0].p50() / times[1].p50()),
        Bar::at_least("chain, 50 users at once, per second / without", 0.95, rates.ratio(WITH, WITHOUT)),
    ]);
}
