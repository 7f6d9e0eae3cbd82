//! Signs of an attack in an account's state: answers that look harmless one by one but not together. Each
//! names an [`Anomaly`]; none refuses an answer, because a stranger could cause it.

use super::bytes::{StateError, take};
use super::{PlaceId, Side};
use qrtotp_values::UnixTime;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Wrong codes of strangers that are remembered, and that are an anomaly within [`GUESSING`] seconds.
const GUESSES: usize = 5;
const GUESSING: i64 = 10 * MINUTE;
/// Wrong codes within an hour from a place, after which a right one from there is an anomaly.
const FAILED_BEFORE: usize = 3;
/// An accepted code that is given again from another place within so many seconds is known to two people.
const CODE_LIVES: i64 = 90;
/// Seconds without a login after which the next one is an anomaly.
const DORMANT: i64 = 90 * DAY;

/// An anomaly that an account's state shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// The last accepted code was given again, from another place. For a day, places that are not familiar
    /// must give two consecutive codes.
    Intercepted,
    /// Strangers gave five wrong codes within ten minutes.
    CodesGuessed,
    /// A right answer came from a new place, after three wrong codes there within an hour.
    FailedThenIn,
    /// A right answer came from a place where none ever came from.
    NewPlace,
    /// A right answer came after more than 90 days without one.
    Dormant,
    /// The owner added a device less than a day after using a recovery code, or after a right answer from a
    /// place where none ever came from.
    EnrolledAfterRecovery,
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Intercepted,
        Self::CodesGuessed,
        Self::FailedThenIn,
        Self::NewPlace,
        Self::Dormant,
        Self::EnrolledAfterRecovery,
    ];

    /// The name of the rule that finds it: the reason in its line.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Intercepted => "intercepted",
            Self::CodesGuessed => "codes-guessed",
            Self::FailedThenIn => "failed-then-in",
            Self::NewPlace => "new-place",
            Self::Dormant => "dormant",
            Self::EnrolledAfterRecovery => "enrolled-after-recovery",
        }
    }

    /// The facts, in words: the detail of its line.
    #[must_use]
    pub fn because(self) -> &'static str {
        match self {
            Self::Intercepted => {
                "the last accepted code was given again from another place: somebody else may know it; for a day, \
                 places that are not familiar must give two codes where they can be asked for them"
            }
            Self::CodesGuessed => {
                "five wrong codes within ten minutes from places that are not familiar; where the password is asked \
                 first, somebody knows it"
            }
            Self::FailedThenIn => {
                "a right answer after three wrong codes or more within an hour, from a place that was not familiar"
            }
            Self::NewPlace => "the first right answer from there, as far as is remembered",
            Self::Dormant => "the first right answer in more than 90 days",
            Self::EnrolledAfterRecovery => {
                "the owner added a device less than a day after a recovery code, or after a login from a new place: a \
                 new phone, or somebody who found the codes or relayed one"
            }
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The memory of an account for recognising anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// The last wrong codes of strangers: from where (all zeros: unknown) and when, the newest last.
    wrong: [(PlaceId, UnixTime); GUESSES],
    /// When guessing was last named, 0 for never.
    guessed: UnixTime,
    /// When the last right answer came, 0 for never.
    last_right: UnixTime,
    /// The network that it came from, if that is known.
    right_from: PlaceId,
    /// The place that it made familiar, if it was new. Answers of the account's own processes keep it.
    made: PlaceId,
    /// When the last recovery code was used, 0 for never.
    recovered: UnixTime,
    /// Until when two codes are demanded at places that are not familiar, 0 for never.
    two_codes_until: UnixTime,
    /// The anomalies of this update, a bit each. Not part of the stored form.
    found: u8,
}

impl Signs {
    /// A wrong code of a stranger.
    pub fn wrong(&mut self, side: Side, now: UnixTime) {
        self.wrong.rotate_left(1);
        self.wrong[GUESSES - 1] = (place_of(side), now);
        let (_, oldest) = self.wrong[0];
        if within(oldest, GUESSING, now) && !was_within(self.guessed, HOUR, now) {
            self.guessed = now;
            self.find(Anomaly::CodesGuessed);
        }
    }

