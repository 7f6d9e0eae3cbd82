//! Judges one answer against one record. What runs under the account's lock only reads, computes HMACs and changes the state; a
//! recovery code is first counted as failed, then hashed without the lock, then claimed.
//!
//! Every refusal costs the disk what a wrong code costs an enrolled account, so that the time does not tell who is one:
//! where the account is not to be written, the store writes for nobody ([`Store::pretend`]).

use super::answer_place::AnswerPlace;
use super::given::Given;
use super::refusal::Refusal;
use super::resync::judge_pair;
use qrtotp_account::{
    CodeDigest, CodeHash, Credential, CredentialId, Engaged, Failures, Forgiven, Gate, Label, Means, Name,
    Record, SALT_LEN, SetId, Side, Standing, State, ThrottleRules,
};
use qrtotp_audit::{ChainedLines, Kind, Subject};
use qrtotp_otp::{Code, MAX_TARGETS, Verifier, Window};
use qrtotp_store::{SealKey, Store, StoreError};
use qrtotp_values::UnixTime;

/// What was proven.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A device's code.
    Device(CredentialId, Label),
    /// A recovery code; so many are left.
    Recovery { left: u32 },
    /// Two consecutive codes of a device, whose clock is taken from now on to be so many seconds ahead of ours.
    Resynchronized(CredentialId, Label, i64),
}

/// What came of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Right, and burnt.
    Accepted {
        proof: Proof,
        forgiven: Forgiven,
        /// The account is owed recovery codes.
        codes_due: bool,
    },
    /// Refused.
    Refused {
        why: Refusal,
        means: Means,
        /// The count of its lane after it.
        failures: u32,
        /// The limit that it reached.
        engaged: Option<Engaged>,
        credential: Option<(CredentialId, Label)>,
        /// The account has so many devices that fewer steps were looked at than their windows have.
        narrowed: bool,
        /// The code is right for a clock that is so many seconds ahead of ours.
        right_for: Option<i64>,
    },
}

impl Judgement {
    /// Refused, with nothing else to tell.
    pub(super) fn refused(why: Refusal, means: Means, failures: u32) -> Self {
        Self::Refused {
            why,
            means,
            failures,
            engaged: None,
            credential: None,
            narrowed: false,
            right_for: None,
        }
    }

    /// The same, and it reached this limit.
    pub(super) fn engaging(mut self, limit: Option<Engaged>) -> Self {
        if let Self::Refused { engaged, .. } = &mut self {
            *engaged = limit;
        }
        self
    }

    /// The same refusal for another reason.
    fn because(mut self, reason: Refusal) -> Self {
        if let Self::Refused { why, .. } = &mut self {
            *why = reason;
        }
        self
    }

    /// What it was counted as a failure of, if it was.
    pub(super) fn counted_as(&self) -> Option<Means> {
        match self {
            Self::Refused { why, means, .. } if why.is_counted() => Some(*means),
            Self::Refused { .. } | Self::Accepted { .. } => None,
        }
    }
}

/// What came of an answer, and the lines that it added to the account's chain.
#[derive(Debug)]
pub(super) struct Judged {
    pub judgement: Judgement,
    pub lines: ChainedLines,
}

/// What came of it under the lock.
enum Step1 {
    Done(Judgement),
    /// Counted as failed, and `refused` unless it is a code of this set; to be hashed under this salt and then claimed.
    TryRecovery {
        set: Option<SetId>,
        salt: [u8; SALT_LEN],
        /// Before it: failures that counted, whether any lane was made to wait, and those since the last right answer.
        before: (u32, bool, Failures),
        refused: Judgement,
    },
}

/// Judges `given` for the account `name`, durably.
///
/// # Errors
/// The store could not answer, or could not keep what was decided; deny.
pub(super) fn settle<S: Store>(
    store: &S,
    name: &Name,
    rules: &Rules<'_>,
    given: &Given,
) -> Result<Judged, StoreError> {
    let mut lines = ChainedLines::with_room();
    let judgement = decide(store, name, rules, given, &mut lines)?;
    match &judgement {
        Judgement::Refused {
            why: Refusal::NotEnrolled | Refusal::Revoked | Refusal::UidChanged | Refusal::RecoveryNotHere,
            ..
        } => {
            write_for_nobody(store, rules, given);
            hash_for_nobody(store, rules, given);
        }
        // Not hashed: the throttle is there to bound that.
        Judgement::Refused {
            why: Refusal::Throttled(_) | Refusal::Disabled | Refusal::Repeated | Refusal::TwoCodesDue,
            ..
        } => {
            write_for_nobody(store, rules, given);
        }
        Judgement::Refused { .. } | Judgement::Accepted { .. } => {}
    }
    Ok(Judged { judgement, lines })
}

