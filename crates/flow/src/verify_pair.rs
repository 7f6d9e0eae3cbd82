//! Two consecutive codes of one device, verified as one answer.

use super::refusal::Refusal;
use super::verification::{Proof, Rules, Verification};
use qrtotp_account::{CredentialId, FactorKind, Label, Record, Side, State};
use qrtotp_otp::{Code, MAX_CLOCK_OFFSET, MAX_TARGETS, Step, Verifier, Window};

/// Looks for the two codes, of all devices, at all steps in reach, or for a step-up at the window's steps.
/// Counts as one guess.
pub(super) fn verify_pair(
    rules: &Rules<'_>,
    (first, second): (&Code, &Code),
    side: Side,
    record: &Record,
    state: &mut State,
) -> Verification {
    let mut found: Option<(CredentialId, Label, Step, Step, u32)> = None;
    let mut burnt = None;
    for credential in record.credentials.iter().take(MAX_TARGETS) {
        let known = Some((credential.id, credential.label.clone()));
        let Ok(secret) = rules.key.open_secret(record, credential) else {
            let failures = state.throttle.failures_here(FactorKind::Code, side, rules.now, &rules.throttle);
            return about(known, Verification::refused(Refusal::Damaged, FactorKind::Code, failures));
        };
        let params = credential.params;
        let verifier = Verifier::new(&secret, params);
        let now = params.step_at(rules.now);
        let steps = if rules.step_up {
            let drift = state.credential_state(credential.id).map_or(0, |mark| mark.drift);
            let (now, window) = (now.saturating_add_signed(drift.into()), rules.window_of(credential));
            now.saturating_sub(window.back.into())..=now.saturating_add(window.ahead.into())
        } else {
            let reach = u64::try_from(MAX_CLOCK_OFFSET / i64::from(params.period())).unwrap_or(0);
            now.saturating_sub(reach)..=now.saturating_add(reach)
        };
        for step in steps {
            let here = Window { back: 0, ahead: 0 };
            let hit = verifier.matching_step(first, step.saturating_sub(1), here).is_some()
                & verifier.matching_step(second, step, here).is_some();
            if hit && !state.is_fresh(credential.id, step.saturating_sub(1)) {
                burnt.clone_from(&known);
            } else if hit && found.is_none() {
                found = Some((credential.id, credential.label.clone(), step, now, params.period()));
            }
        }
    }
    // A code accepted by any device is spent for the whole account.
    match (found, burnt) {
        (Some((id, label, step, now, period)), None) => {
            let steps = i32::try_from(step.cast_signed() - now.cast_signed()).unwrap_or(0);
            state.raise(id, step, Some(rules.now));
            let codes = [first, second].map(|code| rules.digest(code, record));
            let forgiven = rules.right(&codes, (id, side), record, state);
            let proof = if rules.step_up {
                Proof::Device(id, label)
            } else {
                state.set_drift(id, steps);
                Proof::Resynchronized(id, label, i64::from(steps) * i64::from(period))
            };
            Verification::Accepted { proof, forgiven, codes_due: record.recovery_due }
        }
        (_, burnt) => {
            let why = if burnt.is_some() { Refusal::Replayed } else { Refusal::WrongCode };
            about(burnt, rules.count(why, FactorKind::Code, side, record, state))
        }
    }
}

fn about(known: Option<(CredentialId, Label)>, mut verification: Verification) -> Verification {
    if let Verification::Refused { credential, .. } = &mut verification {
        *credential = known;
    }
    verification
}
