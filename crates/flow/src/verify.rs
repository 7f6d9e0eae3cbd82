//! Verifies one answer against one record. The work under the account's lock only reads, computes HMACs and
//! changes the state. A recovery code is first counted as failed, then hashed without the lock, then claimed.
//!
//! Every refusal does the same disk I/O as a wrong code of an enrolled account, so timing does not reveal who
//! is enrolled: if the account must not be written, the store writes a dummy record ([`Store::simulate`]).

use super::answer::Answer;
use super::refusal::{Due, Refusal};
use super::verification::{Proof, Recorded, Rules, Verification};
use super::verify_code::verify_code;
use super::verify_pair::verify_pair;
use qrtotp_account::{
    CodeDigest, CodeHash, FactorKind, Failures, Gate, Name, Record, SALT_LEN, SetId, SetKind, Side, State,
};
use qrtotp_audit::ChainedLines;
use qrtotp_store::{Store, StoreError, StoreExt};

/// The result of the part under the lock.
enum FirstUpdate {
    Done(Verification),
    /// Counted as failed, and `refused` unless it is a code of this set; to be hashed under this salt and
    /// then claimed.
    TryRecovery {
        set: Option<SetId>,
        salt: [u8; SALT_LEN],
        /// Before the count: failures that counted, whether any lane had to wait, and failures since the last
        /// right answer.
        before: (u32, bool, Failures),
        refused: Verification,
    },
}

/// Verifies `answer` for the account `name`, durably.
///
/// # Errors
/// The store could not answer, or could not make the decision durable; deny.
pub(super) fn verify_and_record(
    store: &dyn Store,
    name: &Name,
    rules: &Rules<'_>,
    answer: &Answer,
) -> Result<Recorded, StoreError> {
    let mut lines = ChainedLines::with_room();
    let verification = decide(store, name, rules, answer, &mut lines)?;
    match &verification {
        Verification::Refused {
            why: Refusal::NotEnrolled | Refusal::Revoked | Refusal::UidChanged | Refusal::RecoveryNotHere,
            ..
        } => {
            simulate_write(store, rules, answer);
            simulate_hash(store, rules, answer);
        }
        // Written already, with an anomaly.
        Verification::Refused { why: Refusal::Repeated, .. } if !lines.is_empty() => {}
        // Not hashed: the throttle bounds that work.
        Verification::Refused {
            why: Refusal::Throttled(_) | Refusal::Disabled | Refusal::Repeated | Refusal::TwoCodesDue(_),
            ..
        } => {
            simulate_write(store, rules, answer);
        }
        Verification::Refused { .. } | Verification::Accepted { .. } => {}
    }
    Ok(Recorded { verification, lines })
}

/// Refuses `answer` without checking it, after the same work as [`verify_and_record`], so timing does not
/// reveal the reason.
pub(super) fn simulate_for_unknown(
    store: &dyn Store,
    rules: &Rules<'_>,
    answer: &Answer,
    why: Refusal,
) -> Recorded {
    simulate_write(store, rules, answer);
    simulate_hash(store, rules, answer);
    Recorded { verification: Verification::refused(why, answer.factor(), 0), lines: ChainedLines::default() }
}

fn simulate_write(store: &dyn Store, rules: &Rules<'_>, answer: &Answer) {
    let mut lines = ChainedLines::with_room();
    store.simulate(&mut |record, state| {
        verify_and_chain(&Rules { uid: record.uid, ..*rules }, answer, record, state, &mut lines);
    });
}

fn simulate_hash(store: &dyn Store, rules: &Rules<'_>, answer: &Answer) {
    if let Some(_hash) = answer.hash(&[0; SALT_LEN]) {
        let mut lines = ChainedLines::with_room();
        let refused = Verification::refused(Refusal::WrongCode, answer.factor(), 0);
        store.simulate(&mut |record, state| {
            let is_familiar = rules.is_familiar(rules.side(record), state);
            rules.chain(&refused, is_familiar, state, &mut lines);
        });
    }
}

