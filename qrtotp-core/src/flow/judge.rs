//! Judges one answer against one record. What runs under the account's lock only reads, computes HMACs and changes
//! the state; a recovery code is first counted as failed, then hashed without the lock, then claimed.

use crate::account::{
    CredentialId, Gate, Label, Name, Record, RecoveryCode, SALT_LEN, SetId, Standing, State, ThrottleRules,
    hash_recovery_code,
};
use crate::clock::UnixTime;
use crate::otp::{Code, Step, Window, matching_step};
use crate::store::{SealKey, Store, StoreError};

/// Why an answer was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No code of any device.
    WrongCode,
    /// A code that was accepted before, or an older one.
    Replayed,
    /// Not the form of a code; not counted.
    Malformed,
    /// Too soon after wrong ones; not looked at.
    Throttled(u32),
    /// Too many wrong ones; only a recovery code is looked at.
    Disabled,
    /// The account never had a credential.
    NotEnrolled,
    /// Its credentials were revoked.
    Revoked,
    /// The name now belongs to another uid.
    UidChanged,
    /// A secret does not open.
    Damaged,
    /// Not enough memory to hash a recovery code.
    NoMemory,
}

impl Refusal {
    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::WrongCode => "wrong_code",
            Self::Replayed => "replayed_code",
            Self::Malformed => "malformed",
            Self::Throttled(_) => "throttled",
            Self::Disabled => "disabled",
            Self::NotEnrolled => "not_enrolled",
            Self::Revoked => "revoked",
            Self::UidChanged => "uid_changed",
            Self::Damaged => "record_damaged",
            Self::NoMemory => "no_memory",
        }
    }
}

/// The answer in the form in which it can be judged.
pub(super) enum Given<'a> {
    /// A code of an app.
    Code(Code),
    /// A recovery code, behind so many bytes of password.
    Recovery(RecoveryCode, usize),
    /// Password and code in one; the split depends on the account's credentials.
    Combined(&'a [u8]),
    /// Nothing that could be a code.
    Malformed,
}

/// Bytes of a recovery code in the form in which we show it.
const RECOVERY_TAIL: usize = 19;

impl<'a> Given<'a> {
    /// What an answer is by its form.
    pub(super) fn code(typed: &[u8]) -> Given<'static> {
        if let Some(code) = Code::parse(typed) {
            return Given::Code(code);
        }
        RecoveryCode::parse(typed).map_or(Given::Malformed, |code| Given::Recovery(code, 0))
    }

    /// What an answer of password and code is. A recovery code counts only in exactly the form that we show: a
    /// password may well end in sixteen letters.
    pub(super) fn password_and_code(typed: &'a [u8]) -> Self {
        let dashed = |tail: &&[u8]| tail.iter().enumerate().all(|(i, b)| (*b == b'-') == (i % 5 == 4));
        typed
            .len()
            .checked_sub(RECOVERY_TAIL)
            .and_then(|cut| RecoveryCode::parse(Some(&typed[cut..]).filter(dashed)?).map(|code| (code, cut)))
            .map_or(Given::Combined(typed), |(code, cut)| Given::Recovery(code, cut))
    }

    /// The work that this answer costs an enrolled account, so that the time does not tell who is one.
    pub(super) fn pretend(&self) {
        if let Given::Recovery(code, _) = self {
            let _ = hash_recovery_code(code, &[0; SALT_LEN]);
        }
    }
}

/// What was proven.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A device's code.
    Device(CredentialId, Label),
    /// A recovery code; so many are left.
    Recovery { left: u32 },
}

/// What came of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Right, and burnt.
    Accepted { proof: Proof, failures_before: u32, password_len: usize },
    /// Refused; `failures` is the count after it.
    Refused { why: Refusal, failures: u32, credential: Option<(CredentialId, Label)> },
}

/// What came of it under the lock.
enum Step1 {
    Done(Judgement),
    /// Counted as failed; to be hashed under this salt and then claimed.
    TryRecovery {
        set: Option<SetId>,
        salt: [u8; SALT_LEN],
        failures_before: u32,
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
    given: &Given<'_>,
) -> Result<Judgement, StoreError> {
    let judged = store.update_state(name, |record, state| judge(rules, given, record, state))?;
    let (set, salt, failures_before) = match judged {
        None => {
            given.pretend();
            return Ok(Judgement::Refused { why: Refusal::NotEnrolled, failures: 0, credential: None });
        }
        Some(Step1::Done(judgement)) => {
            if let Judgement::Refused {
                why: Refusal::NotEnrolled | Refusal::Revoked | Refusal::UidChanged,
                ..
            } = judgement
            {
                given.pretend();
            }
            return Ok(judgement);
        }
        Some(Step1::TryRecovery { set, salt, failures_before }) => (set, salt, failures_before),
    };
    let refused =
        |why| Judgement::Refused { why, failures: failures_before.saturating_add(1), credential: None };
    let Given::Recovery(code, password_len) = given else { return Ok(refused(Refusal::WrongCode)) };
    let Ok(hash) = hash_recovery_code(code, &salt) else { return Ok(refused(Refusal::NoMemory)) };
    let claimed = store.update_state(name, |record, state| {
        let known =
            record.recovery.as_ref().filter(|known| Some(known.id) == set && record.uid == rules.uid)?;
        let position = known.position(&hash)?;
        state.use_recovery(known.id, position).then(|| {
            state.throttle.lift();
            let codes = u32::try_from(known.hashes.len()).unwrap_or(0);
            codes.saturating_sub(state.recovery_used(known.id))
        })
    })?;
    Ok(match claimed.flatten() {
        None => refused(Refusal::WrongCode),
        Some(left) => {
            let proof = Proof::Recovery { left };
            Judgement::Accepted { proof, failures_before, password_len: *password_len }
        }
    })
}

/// What an answer is judged by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub key: &'a SealKey,
    pub uid: u32,
    pub now: UnixTime,
    pub window: Window,
    pub throttle: ThrottleRules,
}

