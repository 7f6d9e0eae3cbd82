//! Limits on guessing. Counts failures and says when the next answer may be checked; never sees an answer
//! itself.
//!
//! Failures are counted in lanes: one for each familiar place, one for the account's own processes, and one
//! for all strangers together. A stranger who knows the password and keeps guessing therefore can't delay the
//! owner at a familiar place, nor gain guesses from the owner's logins. NIST SP 800-63B-4 §3.2.2: at most 100
//! failures, then the authenticator is disabled; here the failures of all lanes count together.

use super::{PlaceId, RememberedCodes, Side};
use qrtotp_values::UnixTime;

/// Most remembered places. Only a right answer adds one, so strangers can't push others out.
pub const MAX_PLACES: usize = 16;
/// How long a place stays familiar after a right answer, in seconds, unless the admin says otherwise.
pub const FAMILIAR: u32 = 30 * 86_400;
/// Wrong answers within a day after which a familiar place must give two consecutive codes.
pub const DAILY: u32 = 10;
/// How many times longer than others strangers may have to wait.
pub const STRANGERS_WAIT: u32 = 30;
const DAY: i64 = 86_400;

/// The limits in force, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleRules {
    /// Failures of a lane that cost no waiting.
    pub free_failures: u32,
    /// The longest wait, in seconds. Strangers wait for up to [`STRANGERS_WAIT`] times as long.
    pub max_wait: u32,
    /// Failures of all lanes together after which app codes are refused, until a recovery code or an admin
    /// re-enables them.
    pub disable_after: u32,
    /// How long a place stays familiar after a right answer, in seconds.
    pub familiar: u32,
}

impl Default for ThrottleRules {
    fn default() -> Self {
        Self { free_failures: 5, max_wait: 30, disable_after: 100, familiar: FAMILIAR }
    }
}

/// The factor that is tried. Each has its own failures: guessing codes must not make a recovery code wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorKind {
    /// A code of an app.
    Code,
    /// A recovery code. Its 80 bits can't be guessed, so failures cost waiting and never disable it: it is
    /// the way out.
    Recovery,
}

/// The throttle's answer to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Check the answer.
    Open,
    /// Refuse without checking; the next answer is checked after this many seconds.
    Wait(u32),
    /// Check it only if it is two consecutive codes: this familiar place had [`DAILY`] wrong ones within a
    /// day.
    TwoCodes,
    /// Too many failures: only a recovery code is checked.
    Disabled,
}

/// A limit that a failure has just reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engaged {
    /// The next answer of this lane waits.
    Waiting,
    /// The lane is closed: it takes one more answer each time a failure is forgotten.
    Closed,
    /// This familiar place must give two consecutive codes until the day is over.
    TwoCodes,
    /// App codes are refused everywhere.
    Disabled,
}

/// The failures that a right answer cleared, and the news for its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgiven {
    /// Failures of its lane that no longer count.
    pub failures: u32,
    /// Whether that lane had to wait.
    pub engaged: bool,
    /// Wrong answers since the last right one.
    pub since: Failures,
    /// How many of those are not from this place.
    pub elsewhere: u32,
    /// No right answer ever came from this place, as far as is remembered.
    pub new_place: bool,
}

/// Wrong answers since the last right one, of all lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Their number.
    pub count: u32,
    /// When the first one was, 0 for never.
    pub first: UnixTime,
    /// When the newest one from a network was, 0 for never.
    pub at: UnixTime,
    /// That network, masked with a key (docs/FILEFORMAT.md).
    pub from: [u8; 16],
}

/// One counter of failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureCounter {
    /// Failures that count.
    pub failures: u32,
    /// When the last one was, 0 for never.
    pub last_failure: UnixTime,
}

