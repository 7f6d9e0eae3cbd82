//! The hot part of a record, which changes at every login. Fixed binary form, see docs/FILEFORMAT.md.
//!
//! Entries carry the id of the credential or recovery set they belong to, so that a crash between the two
//! files of a record can't pair new hashes with old used-marks, or revive a used code.

use super::bytes::{StateError, take};
use super::throttle::{FamiliarPlace, LeakyLane};
use super::{
    Chain, CredentialId, FailureCounter, Failures, MAX_PLACES, MAX_REMEMBERED, PlaceId, RecordId, Remembered,
    RememberedCodes, SetId, Signs, Throttle,
};
use qrtotp_otp::Step;
use qrtotp_values::UnixTime;

/// Most credentials that a record can hold.
pub const MAX_CREDENTIAL_STATES: usize = 32;
/// How many accepted codes are remembered.
const RECENT: usize = 16;
/// A keyed digest of an accepted code. All zeros: none.
pub type CodeDigest = [u8; 8];

/// The remembered state of one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialState {
    /// The credential.
    pub credential: CredentialId,
    /// The last accepted step (RFC 6238 §5.2: no code twice). Only rises.
    pub watermark: Step,
    /// When it was last used, 0 for never.
    pub last_used: UnixTime,
    /// Steps by which the device's clock is ahead of ours. Set by resynchronisation.
    pub drift: i32,
}

/// The decision about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Right, and the code is burnt.
    Accepted,
    /// Wrong, and counted.
    Refused,
}

/// The hot part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The record it belongs to.
    pub record: RecordId,
    /// Counters of failures.
    pub throttle: Throttle,
    /// A bit per used recovery code, and the set of those codes; no bit and no set if none was ever used. Not
    /// an `Option`: an optimiser may compare bytes that `None` leaves unwritten, which valgrind reports as an
    /// error.
    recovery: (SetId, u32),
    /// The last accepted codes, the newest one last.
    recent: [CodeDigest; RECENT],
    credentials: Vec<CredentialState>,
    /// Signs of an attack.
    pub signs: Signs,
    /// The account's audit lines.
    pub chain: Chain,
    /// The decision of the update that changes the state. Not part of the stored form: a fleet's store keeps
    /// it beside the state.
    pub decision: Option<Decision>,
}

impl State {
    /// The state of a new record.
    #[must_use]
    pub fn new(record: RecordId) -> Self {
        let (throttle, recovery) = (Throttle::default(), no_recovery());
        let (recent, credentials, signs) = (Default::default(), Vec::new(), Signs::default());
        Self {
            record,
            throttle,
            recovery,
            recent,
            credentials,
            signs,
            chain: Chain::new(record),
            decision: None,
        }
    }

    /// A copy that can take a mark for each credential of a record, every place and new audit lines without
    /// allocating.
    #[must_use]
    pub fn with_room(&self) -> Self {
        let mut credentials = Vec::with_capacity(MAX_CREDENTIAL_STATES.max(self.credentials.len()));
        credentials.extend_from_slice(&self.credentials);
        Self { credentials, throttle: self.throttle.with_room(), chain: self.chain.with_room(), ..*self }
    }

    /// The remembered state of a credential; none if it was never used.
    #[must_use]
    pub fn credential_state(&self, credential: CredentialId) -> Option<&CredentialState> {
        self.credentials.iter().find(|known| known.credential == credential)
    }

    /// True if a code of `step` may still be accepted.
    #[must_use]
    pub fn is_fresh(&self, credential: CredentialId, step: Step) -> bool {
        self.credential_state(credential).is_none_or(|known| step > known.watermark)
    }

    /// Whether the code is the last one that was accepted.
    #[must_use]
    pub fn is_last_code(&self, code: CodeDigest) -> bool {
        self.recent[RECENT - 1] == code
    }

    /// Whether the code is one of the last that were accepted.
    #[must_use]
    pub fn is_recent(&self, code: CodeDigest) -> bool {
        code != CodeDigest::default() && self.recent.contains(&code)
    }

    /// Remembers an accepted code, replacing the oldest one.
    pub fn remember_code(&mut self, code: CodeDigest) {
        self.recent.rotate_left(1);
        self.recent[RECENT - 1] = code;
    }