fn decide(
    store: &dyn Store,
    name: &Name,
    rules: &Rules<'_>,
    answer: &Answer,
    lines: &mut ChainedLines,
) -> Result<Verification, StoreError> {
    let first =
        store.update_state(name, |record, state| verify_and_chain(rules, answer, record, state, lines))?;
    let (set, salt, before, refused) = match first {
        None => {
            lines.clear(); // of a run that was not kept
            return Ok(Verification::refused(Refusal::NotEnrolled, answer.factor(), 0));
        }
        Some(FirstUpdate::Done(verification)) => return Ok(verification),
        Some(FirstUpdate::TryRecovery { set, salt, before, refused }) => (set, salt, before, refused),
    };
    let hash = match answer.hash(&salt) {
        None => return Ok(refused),
        Some(Err(_)) => return Ok(refused.because(Refusal::NoMemory)),
        Some(Ok(hash)) => hash,
    };
    let claimed = store.update_state(name, |record, state| {
        lines.clear();
        let code = if let Answer::Code(code) = answer { Some(rules.digest(code, record)) } else { None };
        let is_familiar = rules.is_familiar(rules.side(record), state);
        let claimed = claim(rules, (set, &hash), before, record, state);
        if let (Some(_), Some(code)) = (&claimed, code) {
            state.remember_code(code); // a client may repeat a scratch code for days, too
        }
        if claimed.is_none() {
            rules.suspect(&refused, rules.side(record), state);
        }
        rules.chain(claimed.as_ref().unwrap_or(&refused), is_familiar, state, lines);
        claimed
    })?;
    if claimed.is_none() {
        lines.clear();
    }
    Ok(claimed.flatten().unwrap_or(refused))
}

/// Uses up the recovery code of this set with this hash, if it is one.
fn claim(
    rules: &Rules<'_>,
    (set, hash): (Option<SetId>, &CodeHash),
    before: (u32, bool, Failures),
    record: &Record,
    state: &mut State,
) -> Option<Verification> {
    let known = record.recovery.as_ref().filter(|known| Some(known.id) == set && record.uid == rules.uid)?;
    let position = known.position(hash)?;
    if !state.use_recovery(known.id, position) {
        return None;
    }
    let side = rules.side(record);
    let mut forgiven = state.throttle.recovered(side, rules.now, &rules.throttle);
    rules.note_right(side, &forgiven, record, state);
    state.signs.recovered(rules.now);
    // This answer itself was counted as wrong before it was checked.
    (forgiven.failures, forgiven.engaged, forgiven.since) = before;
    forgiven.elsewhere = forgiven.elsewhere.min(forgiven.since.count);
    let codes = u32::try_from(known.hashes.len()).unwrap_or(0);
    let left = codes.saturating_sub(state.recovery_used(known.id));
    let proof = Proof::Recovery { left, kind: known.kind };
    let forgiven = rules.answer_place.name_elsewhere(rules.key, record, forgiven);
    Some(Verification::Accepted { proof, forgiven, codes_due: false })
}