/// Refuses `given` whatever it is, after the same work as [`settle`], so that timing does not reveal the reason.
pub(super) fn settle_for_nobody<S: Store>(
    store: &S,
    rules: &Rules<'_>,
    given: &Given,
    why: Refusal,
) -> Judged {
    write_for_nobody(store, rules, given);
    hash_for_nobody(store, rules, given);
    Judged { judgement: Judgement::refused(why, given.means(), 0), lines: ChainedLines::default() }
}

fn write_for_nobody<S: Store>(store: &S, rules: &Rules<'_>, given: &Given) {
    let mut lines = ChainedLines::with_room();
    store.pretend(|record, state| {
        judge_and_chain(&Rules { uid: record.uid, ..*rules }, given, record, state, &mut lines);
    });
}

fn hash_for_nobody<S: Store>(store: &S, rules: &Rules<'_>, given: &Given) {
    if let Some(_hash) = given.hash(&[0; SALT_LEN]) {
        let mut lines = ChainedLines::with_room();
        let refused = Judgement::refused(Refusal::WrongCode, given.means(), 0);
        store.pretend(|_, state| rules.chain(&refused, state, &mut lines));
    }
}

fn decide<S: Store>(
    store: &S,
    name: &Name,
    rules: &Rules<'_>,
    given: &Given,
    lines: &mut ChainedLines,
) -> Result<Judgement, StoreError> {
    let judged =
        store.update_state(name, |record, state| judge_and_chain(rules, given, record, state, lines))?;
    let (set, salt, before, refused) = match judged {
        None => return Ok(Judgement::refused(Refusal::NotEnrolled, given.means(), 0)),
        Some(Step1::Done(judgement)) => return Ok(judgement),
        Some(Step1::TryRecovery { set, salt, before, refused }) => (set, salt, before, refused),
    };
    let hash = match given.hash(&salt) {
        None => return Ok(refused),
        Some(Err(_)) => return Ok(refused.because(Refusal::NoMemory)),
        Some(Ok(hash)) => hash,
    };
    let claimed = store.update_state(name, |record, state| {
        lines.clear();
        let claimed = claim(rules, (set, &hash), before, record, state);
        rules.chain(claimed.as_ref().unwrap_or(&refused), state, lines);
        claimed
    })?;
    Ok(claimed.flatten().unwrap_or(refused))
}

/// Uses up the recovery code of this set with this hash, if it is one.
fn claim(
    rules: &Rules<'_>,
    (set, hash): (Option<SetId>, &CodeHash),
    before: (u32, bool, Failures),
    record: &Record,
    state: &mut State,
) -> Option<Judgement> {
    let known = record.recovery.as_ref().filter(|known| Some(known.id) == set && record.uid == rules.uid)?;
    let position = known.position(hash)?;
    if !state.use_recovery(known.id, position) {
        return None;
    }
    let side = rules.side(record);
    let mut forgiven = state.throttle.recovered(side, rules.now, &rules.throttle);
    // This answer itself was counted as wrong before it was looked at.
    (forgiven.failures, forgiven.engaged, forgiven.since) = before;
    forgiven.elsewhere = forgiven.elsewhere.min(forgiven.since.count);
    let codes = u32::try_from(known.hashes.len()).unwrap_or(0);
    let proof = Proof::Recovery { left: codes.saturating_sub(state.recovery_used(known.id)) };
    let forgiven = rules.answer_place.told(rules.key, record, forgiven);
    Some(Judgement::Accepted { proof, forgiven, codes_due: false })
}

/// What an answer is judged by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub key: &'a SealKey,
    pub uid: u32,
    pub now: UnixTime,
    /// The host's.
    pub window: Window,
    pub throttle: ThrottleRules,
    /// Whether recovery codes count.
    pub recovery: bool,
    /// Two consecutive codes are a step-up: both within the window, the device's clock stays as it is known.
    pub step_up: bool,
    /// Only a code of the current step counts.
    pub fresh: bool,
    /// Where the answer comes from.
    pub answer_place: AnswerPlace,
    /// Who and where, for the log.
    pub subject: &'a Subject,
    /// The kind of event that the decision is.
    pub kind: Kind,
    /// A password that may be a code: if it is none, another answer follows and is the decision.
    pub tried: bool,
}