    /// Burns every step up to `step` and, if `used` is set, notes the use. A watermark never falls.
    pub fn raise(&mut self, credential: CredentialId, step: Step, used: Option<UnixTime>) {
        let index =
            self.credentials.iter().position(|known| known.credential == credential).unwrap_or_else(|| {
                self.credentials.push(CredentialState { credential, watermark: 0, last_used: 0, drift: 0 });
                self.credentials.len() - 1
            });
        let known = &mut self.credentials[index];
        known.watermark = known.watermark.max(step);
        if let Some(at) = used {
            known.last_used = at;
        }
    }

    /// Records that a device's clock is this many steps ahead of ours.
    pub fn set_drift(&mut self, credential: CredentialId, steps: i32) {
        self.raise(credential, 0, None);
        if let Some(known) = self.credentials.iter_mut().find(|known| known.credential == credential) {
            known.drift = steps;
        }
    }

    /// Forgets credentials that are not in `known`.
    pub fn retain(&mut self, known: impl Fn(CredentialId) -> bool) {
        self.credentials.retain(|state| known(state.credential));
    }

    /// How many codes of `set` are used.
    #[must_use]
    pub fn recovery_used(&self, set: SetId) -> u32 {
        self.used_bits(set).count_ones()
    }

    /// Uses up code number `position` (below 32) of `set`. False if it was used before.
    pub fn use_recovery(&mut self, set: SetId, position: u8) -> bool {
        let bits = self.used_bits(set);
        let bit = 1_u32.checked_shl(u32::from(position)).unwrap_or(0);
        if bit == 0 || bits & bit != 0 {
            return false;
        }
        self.recovery = (set, bits | bit);
        true
    }

    fn used_bits(&self, set: SetId) -> u32 {
        let (known, bits) = self.recovery;
        if known == set { bits } else { 0 }
    }

    /// Appends the binary form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.record.0);
        let Throttle { strangers, own, recovery, since, places, remembered } = &self.throttle;
        for leaky in [strangers, own] {
            encode_lane(&leaky.lane, out);
            out.extend_from_slice(&leaky.since.to_le_bytes());
        }
        encode_lane(recovery, out);
        out.extend_from_slice(&since.count.to_le_bytes());
        out.extend_from_slice(&since.first.to_le_bytes());
        out.extend_from_slice(&since.at.to_le_bytes());
        out.extend_from_slice(&since.from);
        match self.recovery {
            (_, 0) => out.push(0),
            (set, bits) => {
                out.push(1);
                out.extend_from_slice(&set.to_bytes());
                out.extend_from_slice(&bits.to_le_bytes());
            }
        }
        out.extend_from_slice(self.recent.as_flattened());
        out.push(u8::try_from(self.credentials.len()).unwrap_or(u8::MAX));
        for known in &self.credentials {
            out.extend_from_slice(&known.credential.to_bytes());
            out.extend_from_slice(&known.watermark.to_le_bytes());
            out.extend_from_slice(&known.last_used.to_le_bytes());
            out.extend_from_slice(&known.drift.to_le_bytes());
        }
        out.push(u8::try_from(places.len()).unwrap_or(u8::MAX));
        for place in places {
            out.extend_from_slice(&place.id.0);
            out.extend_from_slice(&place.last_right.to_le_bytes());
            encode_lane(&place.lane, out);
            out.extend_from_slice(&place.day_failures.to_le_bytes());
            out.extend_from_slice(&place.day.to_le_bytes());
        }
        out.push(u8::try_from(remembered.0.len()).unwrap_or(u8::MAX));
        for code in &remembered.0 {
            out.extend_from_slice(&code.origin);
            out.extend_from_slice(&code.place);
            out.extend_from_slice(&code.credential.to_bytes());
            out.extend_from_slice(&code.at.to_le_bytes());
        }
        self.signs.encode(out);
        self.chain.encode(out);
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// Anything that [`State::encode`] does not produce.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        Self::take_all(&mut &*bytes, true)
    }

    /// Reads the form that slots of versions 3 and 4 hold: without signs of an attack.
    ///
    /// # Errors
    /// Any other bytes.
    pub fn from_version_4(bytes: &[u8]) -> Result<Self, StateError> {
        Self::take_all(&mut &*bytes, false)
    }

    fn take_all(rest: &mut &[u8], with_signs: bool) -> Result<Self, StateError> {
        let mut state = Self::take_version_2(rest)?;
        state.throttle.remembered = RememberedCodes(take_remembered(rest)?);
        if with_signs {
            state.signs = Signs::take(rest)?;
        }
        state.chain = Chain::take(rest)?;
        Ok(state)
    }

    /// Reads the form that slots of version 2 hold: without remembered codes and a chain.
    ///
    /// # Errors
    /// Any other bytes.
    pub fn from_version_2(bytes: &[u8]) -> Result<Self, StateError> {
        let rest = &mut &*bytes;
        let mut state = Self::take_version_2(rest)?;
        state.chain = Chain::new(state.record);
        if rest.is_empty() { Ok(state) } else { Err(StateError) }
    }

    /// The state up to its remembered codes, whose list and all behind it stay empty.
    fn take_version_2(rest: &mut &[u8]) -> Result<Self, StateError> {
        let record = RecordId(take(rest)?);
        let mut throttle = Throttle::default();
        for leaky in [&mut throttle.strangers, &mut throttle.own] {
            *leaky = LeakyLane { lane: take_lane(rest)?, since: i64::from_le_bytes(take(rest)?) };
        }
        throttle.recovery = take_lane(rest)?;
        throttle.since = Failures {
            count: u32::from_le_bytes(take(rest)?),
            first: i64::from_le_bytes(take(rest)?),
            at: i64::from_le_bytes(take(rest)?),
            from: take(rest)?,
        };
        let recovery = take_recovery(rest)?;
        let mut recent = [CodeDigest::default(); RECENT];
        for code in &mut recent {
            *code = take(rest)?;
        }
        let credentials = take_credential_states(rest)?;
        throttle.places = take_places(rest)?;
        let (signs, chain) = (Signs::default(), Chain::default());
        Ok(Self { record, throttle, recovery, recent, credentials, signs, chain, decision: None })
    }

    /// Reads the form that slots of version 1 hold: without places, and with one lane for all codes, whose
    /// failures now count as strangers'.
    ///
    /// # Errors
    /// Any other bytes.
    pub fn from_version_1(bytes: &[u8]) -> Result<Self, StateError> {
        let rest = &mut &*bytes;
        let mut state = Self::new(RecordId(take(rest)?));
        let lane = take_lane(rest)?;
        state.throttle.strangers = LeakyLane { lane, since: lane.last_failure };
        state.throttle.recovery = take_lane(rest)?;
        state.recovery = take_recovery(rest)?;
        state.credentials = take_credential_states(rest)?;
        if rest.is_empty() { Ok(state) } else { Err(StateError) }
    }
}

