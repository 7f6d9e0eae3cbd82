//! Logins per second of many processes at once, of several modules in turn.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{
    host::{Attempt, CROWD, Host, Run, Tick, person},
    timing::median,
};

/// Logins of each process in a round.
pub const EACH: usize = 20;

/// For each module, one rate per round, and the core time per login. The machine's other load changes from
/// round to round, so modules are compared within one.
#[derive(Default)]
pub struct Rates {
    rates: BTreeMap<&'static str, Vec<f64>>,
    work: BTreeMap<&'static str, Vec<f64>>,
}

impl Rates {
    /// Counts this many logins in that run.
    pub fn add(&mut self, name: &'static str, logins: usize, run: &Run) {
        self.rates.entry(name).or_default().push(logins as f64 / run.seconds);
        self.work.entry(name).or_default().push(run.worked * 1e6 / run.outcomes.len() as f64);
    }

    /// Logins per second, in the median round.
    pub fn of(&self, name: &str) -> f64 {
        median(self.rounds(name).iter().copied())
    }

    /// The ratio of two modules in the median round.
    pub fn ratio(&self, name: &str, to: &str) -> f64 {
        median(self.rounds(name).iter().zip(self.rounds(to)).map(|(ours, theirs)| ours / theirs))
    }

    /// Microseconds of a core for one login, in the median round.
    pub fn work(&self, name: &str) -> f64 {
        median(self.work.get(name).into_iter().flatten().copied())
    }

    fn rounds(&self, name: &str) -> &[f64] {
        self.rates.get(name).map_or(&[], Vec::as_slice)
    }
}

/// [`EACH`] attempts of every user in the crowd, each in a separate process.
pub fn together(host: &Host, ticks: &[Tick], attempt: impl Fn(&Tick, &str) -> Attempt) -> Result<Run> {
    let each = |tick| (0..CROWD).map(move |number| (tick, person(number)));
    let plan: Vec<_> = ticks.iter().flat_map(each).map(|(tick, user)| attempt(tick, &user)).collect();
    host.run(&plan, CROWD, &[]).context("the crowd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_compared_within_a_round() {
        let mut rates = Rates::default();
        // Each round on a machine twice as fast as in the round before.
        for seconds in [4.0, 2.0, 1.0] {
            let run = |seconds| Run { outcomes: vec![], text: String::new(), seconds, worked: seconds };
            rates.add("floor", 100, &run(seconds));
            rates.add("ours", 100, &run(seconds * 1.25));
        }
        assert_eq!((rates.of("floor"), rates.ratio("ours", "floor")), (50.0, 0.8));
        assert!(rates.ratio("ours", "nobody").is_nan());
    }
}
