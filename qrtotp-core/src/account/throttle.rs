//! Limits on guessing. Counts failures and says when the next answer is looked at; never looks at an answer itself.
//!
//! NIST SP 800-63B-4 §3.2.2: at most 100 consecutive failures per authenticator, then it is disabled.

use crate::clock::UnixTime;

/// The limits in force, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleRules {
    /// Consecutive failures that cost no waiting.
    pub free_failures: u32,
    /// The longest wait, in seconds.
    pub max_wait: u32,
    /// Consecutive failures after which codes of apps are refused until a recovery code or an admin lifts it.
    pub disable_after: u32,
}

impl Default for ThrottleRules {
    fn default() -> Self {
        Self { free_failures: 5, max_wait: 30, disable_after: 100 }
    }
}

/// What is tried. Each has failures of its own: whoever guesses codes must not make a recovery code wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// A code of an app.
    Code,
    /// A recovery code. Its 80 bits can't be guessed, so failures cost waiting and never disable it: it is the way out.
    Recovery,
}

/// What the throttle says to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Look at the answer.
    Open,
    /// Refuse unlooked-at; the next answer counts in this many seconds.
    Wait(u32),
    /// Too many consecutive failures: only a recovery code is looked at.
    Disabled,
}

/// One counter of consecutive failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// Consecutive failures.
    pub failures: u32,
    /// When the last one was, 0 for never.
    pub last_failure: UnixTime,
}

impl Lane {
    /// Seconds to wait from `now` until the next attempt is looked at; 0 for none.
    ///
    /// A last failure in the future (the clock was set back) counts as just now, so that no stored time
    /// can hold anybody up for longer than the longest wait.
    #[must_use]
    pub fn wait(&self, now: UnixTime, rules: &ThrottleRules) -> u32 {
        let elapsed = now.saturating_sub(self.last_failure.min(now));
        penalty(self.failures, rules).saturating_sub(u32::try_from(elapsed).unwrap_or(u32::MAX))
    }

    /// Takes a last failure in the future for one at `now`. Without it, a clock that was ahead once would hold
    /// everybody up until that time comes.
    pub fn clamp(&mut self, now: UnixTime) {
        self.last_failure = self.last_failure.min(now);
    }

    /// What an attempt at `now` is told.
    #[must_use]
    pub fn gate(&self, now: UnixTime, rules: &ThrottleRules) -> Gate {
        match self.wait(now, rules) {
            0 if self.failures >= rules.disable_after => Gate::Disabled,
            0 => Gate::Open,
            seconds => Gate::Wait(seconds),
        }
    }

    /// Counts one failure.
    pub fn fail(&mut self, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = now;
    }
}

/// The counters of an account. Every source shares them until sources are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// `[codes of apps, recovery codes]`.
    pub lanes: [Lane; 2],
}

impl Throttle {
    fn lane(&self, means: Means) -> Lane {
        self.lanes[usize::from(means == Means::Recovery)]
    }

    /// Consecutive failures so far, of every kind.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.lanes.iter().fold(0, |sum, lane| sum.saturating_add(lane.failures))
    }

    /// Consecutive failures so far, of one kind.
    #[must_use]
    pub fn failures_of(&self, means: Means) -> u32 {
        self.lane(means).failures
    }

    /// True once app codes are refused whatever they are.
    #[must_use]
    pub fn is_disabled(&self, rules: &ThrottleRules) -> bool {
        self.failures_of(Means::Code) >= rules.disable_after
    }

    /// True if failures of either kind have begun to cost waiting.
    #[must_use]
    pub fn is_engaged(&self, rules: &ThrottleRules) -> bool {
        self.lanes.iter().any(|lane| lane.failures >= rules.free_failures)
    }

    /// Seconds to wait from `now` until an answer of this kind is looked at; 0 for none. See [`Lane::wait`].
    #[must_use]
    pub fn wait(&self, means: Means, now: UnixTime, rules: &ThrottleRules) -> u32 {
        self.lane(means).wait(now, rules)
    }

    /// See [`Lane::clamp`].
    pub fn clamp(&mut self, now: UnixTime) {
        self.lanes.iter_mut().for_each(|lane| lane.clamp(now));
    }

    /// What an attempt at `now` is told.
    #[must_use]
    pub fn gate(&self, means: Means, now: UnixTime, rules: &ThrottleRules) -> Gate {
        match self.lane(means).gate(now, rules) {
            Gate::Disabled if means == Means::Recovery => Gate::Open,
            gate => gate,
        }
    }

    /// Counts one failure.
    pub fn fail(&mut self, means: Means, now: UnixTime) {
        self.lanes[usize::from(means == Means::Recovery)].fail(now);
    }

    /// Forgets all failures of every kind: a right answer, or an admin's `unlock`.
    pub fn lift(&mut self) {
        *self = Self::default();
    }
}