fn encode_lane(lane: &FailureCounter, out: &mut Vec<u8>) {
    out.extend_from_slice(&lane.failures.to_le_bytes());
    out.extend_from_slice(&lane.last_failure.to_le_bytes());
}

fn take_lane(rest: &mut &[u8]) -> Result<FailureCounter, StateError> {
    let failures = u32::from_le_bytes(take(rest)?);
    Ok(FailureCounter { failures, last_failure: i64::from_le_bytes(take(rest)?) })
}

fn take_recovery(rest: &mut &[u8]) -> Result<(SetId, u32), StateError> {
    match take(rest)? {
        [0] => Ok(no_recovery()),
        [1] => {
            let set = SetId::from_bytes(take(rest)?).map_err(|_| StateError)?;
            match u32::from_le_bytes(take(rest)?) {
                0 => Err(StateError),
                bits => Ok((set, bits)),
            }
        }
        _ => Err(StateError),
    }
}

fn take_credential_states(rest: &mut &[u8]) -> Result<Vec<CredentialState>, StateError> {
    take_list(
        rest,
        MAX_CREDENTIAL_STATES,
        |known: &CredentialState| known.credential,
        |rest| {
            Ok(CredentialState {
                credential: CredentialId::from_bytes(take(rest)?).map_err(|_| StateError)?,
                watermark: u64::from_le_bytes(take(rest)?),
                last_used: i64::from_le_bytes(take(rest)?),
                drift: i32::from_le_bytes(take(rest)?),
            })
        },
    )
}

fn take_places(rest: &mut &[u8]) -> Result<Vec<FamiliarPlace>, StateError> {
    take_list(
        rest,
        MAX_PLACES,
        |place: &FamiliarPlace| place.id,
        |rest| {
            Ok(FamiliarPlace {
                id: PlaceId(take(rest)?),
                last_right: i64::from_le_bytes(take(rest)?),
                lane: take_lane(rest)?,
                day_failures: u32::from_le_bytes(take(rest)?),
                day: i64::from_le_bytes(take(rest)?),
            })
        },
    )
}