impl FailureCounter {
    /// Seconds to wait from `now` until the next attempt is checked; 0 for none.
    ///
    /// A last failure in the future (the clock was set back) counts as just now, so no stored time delays
    /// anyone for longer than the longest wait.
    #[must_use]
    pub fn wait(&self, now: UnixTime, rules: &ThrottleRules) -> u32 {
        let elapsed = now.saturating_sub(self.last_failure.min(now));
        penalty(self.failures, rules).saturating_sub(u32::try_from(elapsed).unwrap_or(u32::MAX))
    }

    /// Moves a last failure in the future to `now`. Otherwise a clock that was once ahead would delay
    /// everyone until that time comes.
    pub fn clamp(&mut self, now: UnixTime) {
        self.last_failure = self.last_failure.min(now);
    }

    /// The gate for an attempt at `now`.
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

/// A lane that forgets one failure per period, regardless of anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeakyLane {
    /// Its failures.
    pub lane: FailureCounter,
    /// When a failure was last forgotten.
    pub since: UnixTime,
}

/// The rate at which a [`LeakyLane`] forgets, and when it closes.
struct Leak {
    /// Seconds until one failure is forgotten.
    period: i64,
    /// Failures at which it is closed.
    closes_at: u32,
    rules: ThrottleRules,
}

impl Leak {
    /// Two fifths of all allowed failures: strangers and own processes together can't disable an account.
    fn of_strangers(rules: &ThrottleRules) -> Self {
        let max_wait = rules.max_wait.saturating_mul(STRANGERS_WAIT);
        let closes_at = rules.disable_after.saturating_mul(2) / 5;
        Self { period: DAY, closes_at, rules: ThrottleRules { max_wait, ..*rules } }
    }

    fn of_own(rules: &ThrottleRules) -> Self {
        Self { period: 900, closes_at: rules.disable_after / 5, rules: *rules }
    }
}

impl LeakyLane {
    /// Forgets the failures whose time is over at `now`.
    fn leak(&mut self, now: UnixTime, leak: &Leak) {
        self.lane.clamp(now);
        if self.lane.failures == 0 {
            return; // no change, so no write
        }
        self.since = self.since.min(now);
        let periods = now.saturating_sub(self.since) / leak.period;
        self.lane.failures = self.lane.failures.saturating_sub(u32::try_from(periods).unwrap_or(u32::MAX));
        self.since = self.since.saturating_add(periods.saturating_mul(leak.period));
    }

    fn wait(&self, now: UnixTime, leak: &Leak) -> u32 {
        let wait = self.lane.wait(now, &leak.rules);
        if self.lane.failures < leak.closes_at {
            return wait;
        }
        let next = self.since.min(now).saturating_add(leak.period).saturating_sub(now);
        wait.max(u32::try_from(next).unwrap_or(0))
    }

    fn fail(&mut self, now: UnixTime, leak: &Leak) -> Option<Engaged> {
        if self.lane.failures == 0 {
            self.since = now;
        }
        self.lane.fail(now);
        match self.lane.failures {
            failures if failures == leak.closes_at => Some(Engaged::Closed),
            failures if failures == leak.rules.free_failures => Some(Engaged::Waiting),
            _ => None,
        }
    }
}

/// A place from which a right answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamiliarPlace {
    /// The place.
    pub id: PlaceId,
    /// When the last right answer came from there.
    pub last_right: UnixTime,
    /// Its failures since then.
    pub lane: FailureCounter,
    /// Its failures since `day`, which right answers do not clear.
    pub day_failures: u32,
    /// When the first of them was.
    pub day: UnixTime,
}

impl FamiliarPlace {
    fn is_familiar(&self, now: UnixTime, rules: &ThrottleRules) -> bool {
        now.saturating_sub(self.last_right) < rules.familiar.into()
    }

    fn failures_of_day(&self, now: UnixTime) -> u32 {
        if now.saturating_sub(self.day) < DAY { self.day_failures } else { 0 }
    }

