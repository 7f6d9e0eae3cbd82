//! Verifies a code against the devices of one record.

use super::refusal::Refusal;
use super::verification::{Proof, Rules, Verification};
use qrtotp_account::{CodeDigest, FactorKind, Label, Record, Side, State};
use qrtotp_otp::{Code, MAX_TARGETS, Verifier, Window};

/// Steps around the current one in which a refused code may still be right, for the log: a clock that is off
/// is the usual reason.
const NEAR: Window = Window { back: 10, ahead: 10 };

/// Tries a code against every credential, as one attempt.
pub(super) fn verify_code(
    rules: &Rules<'_>,
    (code, digest): (&Code, CodeDigest),
    side: Side,
    record: &Record,
    state: &mut State,
) -> Verification {
    let looked_at = &record.credentials[..record.credentials.len().min(MAX_TARGETS)];
    let steps: usize = looked_at.iter().map(|credential| rules.window_of(credential).steps()).sum();
    let narrowed = steps > MAX_TARGETS || looked_at.len() < record.credentials.len();
    let (mut verifiers, mut matches) =
        (Vec::with_capacity(looked_at.len()), Vec::with_capacity(looked_at.len()));
    for credential in looked_at {
        let Ok(secret) = rules.key.open_secret(record, credential) else {
            let failures = state.throttle.failures_here(FactorKind::Code, side, rules.now, &rules.throttle);
            return Verification::Refused {
                why: Refusal::Damaged,
                factor: FactorKind::Code,
                failures,
                engaged: None,
                credential: Some((credential.id, credential.label.clone())),
                narrowed,
                right_for: None,
            };
        };
        verifiers.push(Verifier::new(&secret, credential.params));
    }
    // No allocation from here on (see [`Store::change_state`]).
    let mut right_for = None;
    for (credential, verifier) in looked_at.iter().zip(&verifiers) {
        let drift = state.credential_state(credential.id).map_or(0, |mark| mark.drift);
        let now = credential.params.step_at(rules.now).saturating_add_signed(drift.into());
        let mut window = rules.window_of(credential);
        if steps > MAX_TARGETS {
            window = window.for_devices(looked_at.len());
        }
        if let Some(step) = verifier.matching_step(code, now, window) {
            matches.push((credential.id, step));
        } else if let Some(step) = verifier.matching_step(code, now, NEAR) {
            let steps = i64::try_from(step).unwrap_or(0) - i64::try_from(now).unwrap_or(0);
            // Next to the current step, it is the rule that refuses it and not a clock that is off.
            let by_the_rule = rules.fresh && steps.abs() == 1;
            right_for = Some(if by_the_rule { 0 } else { steps * i64::from(credential.params.period()) });
        }
    }
    // A code accepted by any credential is spent for the whole account.
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
            Verification::Accepted { proof, forgiven, codes_due: record.recovery_due }
        }
        (_, stale) => {
            let (why, known) =
                stale.map_or((Refusal::WrongCode, None), |(id, ..)| (Refusal::Replayed, named(*id)));
            let mut refused = rules.count(why, FactorKind::Code, side, record, state);
            if let Verification::Refused { credential, narrowed: few, right_for: clock, .. } = &mut refused {
                (*credential, *few) = (known, narrowed);
                *clock = right_for.filter(|_| why == Refusal::WrongCode);
            }
            refused
        }
    }
}