impl Rules<'_> {
    /// The lane of an answer for this record.
    pub(super) fn side(&self, record: &Record) -> Side {
        self.answer_place.side(self.key, record)
    }

    /// Counts a wrong answer.
    pub(super) fn count(
        &self,
        why: Refusal,
        means: Means,
        side: Side,
        record: &Record,
        state: &mut State,
    ) -> Judgement {
        // Its own place, also if it counts as a stranger's.
        state.throttle.remembered.end_at(self.side(record));
        let engaged = state.throttle.fail(means, side, self.now, &self.throttle);
        self.answer_place.note(self.key, record, self.now, &mut state.throttle.since);
        let failures = state.throttle.failures_here(means, side, self.now);
        Judgement::refused(why, means, failures).engaging(engaged)
    }

    /// Counts a right code of a device.
    pub(super) fn right(
        &self,
        codes: &[CodeDigest],
        (device, side): (CredentialId, Side),
        record: &Record,
        state: &mut State,
    ) -> Forgiven {
        for code in codes {
            state.remember_code(*code);
        }
        let forgiven = state.throttle.right(side, self.now, &self.throttle);
        self.answer_place.remember(self.key, record, (device, side), self.now, &mut state.throttle);
        self.answer_place.told(self.key, record, forgiven)
    }

    pub(super) fn digest(&self, code: &Code, record: &Record) -> CodeDigest {
        let mut what = [0; 8];
        what.iter_mut().zip(code.as_str().bytes()).for_each(|(byte, digit)| *byte = digit);
        let [a, b, c, d, e, f, g, h, ..] = self.key.digest(record.id, what);
        [a, b, c, d, e, f, g, h]
    }

    /// A device's own window holds in place of the host's, be it narrower or wider, but not in place of a rule's.
    pub(super) fn window_of(&self, credential: &Credential) -> Window {
        credential.window.filter(|_| !self.fresh).unwrap_or(self.window)
    }

    /// The refusal that no answer can change.
    fn standing(&self, record: &Record) -> Option<Refusal> {
        match record.standing() {
            _ if record.uid != self.uid => Some(Refusal::UidChanged),
            Standing::Unenrolled => Some(Refusal::NotEnrolled),
            Standing::Revoked => Some(Refusal::Revoked),
            Standing::Enrolled => None,
        }
    }
}

/// The refusal of an answer that need not be looked at; else the lane in which it counts.
fn admit(
    rules: &Rules<'_>,
    given: &Given,
    code: Option<CodeDigest>,
    record: &Record,
    state: &State,
) -> Result<Side, Judgement> {
    let means = given.means();
    let side = rules.side(record);
    let refused =
        |why, side| Err(Judgement::refused(why, means, state.throttle.failures_here(means, side, rules.now)));
    if let Some(why) = rules.standing(record) {
        return refused(why, side);
    }
    if matches!(given, Given::Malformed) {
        return refused(Refusal::Malformed, side);
    }
    if matches!(given, Given::Recovery(_)) && !rules.recovery {
        return refused(Refusal::RecoveryNotHere, side);
    }
    if code.is_some_and(|code| state.is_recent(code)) {
        return refused(Refusal::Repeated, side);
    }
    let gate = |side| state.throttle.gate(means, side, rules.now, &rules.throttle);
    let (side, gate) = match gate(side) {
        Gate::TwoCodes if matches!(given, Given::Pair(..) | Given::NoPair) => return Ok(side),
        // There is no room for two codes: this place is as good as a stranger's today.
        Gate::TwoCodes if rules.answer_place.one_field => (Side::Nowhere, gate(Side::Nowhere)),
        gate => (side, gate),
    };
    match gate {
        Gate::Open => Ok(side),
        Gate::TwoCodes => refused(Refusal::TwoCodesDue, side),
        Gate::Wait(seconds) => refused(Refusal::Throttled(seconds), side),
        Gate::Disabled => refused(Refusal::Disabled, side),
    }
}

/// Judges, and adds what came of it to the account's chain. A recovery code's line has to wait for its hash.
fn judge_and_chain(
    rules: &Rules<'_>,
    given: &Given,
    record: &Record,
    state: &mut State,
    lines: &mut ChainedLines,
) -> Step1 {
    lines.clear();
    let step = judge(rules, given, record, state);
    if let Step1::Done(judgement) = &step {
        rules.chain(judgement, state, lines);
    }
    step
}

