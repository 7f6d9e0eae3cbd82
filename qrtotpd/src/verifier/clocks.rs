//! The clocks of all verifiers, as their witnesses tell them. A verifier whose clock is far from the median
//! of all would accept codes that are over, so it decides nothing.

use qrtotp_fleet::{HostName, Witness};
use qrtotp_values::UnixTime;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Seconds from the median of all verifiers above which a verifier's clock is reported.
pub const WARN: i64 = 2;
/// Seconds above which it decides nothing.
const REFUSE: i64 = 10;
/// Seconds after which a verifier that writes no witness no longer counts.
const GONE: i64 = 20;

/// The verifiers' clocks, as far as they are known.
#[derive(Default)]
pub struct Clocks {
    seen: Mutex<HashMap<HostName, Seen>>,
    /// Seconds by which ours is ahead of the median.
    ahead: AtomicI64,
}

/// A witness when it was first seen.
struct Seen {
    random: [u8; 16],
    /// Seconds by which its clock was ahead of ours.
    ahead: i64,
    /// Our clock then.
    at: UnixTime,
    /// It changed while we looked, so that its age is known.
    is_fresh: bool,
}

impl Clocks {
    /// Takes the present witnesses, which are to be read about once a second: the age of each new one is then
    /// known. Returns the seconds by which our clock is ahead of the median.
    pub fn take(&self, own: &HostName, witnesses: &[(HostName, Witness)], now: UnixTime) -> i64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner); // never half-changed
        for (name, witness) in witnesses.iter().filter(|(name, _)| name != own) {
            let known = seen.get(name);
            if known.is_some_and(|known| known.random == witness.random) {
                continue;
            }
            let is_fresh = known.is_some();
            let (random, ahead) = (witness.random, witness.clock.saturating_sub(now));
            seen.insert(name.clone(), Seen { random, ahead, at: now, is_fresh });
        }
        seen.retain(|_, seen| now.abs_diff(seen.at) <= GONE.unsigned_abs());
        let others = seen.values().filter(|seen| seen.is_fresh).map(|seen| seen.ahead);
        let ahead = -median(others.chain([0]).collect());
        self.ahead.store(ahead, Ordering::Relaxed);
        ahead
    }

    /// Why this verifier must not decide, if its clock is off.
    pub fn objection(&self) -> Option<String> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead.abs() > REFUSE).then(|| describe(ahead))
    }
}

/// A sentence about a clock that is off.
pub fn describe(ahead: i64) -> String {
    let (seconds, side) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
    format!("this verifier's clock is {seconds} s {side} the others'; see `timedatectl`")
}

/// The one in the middle; of an even number the mean of both.
fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    let at = |index: usize| values.get(index).copied().unwrap_or(0);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { (at(half.saturating_sub(1)) + at(half)) / 2 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_fleet::Condition;

    fn name(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn witnesses(round: u8, clocks: &[(&str, i64)]) -> Vec<(HostName, Witness)> {
        let (random, version) = ([round; 16], String::new());
        let condition = Condition::default;
        let witness = |clock| Witness { random, clock, version: version.clone(), condition: condition() };
        clocks.iter().map(|(verifier, clock)| (name(verifier), witness(*clock))).collect()
    }

    /// Two rounds of witnesses, five seconds apart, with these differences to our clock.
    fn after(others: &[(&str, i64)]) -> Clocks {
        let clocks = Clocks::default();
        for (round, now) in [(1, 1000), (2, 1005)] {
            let all: Vec<_> = others.iter().map(|(verifier, ahead)| (*verifier, now + ahead)).collect();
            clocks.take(&name("v1"), &witnesses(round, &all), now);
        }
        clocks
    }

    #[test]
    fn a_verifier_whose_clock_is_far_from_the_median_decides_nothing() {
        assert_eq!(after(&[]).objection(), None, "alone");
        assert_eq!(after(&[("v2", 0), ("v3", 60)]).objection(), None, "another one is off");
        assert_eq!(after(&[("v2", 10), ("v3", 10)]).objection(), None, "not yet");
        let text = after(&[("v2", 11), ("v3", 12)]).objection().unwrap();
        assert!(text.contains("11 s behind the others"), "{text}");
        let text = after(&[("v2", -60), ("v3", -61)]).objection().unwrap();
        assert!(text.contains("60 s ahead of the others"), "{text}");
    }

    #[test]
    fn a_witness_whose_age_is_not_known_does_not_count_nor_does_one_that_is_gone() {
        let clocks = Clocks::default();
        let old = witnesses(1, &[("v2", 900), ("v3", 900)]);
        assert_eq!(clocks.take(&name("v1"), &old, 1000), 0);
        assert_eq!(clocks.take(&name("v1"), &old, 1001), 0, "nothing new");
        let new = witnesses(2, &[("v2", 1033), ("v3", 1033)]);
        assert_eq!(clocks.take(&name("v1"), &new, 1003), -30);
        assert_eq!(clocks.take(&name("v1"), &new, 1024), 0);
        let own = witnesses(3, &[("v1", 5)]);
        assert_eq!(clocks.take(&name("v1"), &own, 1025), 0, "our own");
    }
}