    /// A right answer, from this network if it is known. `new`: none ever came from this side.
    pub fn right(&mut self, side: Side, new: bool, network: Option<PlaceId>, now: UnixTime) {
        let here = place_of(side);
        if here != PlaceId::default() {
            let wrong = self.wrong.iter().filter(|(from, at)| *from == here && within(*at, HOUR, now));
            if wrong.count() >= FAILED_BEFORE {
                self.find(Anomaly::FailedThenIn);
            }
            self.forget_wrong(here);
        }
        if self.last_right != 0 {
            if new {
                self.find(Anomaly::NewPlace);
            }
            if now.saturating_sub(self.last_right) > DORMANT {
                self.find(Anomaly::Dormant);
            }
        }
        self.last_right = now;
        self.right_from = network.unwrap_or_default();
        self.made = match side {
            Side::Own if network.is_none() => self.made, // the session may be that of the login from there
            _ if new => here,
            _ => PlaceId::default(),
        };
    }

    /// Forgets the wrong codes from there.
    fn forget_wrong(&mut self, here: PlaceId) {
        let before = std::mem::take(&mut self.wrong);
        let others = before.iter().rev().filter(|(from, _)| *from != here);
        self.wrong.iter_mut().rev().zip(others).for_each(|(slot, wrong)| *slot = *wrong);
    }

    /// The last accepted code, given again from this network; `familiar`: from a familiar place. If it was
    /// intercepted, gives the place that it made familiar, which may be the attacker's. Of two places that
    /// were familiar before, both are the owner's: another address, or another host of a fleet.
    pub fn repeated(&mut self, network: PlaceId, familiar: bool, now: UnixTime) -> Option<Side> {
        let elsewhere = self.right_from != PlaceId::default() && self.right_from != network;
        let new = self.made != PlaceId::default();
        if !elsewhere || (familiar && !new) || !within(self.last_right, CODE_LIVES, now) {
            return None;
        }
        if !was_within(self.two_codes_until.saturating_sub(DAY), HOUR, now) {
            self.two_codes_until = now.saturating_add(DAY);
            self.find(Anomaly::Intercepted);
        }
        let made = std::mem::take(&mut self.made);
        Some(if new { Side::Place(made) } else { Side::Nowhere })
    }

    /// A recovery code was used.
    pub fn recovered(&mut self, now: UnixTime) {
        self.recovered = now;
    }

    /// The owner added a device, and right answers came from so many places. The first one is nobody else's.
    pub fn enrolled(&mut self, places: usize, now: UnixTime) {
        let made = std::mem::take(&mut self.made);
        let from_new_place = made != PlaceId::default() && places > 1;
        if within(std::mem::take(&mut self.recovered), DAY, now) || from_new_place {
            self.find(Anomaly::EnrolledAfterRecovery);
        }
    }

    /// Until when places that are not familiar must give two consecutive codes, because a code was
    /// intercepted.
    #[must_use]
    pub fn two_codes_until(&self, now: UnixTime) -> Option<UnixTime> {
        // It ends if the clock is set back by more than a day.
        Some(self.two_codes_until).filter(|until| (1..=2 * DAY).contains(&until.saturating_sub(now)))
    }

    /// One code is enough again: an administrator says so.
    pub fn one_code_is_enough(&mut self) {
        self.two_codes_until = 0;
    }

    fn find(&mut self, anomaly: Anomaly) {
        self.found |= anomaly.bit();
    }

    /// The anomalies of this update, each once.
    pub fn take_found(&mut self) -> impl Iterator<Item = Anomaly> + use<> {
        let found = std::mem::take(&mut self.found);
        Anomaly::ALL.into_iter().filter(move |anomaly| found & anomaly.bit() != 0)
    }