    fn fail(&mut self, now: UnixTime, rules: &ThrottleRules) -> Option<Engaged> {
        if self.failures_of_day(now) == 0 {
            (self.day, self.day_failures) = (now, 0);
        }
        self.day_failures = self.day_failures.saturating_add(1);
        self.lane.fail(now);
        match (self.day_failures, self.lane.failures) {
            (DAILY, _) => Some(Engaged::TwoCodes),
            (_, failures) if failures == rules.free_failures => Some(Engaged::Waiting),
            _ => None,
        }
    }
}

/// The counters of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// For places that are not familiar.
    pub strangers: LeakyLane,
    /// For the account's own processes.
    pub own: LeakyLane,
    /// For recovery codes.
    pub recovery: FailureCounter,
    /// Failures since the last right answer.
    pub since: Failures,
    pub(super) places: Vec<FamiliarPlace>,
    /// Right codes that rules with `remember` need not ask for again.
    pub remembered: RememberedCodes,
}

impl Throttle {
    /// A copy that can take all places without an allocation.
    pub(super) fn with_room(&self) -> Self {
        let mut places = Vec::with_capacity(MAX_PLACES);
        places.extend_from_slice(&self.places);
        Self { places, remembered: self.remembered.with_room(), ..*self }
    }

    fn place(&self, side: Side, now: UnixTime, rules: &ThrottleRules) -> Option<&FamiliarPlace> {
        let Side::Place(id) = side else { return None };
        self.places.iter().find(|place| place.id == id && place.is_familiar(now, rules))
    }

    /// As [`Throttle::place`], to change it.
    fn place_mut(&mut self, side: Side, now: UnixTime, rules: &ThrottleRules) -> Option<&mut FamiliarPlace> {
        let Side::Place(id) = side else { return None };
        self.places.iter_mut().find(|place| place.id == id && place.is_familiar(now, rules))
    }

    /// Whether a right answer came from there in the last [`ThrottleRules::familiar`] seconds.
    #[must_use]
    pub fn is_familiar(&self, side: Side, now: UnixTime, rules: &ThrottleRules) -> bool {
        self.place(side, now, rules).is_some()
    }

    /// How many places are familiar.
    #[must_use]
    pub fn places(&self, now: UnixTime, rules: &ThrottleRules) -> usize {
        self.places.iter().filter(|place| place.is_familiar(now, rules)).count()
    }

    /// Failures of codes that count, of all lanes.
    fn code_failures(&self) -> u32 {
        let places = self.places.iter().map(|place| place.lane.failures);
        places.fold(self.strangers.lane.failures.saturating_add(self.own.lane.failures), u32::saturating_add)
    }

