//! Takes an account over from another store, with its devices, recovery codes and failures.

use super::ctx::update_chained;
use super::{AdminError, Ctx, EnrollError};
use qrtotp_account::{Chain, Record, State};
use qrtotp_audit::{Event, Kind};
use qrtotp_policy::Config;
use qrtotp_store::{Account, SealKey};
use qrtotp_values::UnixTime;

/// Takes over an account that `opener` sealed. Every code that is valid now counts as used, because the other
/// store may have accepted it. False: there is an account of this name, and nothing was changed.
///
/// # Errors
/// A secret does not open; the store; no random numbers.
pub fn take_over(ctx: &mut Ctx<'_>, account: &Account, opener: &SealKey) -> Result<bool, AdminError> {
    let (store, now, subject) = (ctx.store, ctx.now(), &ctx.subject);
    // A QR code that was shown there is not confirmed here.
    let mut record = Record { pending: None, ..account.record.clone() };
    let sealed = store.key().seal_anew(&mut record, opener);
    sealed.map_err(|error| EnrollError::Seal(error.to_string()))?;
    let state = burnt(ctx.config, &record, account.state.clone(), now);
    let (taken, lines) = update_chained(store, &record.name, |slot, lines| {
        if slot.is_some() {
            return Ok(false);
        }
        let mut state = state.clone();
        lines.add(&Event::new(Kind::AccountImported, subject), now, &mut state);
        *slot = Some(Account { record: record.clone(), state });
        Ok::<_, AdminError>(true)
    })?;
    lines.emit(ctx.audit);
    Ok(taken)
}

/// The state with a chain of its own, and with all codes used that are valid now.
fn burnt(config: &Config, record: &Record, mut state: State, now: UnixTime) -> State {
    state.chain = Chain::new(record.id);
    for credential in &record.credentials {
        let drift = state.credential_state(credential.id).map_or(0, |mark| mark.drift);
        let latest = credential.params.step_at(now).saturating_add_signed(drift.into());
        state.raise(credential.id, latest.saturating_add(config.verify.window().ahead.into()), None);
    }
    state
}
