//! Break-glass codes that a host took while no verifier answered: it tells them later.

use super::hosts::{Caller, refusal, refuse};
use super::log::RequestLog;
use super::state::Verifier;
use super::verify::policy;
use crate::PROGRAM;
use qrtotp_account::Name;
use qrtotp_audit::Subject;
use qrtotp_clock::{Deadline, SystemClock};
use qrtotp_fleet::{AnswerDigest, Asked, AttemptId, BreakGlassUse, FleetError, Host};
use qrtotp_flow::{Ctx, HostDirectory, note_offline_use};
use qrtotp_frames::{FleetResponse, OfflineUse, Signed as _, Unavailable, VerdictKey};
use qrtotp_store::StoreError;
use qrtotp_values::text::utc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long it may take.
const LIMIT: Duration = Duration::from_millis(2500);

/// Logs the use, adds it to the account's audit trail, and keeps it for `qrtotp fleet status`. The same use,
/// told again, is logged once.
pub fn note(verifier: &Verifier, caller: &Caller, used: &OfflineUse) -> FleetResponse {
    let mut log = RequestLog::open(caller.name(), &used.id);
    let noted = caller.look_up(verifier).map_err(Into::into);
    match noted.and_then(|host| record(verifier, caller, &host, used, &mut log)) {
        Ok(response) => response,
        Err(error) => match FleetError::of(&error) {
            Some(FleetError::Decided(_)) => FleetResponse::Done,
            Some(FleetError::OutOfGroup(_)) => out_of_group(caller, &mut log),
            Some(known) => {
                log.forget();
                refusal(caller.name(), known, &mut log)
            }
            None => FleetResponse::Unavailable(Unavailable::Store),
        },
    }
}

fn out_of_group(caller: &Caller, log: &mut RequestLog) -> FleetResponse {
    refuse(caller.name(), "host_group", log);
    FleetResponse::Refused("the account belongs to none of this host's groups".into())
}

fn record(
    verifier: &Verifier,
    caller: &Caller,
    host: &Host,
    used: &OfflineUse,
    log: &mut RequestLog,
) -> Result<FleetResponse, StoreError> {
    let key = VerdictKey::new(Zeroizing::new(host.verdict_key.to_vec()));
    let name = Name::new(&used.account);
    let (Some(name), true) = (name.ok(), key.is_some_and(|key| used.is_signed_by(&key))) else {
        refuse(caller.name(), "fleet_forged", log);
        return Ok(FleetResponse::Refused("root of this host has not signed that".into()));
    };
    let shared = verifier.store.policy()?;
    let Ok(config) = policy(verifier, shared.as_deref()) else {
        return Ok(FleetResponse::Unavailable(Unavailable::Store));
    };
    if !config.fleet.may_ask(&host.groups, &used.account) {
        return Ok(out_of_group(caller, log));
    }
    let attempt = AttemptId(used.id);
    let asked = Asked { attempt, host: caller.id.clone(), answer: AnswerDigest::of(attempt, &used.tag) };
    let access = verifier.store.attempt(asked, Deadline::after(LIMIT));
    let (user, by) = (used.account.clone(), caller.name().to_owned());
    let subject = Subject { user, by, service: PROGRAM.into(), ..Subject::default() };
    let mut ctx = Ctx {
        config: &config,
        store: &access,
        directory: &HostDirectory,
        clock: &SystemClock,
        audit: log,
        subject,
    };
    let (at, left) = (i64::from(used.at), used.left);
    let detail = format!("break-glass code at host {}, noticed there at {}", caller.name(), utc(at));
    let noted = note_offline_use(&mut ctx, &name, left, &detail);
    if let Err(error) = noted
        && !matches!(FleetError::of(&error), Some(FleetError::Decided(_)))
    {
        return Err(error);
    }
    let account = used.account.clone();
    verifier.store.note_break_glass(&caller.id.name, &BreakGlassUse { id: used.id, account, at, left })?;
    Ok(FleetResponse::Done)
}