fn judge(rules: &Rules<'_>, given: &Given, record: &Record, state: &mut State) -> Step1 {
    state.throttle.advance(rules.now, &rules.throttle);
    let code = if let Given::Code(code) = given { Some(rules.digest(code, record)) } else { None };
    let side = match admit(rules, given, code, record, state) {
        Ok(side) => side,
        Err(refused) => return Step1::Done(refused),
    };
    let throttle = &state.throttle;
    let before = (throttle.failures(), throttle.is_engaged(&rules.throttle), throttle.since);
    let judgement = match given {
        Given::Recovery(_) => rules.count(Refusal::WrongCode, Means::Recovery, side, record, state),
        Given::Pair(first, second) => judge_pair(rules, (first, second), side, record, state),
        Given::Code(typed) => verify(rules, (typed, code.unwrap_or_default()), side, record, state),
        // Right for no account.
        Given::NoPair | Given::Malformed => rules.count(Refusal::WrongCode, Means::Code, side, record, state),
    };
    match (given.set_kind().filter(|_| rules.recovery), judgement) {
        (Some(kind), refused @ Judgement::Refused { why: Refusal::WrongCode, .. }) => {
            let set = record.recovery.as_ref().filter(|set| set.kind == kind);
            // Without a set the work is the same, so that the time does not tell.
            let salt = set.map_or([0; SALT_LEN], |set| set.salt);
            Step1::TryRecovery { set: set.map(|set| set.id), salt, before, refused }
        }
        (_, judgement) => Step1::Done(judgement),
    }
}

/// Steps around the current one in which a refused code may still be right, for the log: a clock that is off is the usual reason.
const NEAR: Window = Window { back: 10, ahead: 10 };

/// Tries a code against every credential, as one attempt.
fn verify(
    rules: &Rules<'_>,
    (code, digest): (&Code, CodeDigest),
    side: Side,
    record: &Record,
    state: &mut State,
) -> Judgement {
    let looked_at = &record.credentials[..record.credentials.len().min(MAX_TARGETS)];
    let steps: usize = looked_at.iter().map(|credential| rules.window_of(credential).steps()).sum();
    let narrowed = steps > MAX_TARGETS || looked_at.len() < record.credentials.len();
    let (mut verifiers, mut matches) =
        (Vec::with_capacity(looked_at.len()), Vec::with_capacity(looked_at.len()));
    for credential in looked_at {
        let Ok(secret) = rules.key.open_secret(record, credential) else {
            let failures = state.throttle.failures_here(Means::Code, side, rules.now);
            return Judgement::Refused {
                why: Refusal::Damaged,
                means: Means::Code,
                failures,
                engaged: None,
                credential: Some((credential.id, credential.label.clone())),
                narrowed,
                right_for: None,
            };
        };
        verifiers.push(Verifier::new(&secret, credential.params));
    }
    // From here on nothing is allocated (see [`Store::update_state`]).
    let mut right_for = None;
    for (credential, verifier) in looked_at.iter().zip(&verifiers) {
        let drift = state.mark(credential.id).map_or(0, |mark| mark.drift);
        let now = credential.params.step_at(rules.now).saturating_add_signed(drift.into());
        let mut window = rules.window_of(credential);
        if steps > MAX_TARGETS {
            window = window.for_devices(looked_at.len());
        }
        if let Some(step) = verifier.matching_step(code, now, window) {
            matches.push((credential.id, step));
        } else if let Some(step) = verifier.matching_step(code, now, NEAR) {
            let steps = i64::try_from(step).unwrap_or(0) - i64::try_from(now).unwrap_or(0);
            right_for = Some(steps * i64::from(credential.params.period()));
        }
    }
    // A code that any credential has seen is spent for the whole account.
    let stale = matches.iter().find(|(id, step)| !state.is_fresh(*id, *step));
    let named = |id| Some((id, record.credential(id).map_or_else(Label::default, |c| c.label.clone())));
    match (matches.first(), stale) {
        (Some(&(credential, _)), None) => {
            for (id, step) in &matches {
                state.raise(*id, *step, (*id == credential).then_some(rules.now));
            }
            let forgiven = rules.right(&[digest], (credential, side), record, state);
            let label = named(credential).map_or_else(Label::default, |(_, label)| label);
            let proof = Proof::Device(credential, label);
            Judgement::Accepted { proof, forgiven, codes_due: record.recovery_due }
        }
        (_, stale) => {
            let (why, known) =
                stale.map_or((Refusal::WrongCode, None), |(id, ..)| (Refusal::Replayed, named(*id)));
            let mut refused = rules.count(why, Means::Code, side, record, state);
            if let Judgement::Refused { credential, narrowed: few, right_for: clock, .. } = &mut refused {
                (*credential, *few) = (known, narrowed);
                *clock = right_for.filter(|_| why == Refusal::WrongCode);
            }
            refused
        }
    }
}