/// The wait that `failures` consecutive failures cost: 1, 2, 4 … seconds after the free ones.
pub(super) fn penalty(failures: u32, rules: &ThrottleRules) -> u32 {
    if failures < rules.free_failures {
        return 0;
    }
    let doublings = (failures - rules.free_failures).min(16);
    (1_u32 << doublings).min(rules.max_wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: ThrottleRules = ThrottleRules { free_failures: 3, max_wait: 30, disable_after: 100 };

    fn failed(times: u32, at: UnixTime) -> Throttle {
        let mut throttle = Throttle::default();
        for _ in 0..times {
            throttle.fail(Means::Code, at);
        }
        throttle
    }

    #[test]
    fn the_first_failures_cost_no_waiting() {
        assert_eq!(failed(2, 1000).gate(Means::Code, 1000, &RULES), Gate::Open);
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<u32> = (3..11).map(|n| failed(n, 1000).wait(Means::Code, 1000, &RULES)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_wait_ends_by_itself() {
        assert_eq!(failed(8, 1000).gate(Means::Code, 1029, &RULES), Gate::Wait(1));
        assert_eq!(failed(8, 1000).gate(Means::Code, 1030, &RULES), Gate::Open);
    }

    #[test]
    fn after_a_hundred_failures_app_codes_are_disabled_for_good() {
        assert_eq!(failed(100, 1000).gate(Means::Code, 1030, &RULES), Gate::Disabled);
        assert_eq!(failed(100, 1000).gate(Means::Code, 1_000_000, &RULES), Gate::Disabled);
        assert_eq!(failed(99, 1000).gate(Means::Code, 1030, &RULES), Gate::Open);
    }

    #[test]
    fn an_admin_is_told_from_which_failure_on_answers_wait_or_are_refused() {
        let told = |times| {
            let throttle = failed(times, 1000);
            (throttle.is_engaged(&RULES), throttle.is_disabled(&RULES))
        };
        assert_eq!(
            [0, 2, 3, 99, 100].map(told),
            [(false, false), (false, false), (true, false), (true, false), (true, true)]
        );
        let mut guessed = Throttle::default();
        (0..3).for_each(|_| guessed.fail(Means::Recovery, 1000));
        assert!(guessed.is_engaged(&RULES));
    }

    #[test]
    fn codes_and_recovery_codes_wait_for_their_own_failures_only() {
        let mut throttle = failed(8, 1000);
        assert_eq!(throttle.gate(Means::Recovery, 1000, &RULES), Gate::Open);
        for _ in 0..4 {
            throttle.fail(Means::Recovery, 1030);
        }
        assert_eq!(throttle.gate(Means::Recovery, 1030, &RULES), Gate::Wait(2));
        assert_eq!(throttle.gate(Means::Code, 1030, &RULES), Gate::Open);
        assert_eq!(throttle.failures(), 12);
    }

    #[test]
    fn recovery_codes_are_never_disabled() {
        let mut throttle = Throttle::default();
        for _ in 0..1000 {
            throttle.fail(Means::Recovery, 1000);
        }
        assert_eq!(throttle.gate(Means::Recovery, 1030, &RULES), Gate::Open);
        assert!(!throttle.is_disabled(&RULES));
    }

    #[test]
    fn lifting_forgets_everything() {
        let mut throttle = failed(100, 1000);
        throttle.fail(Means::Recovery, 1000);
        throttle.lift();
        assert_eq!(throttle.failures(), 0);
        assert_eq!(throttle.gate(Means::Code, 1000, &RULES), Gate::Open);
    }

    #[test]
    fn a_failure_in_the_future_holds_nobody_up_for_longer_than_the_longest_wait() {
        let mut throttle = failed(8, 1_000_000);
        throttle.clamp(1000);
        assert_eq!(throttle.gate(Means::Code, 1000, &RULES), Gate::Wait(30));
        throttle.clamp(1030);
        assert_eq!(throttle.gate(Means::Code, 1030, &RULES), Gate::Open);
    }

    proptest! {
        #[test]
        fn no_stored_time_ever_costs_more_than_the_longest_wait(
            failures in 0_u32..1000, last in any::<i64>(), now in 0_i64..i64::MAX / 2
        ) {
            let throttle = Throttle { lanes: [Lane { failures, last_failure: last }, Lane::default()] };
            prop_assert!(throttle.wait(Means::Code, now, &RULES) <= RULES.max_wait);
        }

        #[test]
        fn an_attempt_after_the_longest_wait_is_never_told_to_wait(failures in 0_u32..1000, now in 0_i64..1 << 40) {
            let throttle = failed(failures, now);
            prop_assert!(throttle.wait(Means::Code, now + 30, &RULES) == 0);
        }
    }
}
