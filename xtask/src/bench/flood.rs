//! Fifty processes that guess: each at its own account, whose failures are counted, and at accounts that are
//! locked.

use anyhow::{Context, Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    candidate::{FLOOR, GOOGLE, HONEST, OURS},
    host::{CROWD, Host, Tick, people},
    rate::{EACH, Rates, together},
    report::{Report, Table, number},
};

const FLOODED: [&str; 4] = [GOOGLE, FLOOR, HONEST, OURS];

/// Each round begins with right codes, which clear the failures.
pub fn measure(host: &Host, rounds: usize, report: &mut Report) -> Result<()> {
    let (mut counted, mut locked) = (Rates::default(), Rates::default());
    for round in 0..rounds {
        for turn in 0..FLOODED.len() {
            let name = FLOODED[(round + turn) % FLOODED.len()];
            let accepted = together(host, &[host.tick()], |tick, user| tick.accepted(name, user))?;
            ensure!(accepted.outcomes.iter().all(|o| o.code == PAM_SUCCESS), "{name} denies a right code");
            let ticks: Vec<_> = (0..EACH).map(|_| host.tick()).collect();
            flood(host, name, &ticks, &mut counted)?;
            if name == HONEST || name == OURS {
                are_counted(host, name, EACH)?;
            }
            if name == OURS {
                // One more guess is checked; after that no time passes.
                let now = host.tick();
                together(host, std::slice::from_ref(&now), |tick, user| tick.refused(OURS, user))?;
                flood(host, OURS, &vec![now; EACH], &mut locked)?;
                are_counted(host, OURS, EACH + 1)?;
            }
        }
    }
    add_to(report, &counted, &locked);
    Ok(())
}

fn flood(host: &Host, name: &'static str, ticks: &[Tick], rates: &mut Rates) -> Result<()> {
    let run = together(host, ticks, |tick, user| tick.refused(name, user))?;
    ensure!(run.outcomes.iter().all(|o| o.code != PAM_SUCCESS), "{name} accepts a wrong code");
    rates.add(name, run.outcomes.len(), &run);
    Ok(())
}

/// Checks that the checked codes were counted and no others: otherwise the measured rate means nothing.
fn are_counted(host: &Host, name: &str, times: usize) -> Result<()> {
    for user in people(CROWD) {
        let failures = host.failures(name, &user).with_context(|| format!("{name}, {user}"))?;
        ensure!(failures == times, "{name} has counted {failures} failures of {user}, not {times}");
    }
    Ok(())
}

fn add_to(report: &mut Report, counted: &Rates, locked: &Rates) {
    let cell = |value: f64| if value.is_nan() { "–".into() } else { number(value) };
    let row = |name: &str| {
        let cells = [
            counted.of(name),
            counted.ratio(name, HONEST),
            counted.ratio(name, GOOGLE),
            counted.work(name),
            locked.of(name),
        ];
        std::iter::once(name.to_owned()).chain(cells.map(cell)).collect()
    };
    report.tables.push(Table {
        title: "50 processes, wrong codes",
        head: vec![
            "module",
            "refused per second",
            "× honest floor",
            "× google",
            "core µs each",
            "of locked accounts",
        ],
        rows: FLOODED.into_iter().map(row).collect(),
    });
    report.notes.push(
        "Wrong codes: only the honest floor and ours count them (looked up after every round); the others just refuse."
            .to_owned(),
    );
}