    /// Failures that count, of every kind.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.code_failures().saturating_add(self.recovery.failures)
    }

    /// Failures that count, of one kind.
    #[must_use]
    pub fn failures_of(&self, factor: FactorKind) -> u32 {
        match factor {
            FactorKind::Code => self.code_failures(),
            FactorKind::Recovery => self.recovery.failures,
        }
    }

    /// Failures that count in the lane of an answer.
    #[must_use]
    pub fn failures_here(&self, factor: FactorKind, side: Side, now: UnixTime, rules: &ThrottleRules) -> u32 {
        match (factor, side) {
            (FactorKind::Recovery, _) => self.recovery.failures,
            (FactorKind::Code, Side::Own) => self.own.lane.failures,
            (FactorKind::Code, _) => {
                self.place(side, now, rules).map_or(self.strangers.lane, |place| place.lane).failures
            }
        }
    }

    /// True if app codes are refused even if they are right.
    #[must_use]
    pub fn is_disabled(&self, rules: &ThrottleRules) -> bool {
        self.code_failures() >= rules.disable_after
    }

    /// True if failures of any lane have begun to cost waiting.
    #[must_use]
    pub fn is_engaged(&self, rules: &ThrottleRules) -> bool {
        let lanes = [self.strangers.lane, self.own.lane, self.recovery].into_iter();
        lanes
            .chain(self.places.iter().map(|place| place.lane))
            .any(|lane| lane.failures >= rules.free_failures)
    }

    /// Whether the lanes of strangers and of the account's own processes are closed.
    #[must_use]
    pub fn closed(&self, rules: &ThrottleRules) -> [bool; 2] {
        let lanes = [(&self.strangers, Leak::of_strangers(rules)), (&self.own, Leak::of_own(rules))];
        lanes.map(|(lane, leak)| lane.lane.failures >= leak.closes_at)
    }

    /// Seconds to wait from `now` until an answer of this kind is checked; 0 for none. See
    /// [`FailureCounter::wait`].
    #[must_use]
    pub fn wait(&self, factor: FactorKind, side: Side, now: UnixTime, rules: &ThrottleRules) -> u32 {
        match (factor, side) {
            (FactorKind::Recovery, _) => self.recovery.wait(now, rules),
            (FactorKind::Code, Side::Own) => self.own.wait(now, &Leak::of_own(rules)),
            (FactorKind::Code, _) => self.place(side, now, rules).map_or_else(
                || self.strangers.wait(now, &Leak::of_strangers(rules)),
                |place| place.lane.wait(now, rules),
            ),
        }
    }

    /// Brings the counters to the present: forgets failures whose time is over, and moves times in the future
    /// to now. A disabled account stays disabled: it forgets nothing with time.
    pub fn advance(&mut self, now: UnixTime, rules: &ThrottleRules) {
        if !self.is_disabled(rules) {
            self.strangers.leak(now, &Leak::of_strangers(rules));
            self.own.leak(now, &Leak::of_own(rules));
        }
        self.recovery.clamp(now);
        for place in &mut self.places {
            place.lane.clamp(now);
            place.last_right = place.last_right.min(now);
            place.day = place.day.min(now);
        }
    }

    /// The gate for an attempt at `now`.
    #[must_use]
    pub fn gate(&self, factor: FactorKind, side: Side, now: UnixTime, rules: &ThrottleRules) -> Gate {
        match self.wait(factor, side, now, rules) {
            0 if factor == FactorKind::Recovery => Gate::Open,
            0 if self.is_disabled(rules) => Gate::Disabled,
            0 if self.place(side, now, rules).is_some_and(|place| place.failures_of_day(now) >= DAILY) => {
                Gate::TwoCodes
            }
            0 => Gate::Open,
            seconds => Gate::Wait(seconds),
        }
    }

    /// Counts one failure. Gives the limit that it reached.
    pub fn fail(
        &mut self,
        factor: FactorKind,
        side: Side,
        now: UnixTime,
        rules: &ThrottleRules,
    ) -> Option<Engaged> {
        // A recovery code can't be guessed, so the owner need not hear of one that was mistyped at a place of
        // theirs.
        if factor == FactorKind::Code || (side != Side::Own && !self.is_familiar(side, now, rules)) {
            if self.since.count == 0 {
                self.since.first = now;
            }
            self.since.count = self.since.count.saturating_add(1);
        }
        let engaged = match (factor, side, self.place_mut(side, now, rules)) {
            (FactorKind::Recovery, ..) => {
                self.recovery.fail(now);
                (self.recovery.failures == rules.free_failures).then_some(Engaged::Waiting)
            }
            (FactorKind::Code, Side::Own, _) => self.own.fail(now, &Leak::of_own(rules)),
            (FactorKind::Code, _, Some(place)) => place.fail(now, rules),
            (FactorKind::Code, _, None) => self.strangers.fail(now, &Leak::of_strangers(rules)),
        };
        let disabled = factor == FactorKind::Code && self.code_failures() == rules.disable_after;
        if disabled { Some(Engaged::Disabled) } else { engaged }
    }

    /// Records a right code of an app. It makes its place familiar and clears the failures of its lane.
    /// Strangers' failures fade only with time; otherwise a persistent attacker would gain guesses from each
    /// login of the owner.
    pub fn right(&mut self, side: Side, now: UnixTime, rules: &ThrottleRules) -> Forgiven {
        let (here, new_place) = match side {
            Side::Own => (std::mem::take(&mut self.own).lane.failures, false),
            Side::Place(id) => self.right_at(id, now).map_or((0, true), |failures| (failures, false)),
            Side::Nowhere => (0, false),
        };
        let since = std::mem::take(&mut self.since);
        let elsewhere = since.count.saturating_sub(here);
        Forgiven { failures: here, engaged: here >= rules.free_failures, since, elsewhere, new_place }
    }

    /// As [`Throttle::right`], if a failure of this side was counted a moment ago that was no guess: it is
    /// left in no counter.
    pub fn right_after_try(&mut self, side: Side, now: UnixTime, rules: &ThrottleRules) -> Forgiven {
        match self.place_mut(side, now, rules) {
            Some(place) => place.day_failures = place.day_failures.saturating_sub(1),
            None if side == Side::Own => {}
            None => self.strangers.lane.failures = self.strangers.lane.failures.saturating_sub(1),
        }
        let mut forgiven = self.right(side, now, rules);
        forgiven.since.count = forgiven.since.count.saturating_sub(1);
        forgiven.elsewhere = forgiven.elsewhere.min(forgiven.since.count); // of a stranger it was one of these
        forgiven
    }

    /// The failures of this place that no longer count. `None`: it is new.
    fn right_at(&mut self, id: PlaceId, now: UnixTime) -> Option<u32> {
        if let Some(known) = self.places.iter_mut().find(|place| place.id == id) {
            known.last_right = now;
            return Some(std::mem::take(&mut known.lane).failures);
        }
        let new =
            FamiliarPlace { id, last_right: now, lane: FailureCounter::default(), day_failures: 0, day: 0 };
        if self.places.len() < MAX_PLACES {
            self.places.push(new);
        } else if let Some(oldest) = self.places.iter_mut().min_by_key(|place| place.last_right) {
            *oldest = new;
        }
        None
    }

    /// A right recovery code: as [`Throttle::right`], and all failures of every lane are forgotten.
    pub fn recovered(&mut self, side: Side, now: UnixTime, rules: &ThrottleRules) -> Forgiven {
        let (failures, engaged) = (self.failures(), self.is_engaged(rules));
        let forgiven = self.right(side, now, rules);
        self.lift();
        Forgiven { failures, engaged, ..forgiven }
    }

    /// Forgets all failures of every lane, and remembered codes, but no place: a recovery code, a new device,
    /// or an admin's `unlock`.
    pub fn lift(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        for place in &mut places {
            (place.lane, place.day_failures) = (FailureCounter::default(), 0);
        }
        *self = Self { places, ..Self::default() };
    }

    /// Every place, those that are not familiar any more too.
    #[must_use]
    pub fn all_places(&self) -> &[FamiliarPlace] {
        &self.places
    }

    /// Makes a place familiar for a day at least, and forgets its failures: an admin vouches for it.
    pub fn trust(&mut self, id: PlaceId, now: UnixTime, rules: &ThrottleRules) {
        let before = self.places.iter().find(|place| place.id == id).map_or(0, |place| place.last_right);
        self.right_at(id, now);
        if let Some(place) = self.places.iter_mut().find(|place| place.id == id) {
            place.last_right = before.max(now - (i64::from(rules.familiar) - DAY));
            place.day_failures = 0;
        }
    }

    /// Forgets one place, and the remembered codes of it.
    pub fn forget_place(&mut self, side: Side) {
        self.places.retain(|place| Side::Place(place.id) != side);
        self.remembered.end_at(side);
    }

    /// Forgets every place, and remembered codes.
    pub fn forget_places(&mut self) {
        self.places.clear();
        self.remembered.clear();
    }
}

/// The wait that `failures` failures cost: 1, 2, 4 … seconds after the free ones.
pub(super) fn penalty(failures: u32, rules: &ThrottleRules) -> u32 {
    if failures < rules.free_failures {
        return 0;
    }
    let doublings = (failures - rules.free_failures).min(16);
    (1_u32 << doublings).min(rules.max_wait)
}

#[cfg(test)]
mod tests;
