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
    /// The owner added a device less than a day after using a recovery code.
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

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What an account remembers to recognise anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// The last wrong codes of strangers: from where (all zeros: unknown) and when, the newest last.
    wrong: [(PlaceId, UnixTime); GUESSES],
    /// When guessing was last named, 0 for never.
    guessed: UnixTime,
    /// When the last right answer came, 0 for never.
    last_right: UnixTime,
    /// From where, if from a remote host.
    right_from: PlaceId,
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
        if oldest != 0 && now - oldest <= GUESSING && !within(self.guessed, HOUR, now) {
            self.guessed = now;
            self.find(Anomaly::CodesGuessed);
        }
    }

    /// A right answer. `new`: none ever came from there; `remote`: it came from a remote host.
    pub fn right(&mut self, side: Side, (new, remote): (bool, bool), now: UnixTime) {
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
            if now - self.last_right > DORMANT {
                self.find(Anomaly::Dormant);
            }
        }
        self.last_right = now;
        self.right_from = if remote { here } else { PlaceId::default() };
    }

    /// Forgets the wrong codes from there.
    fn forget_wrong(&mut self, here: PlaceId) {
        let before = std::mem::take(&mut self.wrong);
        let others = before.iter().rev().filter(|(from, _)| *from != here);
        self.wrong.iter_mut().rev().zip(others).for_each(|(slot, wrong)| *slot = *wrong);
    }

    /// The last accepted code, given again from a remote host.
    pub fn repeated(&mut self, side: Side, now: UnixTime) {
        let (here, nowhere) = (place_of(side), PlaceId::default());
        let elsewhere = here != nowhere && self.right_from != nowhere && here != self.right_from;
        // At most once an hour.
        let told = self.two_codes_until - DAY;
        if elsewhere && within(self.last_right, CODE_LIVES, now) && !within(told, HOUR, now) {
            self.two_codes_until = now + DAY;
            self.find(Anomaly::Intercepted);
        }
    }

    /// A recovery code was used.
    pub fn recovered(&mut self, now: UnixTime) {
        self.recovered = now;
    }

    /// The owner added a device.
    pub fn enrolled(&mut self, now: UnixTime) {
        if within(std::mem::take(&mut self.recovered), DAY, now) {
            self.find(Anomaly::EnrolledAfterRecovery);
        }
    }

    /// Until when places that are not familiar must give two consecutive codes, because a code was
    /// intercepted.
    #[must_use]
    pub fn two_codes_until(&self, now: UnixTime) -> Option<UnixTime> {
        // Not for longer than a day, whatever the clock did.
        Some(self.two_codes_until).filter(|until| (1..=DAY).contains(&(until - now)))
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
        signs.right_from = PlaceId(take(rest)?);
        for at in
            [&mut signs.guessed, &mut signs.last_right, &mut signs.recovered, &mut signs.two_codes_until]
        {
            *at = i64::from_le_bytes(take(rest)?);
        }
        Ok(signs)
    }
}

/// Whether `at` is at most so many seconds ago. 0 is never.
fn within(at: UnixTime, seconds: i64, now: UnixTime) -> bool {
    at != 0 && now.saturating_sub(at) <= seconds
}

/// All zeros if it can't be told apart from others.
fn place_of(side: Side) -> PlaceId {
    if let Side::Place(id) = side { id } else { PlaceId::default() }
}