fn take_remembered(rest: &mut &[u8]) -> Result<Vec<Remembered>, StateError> {
    take_list(
        rest,
        MAX_REMEMBERED,
        |code: &Remembered| code.origin,
        |rest| {
            Ok(Remembered {
                origin: take(rest)?,
                place: take(rest)?,
                credential: CredentialId::from_bytes(take(rest)?).map_err(|_| StateError)?,
                at: i64::from_le_bytes(take(rest)?),
            })
        },
    )
}

/// A count and that many items, no two with the same key.
fn take_list<T, K: PartialEq>(
    rest: &mut &[u8],
    most: usize,
    key: impl Fn(&T) -> K,
    mut item: impl FnMut(&mut &[u8]) -> Result<T, StateError>,
) -> Result<Vec<T>, StateError> {
    let [count] = take(rest)?;
    if usize::from(count) > most {
        return Err(StateError);
    }
    let mut list: Vec<T> = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let item = item(rest)?;
        if list.iter().any(|known| key(known) == key(&item)) {
            return Err(StateError);
        }
        list.push(item);
    }
    Ok(list)
}

fn no_recovery() -> (SetId, u32) {
    (SetId::from_random([0; 6]), 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Side;
    use proptest::prelude::*;

    fn bytes(state: &State) -> Vec<u8> {
        let mut out = Vec::new();
        state.encode(&mut out);
        out
    }

    fn credential(n: u8) -> CredentialId {
        CredentialId::from_random([n; 6])
    }

    #[test]
    fn a_used_recovery_code_stays_used_and_a_new_set_starts_unused() {
        let (old, new) = (SetId::from_random([1; 6]), SetId::from_random([2; 6]));
        let mut state = State::new(RecordId([0; 16]));
        assert!(state.use_recovery(old, 3));
        assert!(!state.use_recovery(old, 3));
        assert_eq!(state.recovery_used(new), 0);
        assert!(state.use_recovery(new, 3));
    }

    #[test]
    fn positions_beyond_the_bits_are_refused() {
        let mut state = State::new(RecordId([0; 16]));
        assert!(state.use_recovery(SetId::from_random([1; 6]), 31));
        assert!(!state.use_recovery(SetId::from_random([1; 6]), 32));
    }

    #[test]
    fn only_credentials_that_are_not_known_are_forgotten() {
        let mut state = State::new(RecordId([0; 16]));
        state.raise(credential(1), 5, None);
        state.raise(credential(2), 6, None);
        state.retain(|id| id == credential(2));
        assert_eq!(state.credential_state(credential(1)), None);
        assert_eq!(state.credential_state(credential(2)).map(|known| known.watermark), Some(6));
    }

    #[test]
    fn a_state_holds_as_many_credentials_as_a_record_can_and_no_more() {
        let mut state = State::new(RecordId([0; 16]));
        (0..32).for_each(|n| state.raise(credential(n), 1, None));
        assert_eq!(State::from_bytes(&bytes(&state)).as_ref(), Ok(&state));
        state.raise(CredentialId::from_random([1, 2, 3, 4, 5, 6]), 1, None);
        assert_eq!(State::from_bytes(&bytes(&state)), Err(StateError));
    }

    #[test]
    fn a_state_with_a_credential_twice_is_refused() {
        let mut state = State::new(RecordId([0; 16]));
        state.raise(credential(1), 5, None);
        let known = state.credentials[0];
        state.credentials.push(known);
        assert_eq!(State::from_bytes(&bytes(&state)), Err(StateError));
    }

    #[test]
    fn a_state_with_a_place_twice_or_too_many_is_refused() {
        let place = |n| FamiliarPlace {
            id: PlaceId([n; 8]),
            last_right: 1,
            lane: FailureCounter::default(),
            day_failures: 0,
            day: 0,
        };
        let mut state = State::new(RecordId([0; 16]));
        state.throttle.places = vec![place(1), place(1)];
        assert_eq!(State::from_bytes(&bytes(&state)), Err(StateError));
        state.throttle.places = (0..17).map(place).collect();
        assert_eq!(State::from_bytes(&bytes(&state)), Err(StateError));
    }

    #[test]
    fn the_last_sixteen_accepted_codes_are_known() {
        let mut state = State::new(RecordId([0; 16]));
        assert!(!state.is_recent([0; 8]), "none is no code");
        (1..=17).for_each(|n| state.remember_code([n; 8]));
        assert_eq!(
            [1, 2, 9, 16, 17, 18].map(|n| state.is_recent([n; 8])),
            [false, true, true, true, true, false]
        );
    }

    #[test]
    fn a_state_of_version_1_keeps_its_marks_and_its_failures_are_those_of_strangers() {
        let mut expected = State::new(RecordId([3; 16]));
        expected.raise(credential(1), 5, Some(9));
        expected.use_recovery(SetId::from_random([1; 6]), 3);
        let lane = FailureCounter { failures: 7, last_failure: 1000 };
        expected.throttle.strangers = LeakyLane { lane, since: 1000 };
        expected.throttle.recovery = FailureCounter { failures: 2, last_failure: 900 };
        let new = bytes(&expected);
        let marks_end = new.len() - 2 - 49 - 30; // without places, remembered codes, signs and the chain
        let recovery = 16 + 20 + 20 + 12 + 36;
        // Without own failures, failures since the last right answer, recent codes, places and remembered
        // codes; strangers' have no time of forgetting.
        let old = [
            &new[..16 + 12],
            &new[56..68],
            &new[recovery..recovery + 11],
            &new[recovery + 11 + 8 * RECENT..marks_end],
        ]
        .concat();
        assert_eq!(State::from_version_1(&old), Ok(expected));
        assert_eq!(State::from_version_1(&old[..old.len() - 1]), Err(StateError));
        assert_eq!(State::from_bytes(&old), Err(StateError));
    }

    #[test]
    fn a_state_of_version_4_has_no_signs_of_an_attack() {
        let mut state = State::new(RecordId([3; 16]));
        state.raise(credential(1), 5, Some(9));
        let new = bytes(&state);
        let chain = new.len() - 30;
        let old = [&new[..chain - 49], &new[chain..]].concat();
        assert_eq!(State::from_version_4(&old), Ok(state));
        assert_eq!(
            (State::from_version_4(&new), State::from_bytes(&old)),
            (Err(StateError), Err(StateError))
        );
    }

    proptest! {
        #[test]
        fn a_state_reads_back_as_written(
            record in any::<[u8; 16]>(), failures in any::<u32>(), last in any::<i64>(),
            places in proptest::collection::vec(any::<i64>(), 0..=16),
            used in proptest::option::of((any::<[u8; 6]>(), 0_u8..32)),
            steps in proptest::collection::btree_map(0_u8..30, (any::<u64>(), any::<i64>()), 0..20)
        ) {
            let mut state = State::new(RecordId(record));
            state.throttle.strangers = LeakyLane { lane: FailureCounter { failures, last_failure: last }, since: last };
            state.throttle.since = Failures { count: failures, first: last, at: last, from: record };
            for (n, at) in (0..).zip(places) {
                let (id, lane) = (PlaceId([n; 8]), FailureCounter { failures, last_failure: last });
                state.throttle.places.push(FamiliarPlace { id, last_right: at, lane, day_failures: failures, day: at });
            }
            state.remember_code([7; 8]);
            state.signs.right(Side::Place(PlaceId([8; 8])), true, Some(PlaceId([7; 8])), last);
            (1..i64::from(failures % 8)).for_each(|at| state.signs.wrong(Side::Place(PlaceId([9; 8])), at));
            prop_assert!(state.signs.take_found().count() < 3);
            for (id, (_, at)) in steps.iter().take(8) {
                state.throttle.remembered.remember([*id; 8], Side::Own, credential(*id), *at);
            }
            if let Some((set, position)) = used {
                state.use_recovery(SetId::from_random(set), position);
            }
            for (id, (step, at)) in steps {
                state.raise(credential(id), step, Some(at));
            }
            prop_assert_eq!(State::from_bytes(&bytes(&state)).unwrap(), state);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (State::from_bytes(&bytes), State::from_version_1(&bytes));
        }

        #[test]
        fn a_watermark_never_falls_and_no_step_is_fresh_twice(
            steps in proptest::collection::vec((0_u8..3, 0_u64..20), 0..60)
        ) {
            let mut state = State::new(RecordId([0; 16]));
            let mut accepted = std::collections::HashSet::new();
            for (id, step) in steps {
                let before = state.credential_state(credential(id)).map(|m| m.watermark);
                if state.is_fresh(credential(id), step) {
                    prop_assert!(accepted.insert((id, step)));
                    state.raise(credential(id), step, None);
                } else {
                    state.raise(credential(id), step, None);
                    prop_assert_eq!(state.credential_state(credential(id)).map(|m| m.watermark), before);
                }
            }
        }
    }
}