impl Rules<'_> {
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

fn judge(rules: &Rules<'_>, given: &Given<'_>, record: &Record, state: &mut State) -> Step1 {
    let failures = state.throttle.failures();
    let refused = |why| Step1::Done(Judgement::Refused { why, failures, credential: None });
    if let Some(why) = rules.standing(record) {
        return refused(why);
    }
    state.throttle.clamp(rules.now);
    match (state.throttle.gate(rules.now, &rules.throttle), given) {
        (_, Given::Malformed) => refused(Refusal::Malformed),
        (Gate::Wait(seconds), _) => refused(Refusal::Throttled(seconds)),
        (Gate::Open | Gate::Disabled, Given::Recovery(..)) => {
            state.throttle.fail(rules.now);
            let set = record.recovery.as_ref();
            // Without a set the work is the same, so that the time does not tell.
            let salt = set.map_or([0; SALT_LEN], |set| set.salt);
            Step1::TryRecovery { set: set.map(|set| set.id), salt, failures_before: failures }
        }
        (Gate::Disabled, Given::Code(_) | Given::Combined(_)) => refused(Refusal::Disabled),
        (Gate::Open, Given::Code(code)) => Step1::Done(verify(rules, &[(code, 0)], record, state)),
        (Gate::Open, Given::Combined(text)) => {
            let candidates = splits(text, record);
            let candidates: Vec<_> = candidates.iter().map(|(code, len)| (code, *len)).collect();
            if candidates.is_empty() {
                return refused(Refusal::Malformed);
            }
            Step1::Done(verify(rules, &candidates, record, state))
        }
    }
}

/// Every way to cut a code off the end of `text`, for the lengths that the account's credentials have.
fn splits(text: &[u8], record: &Record) -> Vec<(Code, usize)> {
    let mut found: Vec<(Code, usize)> = Vec::new();
    for credential in &record.credentials {
        let digits = usize::from(credential.params.digits());
        let Some(cut) = text.len().checked_sub(digits) else { continue };
        if found.iter().any(|(_, len)| *len == cut) {
            continue;
        }
        if let Some(code) = Code::parse(&text[cut..])
            && code.len() == digits
        {
            found.push((code, cut));
        }
    }
    found
}

/// Tries the candidates against every credential. All together they are one attempt.
fn verify(rules: &Rules<'_>, candidates: &[(&Code, usize)], record: &Record, state: &mut State) -> Judgement {
    let failures_before = state.throttle.failures();
    let mut matches: Vec<(CredentialId, Step, usize)> = Vec::new();
    for credential in &record.credentials {
        let Ok(secret) = rules.key.open_secret(record, credential) else {
            let credential = Some((credential.id, credential.label.clone()));
            return Judgement::Refused { why: Refusal::Damaged, failures: failures_before, credential };
        };
        let drift = state.mark(credential.id).map_or(0, |mark| mark.drift);
        let now = credential.params.step_at(rules.now).saturating_add_signed(drift.into());
        for (code, password_len) in candidates {
            if let Some(step) = matching_step(&secret, credential.params, code, now, rules.window) {
                matches.push((credential.id, step, *password_len));
            }
        }
    }
    // A code that any credential has seen is spent for the whole account.
    let stale = matches.iter().find(|(id, step, _)| !state.is_fresh(*id, *step));
    let named = |id| Some((id, record.credential(id).map_or_else(Label::default, |c| c.label.clone())));
    match (matches.first(), stale) {
        (Some(&(credential, _, password_len)), None) => {
            for (id, step, _) in &matches {
                state.raise(*id, *step, (*id == credential).then_some(rules.now));
            }
            state.throttle.lift();
            let label = named(credential).map_or_else(Label::default, |(_, label)| label);
            let proof = Proof::Device(credential, label);
            Judgement::Accepted { proof, failures_before, password_len }
        }
        (_, stale) => {
            state.throttle.fail(rules.now);
            let (why, credential) =
                stale.map_or((Refusal::WrongCode, None), |(id, ..)| (Refusal::Replayed, named(*id)));
            Judgement::Refused { why, failures: state.throttle.failures(), credential }
        }
    }
}