    /// Appends the binary form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let known = self.wrong.iter().filter(|(_, at)| *at != 0);
        out.push(known.clone().count() as u8);
        for (from, at) in known {
            out.extend_from_slice(&from.0);
            out.extend_from_slice(&at.to_le_bytes());
        }
        out.extend_from_slice(&self.right_from.0);
        out.extend_from_slice(&self.made.0);
        for at in [self.guessed, self.last_right, self.recovered, self.two_codes_until] {
            out.extend_from_slice(&at.to_le_bytes());
        }
    }

    /// Reads the binary form.
    pub(super) fn take(rest: &mut &[u8]) -> Result<Self, StateError> {
        let mut signs = Self::default();
        let [count] = take(rest)?;
        let unused = GUESSES.checked_sub(count.into()).ok_or(StateError)?;
        for wrong in &mut signs.wrong[unused..] {
            *wrong = (PlaceId(take(rest)?), i64::from_le_bytes(take(rest)?));
            if wrong.1 == 0 {
                return Err(StateError);
            }
        }
        (signs.right_from, signs.made) = (PlaceId(take(rest)?), PlaceId(take(rest)?));
        for at in
            [&mut signs.guessed, &mut signs.last_right, &mut signs.recovered, &mut signs.two_codes_until]
        {
            *at = i64::from_le_bytes(take(rest)?);
        }
        Ok(signs)
    }
}

/// Whether `at` is at most so many seconds ago, or in the future: the clock was set back. 0 is never.
fn within(at: UnixTime, seconds: i64, now: UnixTime) -> bool {
    at != 0 && now.saturating_sub(at) <= seconds
}

/// The same, for what is kept silent so long: not if `at` is in the future.
fn was_within(at: UnixTime, seconds: i64, now: UnixTime) -> bool {
    within(at, seconds, now) && at <= now
}