/// The lane in which an answer counts, or the refusal of an answer that need not be checked.
fn admit(
    rules: &Rules<'_>,
    answer: &Answer,
    code: Option<CodeDigest>,
    side: Side,
    record: &Record,
    state: &State,
) -> Result<Side, Verification> {
    let factor = answer.factor();
    let refused = |why, side| {
        Err(Verification::refused(
            why,
            factor,
            state.throttle.failures_here(factor, side, rules.now, &rules.throttle),
        ))
    };
    if let Some(why) = rules.status_refusal(record) {
        return refused(why, side);
    }
    if matches!(answer, Answer::Malformed) {
        return refused(Refusal::Malformed, side);
    }
    if matches!(answer, Answer::Recovery(_)) && !rules.recovery {
        return refused(Refusal::RecoveryNotHere, side);
    }
    if code.is_some_and(|code| state.is_recent(code)) {
        return refused(Refusal::Repeated, side);
    }
    let gate = |side| state.throttle.gate(factor, side, rules.now, &rules.throttle);
    let two_codes = matches!(answer, Answer::Pair(..) | Answer::NoPair);
    let (side, gate) = match gate(side) {
        Gate::TwoCodes if two_codes => return Ok(side),
        // There is no room for two codes: today this place counts as a stranger's.
        Gate::TwoCodes if rules.answer_place.one_field => (Side::Nowhere, gate(Side::Nowhere)),
        gate => (side, gate),
    };
    match gate {
        Gate::Open if rules.steps_up(side, state) => match answer {
            Answer::Code(_) if answer.can_be_paired() && !rules.answer_place.one_field => {
                refused(Refusal::TwoCodesDue(Due::Intercepted), side)
            }
            // Where there is no room for two codes, one makes no place familiar.
            Answer::Code(_) => Ok(Side::Nowhere),
            _ => Ok(side),
        },
        Gate::Open => Ok(side),
        Gate::TwoCodes => refused(Refusal::TwoCodesDue(Due::Guessed), side),
        Gate::Wait(seconds) => refused(Refusal::Throttled(seconds), side),
        Gate::Disabled => refused(Refusal::Disabled, side),
    }
}

/// Verifies, and adds the result to the account's chain. A recovery code's line has to wait for its hash.
fn verify_and_chain(
    rules: &Rules<'_>,
    answer: &Answer,
    record: &Record,
    state: &mut State,
    lines: &mut ChainedLines,
) -> FirstUpdate {
    lines.clear();
    state.throttle.advance(rules.now, &rules.throttle);
    let side = rules.side(record);
    let is_familiar = rules.is_familiar(side, state);
    let step = verify(rules, answer, side, record, state);
    if let FirstUpdate::Done(verification) = &step {
        rules.chain(verification, is_familiar, state, lines);
    }
    step
}

/// `side`: that of the answer.
fn verify(rules: &Rules<'_>, answer: &Answer, side: Side, record: &Record, state: &mut State) -> FirstUpdate {
    let code = if let Answer::Code(code) = answer { Some(rules.digest(code, record)) } else { None };
    let side = match admit(rules, answer, code, side, record, state) {
        Ok(side) => side,
        Err(refused) => {
            let repeated = matches!(refused, Verification::Refused { why: Refusal::Repeated, .. });
            if repeated && code.is_some_and(|code| state.is_last_code(code)) {
                rules.note_repeated(record, state);
            }
            return FirstUpdate::Done(refused);
        }
    };
    let throttle = &state.throttle;
    let before = (throttle.failures(), throttle.is_engaged(&rules.throttle), throttle.since);
    let verification = match answer {
        Answer::Recovery(_) => rules.count(Refusal::WrongCode, FactorKind::Recovery, side, record, state),
        Answer::Pair(first, second) => {
            if state.is_last_code(rules.digest(second, record)) {
                rules.note_repeated(record, state);
            }
            verify_pair(rules, (first, second), side, record, state)
        }
        Answer::Code(typed) => verify_code(rules, (typed, code.unwrap_or_default()), side, record, state),
        // Right for no account.
        Answer::NoPair | Answer::Malformed => {
            rules.count(Refusal::WrongCode, FactorKind::Code, side, record, state)
        }
    };
    match (answer.set_kind().filter(|_| rules.recovery), verification) {
        (Some(kind), refused @ Verification::Refused { why: Refusal::WrongCode, .. }) => {
            let kind = if rules.offline { SetKind::Offline } else { kind };
            let set = record.recovery.as_ref().filter(|set| set.kind == kind);
            // Without a set the work is the same, so timing reveals nothing.
            let salt = set.map_or([0; SALT_LEN], |set| set.salt);
            FirstUpdate::TryRecovery { set: set.map(|set| set.id), salt, before, refused }
        }
        (_, verification) => {
            rules.suspect(&verification, side, state);
            FirstUpdate::Done(verification)
        }
    }
}
