//! The time of one login, accepted and refused, of all candidates.

use anyhow::{Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    candidate::{CANDIDATES, GOOGLE, HONEST, OURS},
    host::{Attempt, CROWD, Host, person},
    report::{Bar, Report, Table, number},
    shuffled,
};

/// Rounds that do not count, before the others.
const WARM_UP: usize = 20;

/// Microseconds, sorted.
#[derive(Clone, Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn of(nanoseconds: impl Iterator<Item = u64>) -> Self {
        let mut all: Vec<f64> = nanoseconds.map(|time| time as f64 / 1000.0).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The value that this share of them does not exceed.
    pub fn percentile(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        self.0.get((last * part).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn p50(&self) -> f64 {
        self.percentile(0.5)
    }
}

/// The median of the values; NaN if there are none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    Times(all).p50()
}

struct Timed {
    name: &'static str,
    accepted: Times,
    refused: Times,
}

/// Each round is a step: all candidates, in random order, accept its code and then refuse another one.
pub fn measure(host: &Host, rounds: usize, report: &mut Report) -> Result<()> {
    let mut plan: Vec<Attempt> = Vec::new();
    for round in 0..rounds + WARM_UP {
        // Enough users that none reaches ten wrong codes a day, after which two codes would be required.
        let (right, wrong, user) = (host.tick(), host.tick(), person(round % CROWD));
        for candidate in shuffled(CANDIDATES.each_ref()) {
            plan.push(right.accepted(candidate.name, &user));
        }
        for candidate in shuffled(CANDIDATES.each_ref()) {
            if candidate.refuses {
                plan.push(wrong.refused(candidate.name, &user));
            }
        }
    }
    let outcomes = host.run(&plan, 0, &[])?.outcomes;
    let right = |attempt: &Attempt| (attempt.time / 30) % 2 == plan[0].time / 30 % 2;
    for (attempt, outcome) in plan.iter().zip(&outcomes) {
        let wanted = right(attempt);
        ensure!(
            (outcome.code == PAM_SUCCESS) == wanted,
            "{} answered a code that is {wanted} with {}",
            attempt.service,
            outcome.code
        );
    }
    let per_round = plan.len() / (rounds + WARM_UP);
    let times = |name: &str, accepted: bool| {
        let those = plan.iter().zip(&outcomes).skip(WARM_UP * per_round);
        let those = those.filter(|(attempt, _)| attempt.service == name && right(attempt) == accepted);
        Times::of(those.map(|(_, outcome)| outcome.nanoseconds))
    };
    let timed = CANDIDATES.each_ref().map(|candidate| Timed {
        name: candidate.name,
        accepted: times(candidate.name, true),
        refused: times(candidate.name, false),
    });
    add_to(report, &timed, rounds);
    Ok(())
}

fn add_to(report: &mut Report, timed: &[Timed], rounds: usize) {
    let p50 = |name: &str| {
        timed.iter().find(|timed| timed.name == name).map_or(f64::NAN, |timed| timed.accepted.p50())
    };
    let refused = |name: &str| {
        timed.iter().find(|timed| timed.name == name).map_or(f64::NAN, |timed| timed.refused.p50())
    };
    let cell = |value: f64| if value.is_nan() { "–".into() } else { number(value) };
    let row = |timed: &Timed| {
        let accepted = timed.accepted.p50();
        let cells = [
            accepted,
            timed.accepted.percentile(0.99),
            accepted / p50(HONEST),
            accepted / p50(GOOGLE),
            timed.refused.p50(),
            timed.refused.percentile(0.99),
        ];
        std::iter::once(timed.name.to_owned()).chain(cells.map(cell)).collect()
    };
    report.tables.push(Table {
        title: "Time of one login, µs",
        head: vec!["module", "accepted p50", "p99", "× honest floor", "× google", "refused p50", "p99"],
        rows: timed.iter().map(row).collect(),
    });
    report
        .notes
        .push(format!("{rounds} logins of each module, in an order of chance, pam_start to pam_end."));
    report.bars.extend([
        // 1.30 once a login reads a compiled configuration.
        Bar::at_most("accepted login, p50 / honest floor", 1.4, p50(OURS) / p50(HONEST)),
        Bar::at_most("accepted login, p50 / google-authenticator", 0.8, p50(OURS) / p50(GOOGLE)),
        Bar::at_most("wrong code, counted, p50 / accepted", 1.1, refused(OURS) / p50(OURS)),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times = Times::of((1..=100).rev().map(|number| number * 1000));
        assert_eq!((times.p50(), times.percentile(0.99), times.percentile(1.0)), (51.0, 99.0, 100.0));
        assert!(Times::default().p50().is_nan());
    }
}