/// All zeros if it can't be told apart from others.
fn place_of(side: Side) -> PlaceId {
    if let Side::Place(id) = side { id } else { PlaceId::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use Anomaly::{CodesGuessed, Dormant, EnrolledAfterRecovery, FailedThenIn, Intercepted, NewPlace};

    const NOW: UnixTime = 1_790_000_000;
    const HOME: Side = Side::Place(PlaceId([1; 8]));
    const ABROAD: Side = Side::Place(PlaceId([2; 8]));

    /// The network of a place; of ours, one each.
    fn network(side: Side) -> PlaceId {
        let PlaceId([n, ..]) = place_of(side);
        PlaceId([n + 100; 8])
    }

    fn found(signs: &mut Signs) -> Vec<Anomaly> {
        signs.take_found().collect()
    }

    /// Wrong codes from there, at these seconds.
    fn wrong(signs: &mut Signs, side: Side, seconds: impl IntoIterator<Item = i64>) -> Vec<Anomaly> {
        seconds
            .into_iter()
            .flat_map(|at| {
                signs.wrong(side, NOW + at);
                found(signs)
            })
            .collect()
    }

    /// A right code from there.
    fn right(signs: &mut Signs, side: Side, new: bool, at: i64) -> Vec<Anomaly> {
        signs.right(side, new, Some(network(side)), NOW + at);
        found(signs)
    }

    #[test]
    fn five_wrong_codes_of_strangers_within_ten_minutes_are_guesses_and_named_once_an_hour() {
        let mut signs = Signs::default();
        assert_eq!(wrong(&mut signs, ABROAD, [0, 200, 400, 601, 700]), []);
        assert_eq!(wrong(&mut signs, Side::Nowhere, [800]), [CodesGuessed]);
        assert_eq!(wrong(&mut signs, HOME, [810, 820, 830, 840, 850, 860, 4400]), []);
        assert_eq!(wrong(&mut signs, HOME, [4500, 4510, 4520, 4530]), [CodesGuessed]);
    }

    #[test]
    fn a_right_code_after_three_wrong_ones_from_there_is_named_and_they_are_forgotten() {
        let mut signs = Signs::default();
        wrong(&mut signs, ABROAD, [0, 60]);
        wrong(&mut signs, HOME, [70]);
        assert_eq!(right(&mut signs, ABROAD, true, 80), []);
        wrong(&mut signs, ABROAD, [100, 160, 220]);
        assert_eq!(right(&mut signs, ABROAD, false, 230), [FailedThenIn]);
        assert_eq!(right(&mut signs, ABROAD, false, 240), []);
        assert_eq!(signs.wrong[GUESSES - 1], (PlaceId([1; 8]), NOW + 70), "other places' stay");
        wrong(&mut signs, ABROAD, [300, 310, 320]);
        assert_eq!(right(&mut signs, ABROAD, false, 320 + HOUR), [], "long ago");
    }

    #[test]
    fn a_new_place_and_the_end_of_a_long_silence_are_named_if_there_was_a_login_before() {
        let mut signs = Signs::default();
        assert_eq!(right(&mut signs, HOME, true, 0), []);
        assert_eq!(right(&mut signs, ABROAD, true, 10), [NewPlace]);
        assert_eq!(right(&mut signs, HOME, false, 10 + DORMANT), []);
        assert_eq!(right(&mut signs, Side::Own, false, 11 + 2 * DORMANT), [Dormant]);
    }

    /// The last code again, from the network of this place: whether that is an anomaly.
    fn repeated(signs: &mut Signs, side: Side, at: i64) -> bool {
        signs.repeated(network(side), false, NOW + at);
        !found(signs).is_empty()
    }

    #[test]
    fn the_last_code_from_another_network_within_its_life_is_intercepted_and_demands_two_codes_for_a_day() {
        let mut signs = Signs::default();
        assert!(!repeated(&mut signs, ABROAD, 0), "no code was accepted");
        right(&mut signs, HOME, false, 0);
        assert!(!repeated(&mut signs, HOME, 5));
        assert!(!repeated(&mut signs, ABROAD, 91));
        assert_eq!(signs.two_codes_until(NOW + 91), None);
        assert!(repeated(&mut signs, ABROAD, 90));
        assert_eq!(signs.two_codes_until(NOW + 91), Some(NOW + 90 + DAY));
        assert!(!repeated(&mut signs, ABROAD, 90), "once an hour");
        for (at, is_due) in [(90 + DAY - 1, true), (90 + DAY, false), (90 - DAY, true), (89 - DAY, false)] {
            assert_eq!(signs.two_codes_until(NOW + at).is_some(), is_due, "{at}");
        }
        signs.one_code_is_enough();
        assert_eq!(signs.two_codes_until(NOW + 91), None);
    }

    #[test]
    fn the_place_that_an_intercepted_code_made_familiar_is_named_once() {
        let mut signs = Signs::default();
        for (new, named) in [(true, ABROAD), (false, Side::Nowhere)] {
            right(&mut signs, ABROAD, new, 0);
            assert_eq!(signs.repeated(network(HOME), false, NOW + 5), Some(named));
            assert_eq!(signs.repeated(network(HOME), false, NOW + 5), Some(Side::Nowhere));
        }
    }

    #[test]
    fn a_code_from_two_familiar_places_is_the_owners() {
        let mut signs = Signs::default();
        for (new, is_intercepted) in [(false, false), (true, true)] {
            right(&mut signs, ABROAD, new, 0);
            assert_eq!(signs.repeated(network(HOME), true, NOW + 5).is_some(), is_intercepted);
            assert_eq!(found(&mut signs).len(), usize::from(is_intercepted));
        }
    }

    #[test]
    fn a_code_that_was_accepted_without_a_network_is_not_intercepted() {
        let mut signs = Signs::default();
        for side in [Side::Own, HOME] {
            signs.right(side, false, None, NOW);
            assert!(!repeated(&mut signs, ABROAD, 5));
        }
    }

    #[test]
    fn a_clock_that_was_once_ahead_keeps_nothing_silent() {
        let mut signs = Signs::default();
        wrong(&mut signs, ABROAD, (0..5).map(|n| 9 * DAY + n));
        assert_eq!(wrong(&mut signs, ABROAD, 0..5), [CodesGuessed]);
        right(&mut signs, HOME, false, 9 * DAY);
        assert!(repeated(&mut signs, ABROAD, 9 * DAY));
        right(&mut signs, HOME, false, 0);
        assert!(repeated(&mut signs, ABROAD, 5));
    }

    #[test]
    fn no_time_in_a_state_is_too_large_or_too_small() {
        for at in [i64::MIN, i64::MAX] {
            let mut signs =
                Signs { guessed: at, last_right: at, recovered: at, two_codes_until: at, ..Signs::default() };
            signs.wrong = [(PlaceId([1; 8]), at); GUESSES];
            signs.right_from = PlaceId([1; 8]);
            for now in [i64::MIN, 0, i64::MAX] {
                signs.wrong(HOME, now);
                let _ = (signs.repeated(network(ABROAD), false, now), signs.two_codes_until(now));
                signs.enrolled(2, now);
                signs.right(HOME, true, None, now);
            }
        }
    }

    #[test]
    fn a_device_within_a_day_of_a_recovery_code_is_named_once() {
        let mut signs = Signs::default();
        signs.enrolled(2, NOW);
        assert_eq!(found(&mut signs), []);
        for (at, expected) in [(DAY, vec![EnrolledAfterRecovery]), (DAY + 1, vec![])] {
            signs.recovered(NOW);
            signs.enrolled(2, NOW + at);
            assert_eq!(found(&mut signs), expected, "{at}");
        }
        signs.recovered(NOW);
        signs.enrolled(2, NOW + 1);
        signs.enrolled(2, NOW + 2);
        assert_eq!(found(&mut signs), [EnrolledAfterRecovery]);
    }

    #[test]
    fn a_device_is_named_once_if_the_last_login_came_from_a_new_place_and_the_account_has_others() {
        let named = |places, answers: &[(Side, bool)]| {
            let mut signs = Signs::default();
            for (side, new) in answers {
                let network = (*side != Side::Own).then_some(PlaceId([9; 8]));
                signs.right(*side, *new, network, NOW);
            }
            let _ = found(&mut signs);
            signs.enrolled(places, NOW + 60);
            signs.enrolled(places, NOW + 61);
            found(&mut signs)
        };
        let proof = (Side::Own, false);
        assert_eq!(named(2, &[(ABROAD, true), proof]), [EnrolledAfterRecovery]);
        assert_eq!(named(2, &[(ABROAD, true), proof, proof]), [EnrolledAfterRecovery]);
        assert_eq!(named(1, &[(ABROAD, true), proof]), [], "the first place");
        assert_eq!(named(2, &[(ABROAD, true), (HOME, false), proof]), []);
        assert_eq!(named(2, &[(ABROAD, true), (Side::Nowhere, false), proof]), []);
        assert_eq!(named(2, &[proof]), []);
    }

    #[test]
    fn a_right_answer_of_an_own_process_is_not_intercepted_at_the_place_of_the_login_before() {
        let mut signs = Signs::default();
        right(&mut signs, ABROAD, true, 0);
        signs.right(Side::Own, false, None, NOW + 1);
        assert_eq!(signs.repeated(network(HOME), false, NOW + 2), None);
        assert!(!found(&mut signs).contains(&Intercepted));
    }

    #[test]
    fn signs_read_back_as_written_and_no_others_are_read() {
        let mut signs = Signs::default();
        for n in 0..9_u8 {
            let mut out = Vec::new();
            signs.encode(&mut out);
            assert_eq!(out.len(), 49 + 16 * usize::from(n.min(5)));
            assert_eq!(Signs::take(&mut &*out), Ok(signs));
            assert_eq!(Signs::take(&mut &out[..out.len() - 1]), Err(StateError));
            out[0] = 6;
            out.extend([0; 99]);
            assert_eq!(Signs::take(&mut &*out), Err(StateError));
            signs.wrong(Side::Place(PlaceId([n; 8])), NOW + i64::from(n));
            (signs.last_right, signs.recovered, signs.right_from) = (3, 4, PlaceId([n; 8]));
            signs.take_found().for_each(drop);
        }
        assert_eq!(Signs::take(&mut &[&[1_u8][..], &[0; 64]].concat()[..]), Err(StateError), "at no time");
    }
}
