//! Fifty users who log in at the same moment, each with a right code.

use anyhow::Result;
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    candidate::{CANDIDATES, GOOGLE, HONEST, OURS},
    host::{CROWD, Host},
    rate::{EACH, Rates, together},
    report::{Bar, Report, Table, number},
};

pub fn measure(host: &Host, rounds: usize, report: &mut Report) -> Result<()> {
    let (mut rates, mut denied) = (Rates::default(), [0; CANDIDATES.len()]);
    for round in 0..rounds {
        let ticks: Vec<_> = (0..EACH).map(|_| host.tick()).collect();
        for turn in 0..CANDIDATES.len() {
            let which = (round + turn) % CANDIDATES.len();
            let name = CANDIDATES[which].name;
            let run = together(host, &ticks, |tick, user| tick.accepted(name, user))?;
            let accepted = run.outcomes.iter().filter(|outcome| outcome.code == PAM_SUCCESS).count();
            rates.add(name, accepted, &run);
            denied[which] += run.outcomes.len() - accepted;
        }
    }
    let ours = CANDIDATES.iter().zip(denied).find(|(candidate, _)| candidate.name == OURS);
    let row = |(candidate, denied): (&super::candidate::Candidate, usize)| {
        let name = candidate.name;
        let cells = [
            rates.of(name),
            rates.ratio(name, HONEST),
            rates.ratio(name, GOOGLE),
            rates.work(name),
            denied as f64,
        ];
        std::iter::once(name.to_owned()).chain(cells.map(number)).collect()
    };
    report.notes.push(format!(
        "At once: {CROWD} processes, one for each user, {EACH} logins each, {rounds} rounds of all modules in turn; \
         rates and ratios are those of the median round."
    ));
    report.tables.push(Table {
        title: "50 users at once, right codes",
        head: vec!["module", "accepted per second", "× honest floor", "× google", "core µs each", "denied"],
        rows: CANDIDATES.iter().zip(denied).map(row).collect(),
    });
    report.bars.extend([
        Bar::at_least(
            "50 users at once, accepted per second / google-authenticator",
            2.5,
            rates.ratio(OURS, GOOGLE),
        ),
        Bar::at_most("50 users at once, denied", 0.0, ours.map_or(f64::NAN, |(_, denied)| denied as f64)),
    ]);
    Ok(())
}
