//! Verifies an answer for a host.

use super::claims::{ClaimedLogin, ClaimedPerson};
use super::hosts::{Caller, refusal, unsigned, verdict_key};
use super::log::RequestLog;
use super::state::Verifier;
use crate::PROGRAM;
use crate::work_limits::WorkPermit;
use qrtotp_account::{Decision, Name};
use qrtotp_audit::{Event, Kind, Subject, Verdict};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_fleet::{Access, AnswerDigest, Asked, AttemptId, Begun, FleetError, Host, HostFailures};
use qrtotp_fleet_tls::hex;
use qrtotp_flow::{Ctx, NOBODY, Options, Outcome, Person, login};
use qrtotp_frames::{FleetResponse, Signed as _, Unavailable, VerifyForHost};
use qrtotp_policy::{Config, ConfigError, ConfigFile, Damaged};
use qrtotp_store::Store;
use std::time::Duration;

/// How long one attempt may take, with its wait for the account's turn: the module waits for 3 s in all.
const LIMIT: Duration = Duration::from_millis(2500);

/// Verifies an answer. The same attempt, sent again to any verifier, gets its first verdict again.
pub fn verify(
    verifier: &Verifier,
    caller: &Caller,
    request: VerifyForHost,
    log: &mut RequestLog,
) -> FleetResponse {
    let deadline = Deadline::after(LIMIT);
    if let Some(why) = verifier.clocks.objection() {
        unavailable("clock", &why, caller, log);
        return FleetResponse::Unavailable(Unavailable::Store);
    }
    // Requests for users that the host does not know don't wait for each other.
    let waits_as = if request.account.is_empty() { hex(&request.attempt) } else { request.account.clone() };
    let Some(_turn) = verifier.queue.enter(&waits_as) else {
        return FleetResponse::Unavailable(Unavailable::Busy);
    };
    let permit = WorkPermit::wait(&verifier.work);
    let attempt = AttemptId(request.attempt);
    // The tag covers the answer and all else that the host says.
    let asked = Asked { attempt, host: caller.id.clone(), answer: AnswerDigest::of(attempt, &request.tag) };
    let access = verifier.store.attempt(asked, deadline).with_permit(&permit);
    let name = Name::new(if request.account.is_empty() { NOBODY } else { &request.account });
    let Ok(name) = name else {
        return FleetResponse::Refused("the account's name can't be used".into());
    };
    let response = match answer_from_memory(verifier, caller, (&access, &name), &request, log) {
        Some(response) => response,
        None => match access.begin(&name) {
            Ok(begun) => answer(verifier, (caller, &begun), &access, &request, log),
            Err(error) => return failed(&error, caller, log),
        },
    };
    alert(verifier, caller, log);
    response
}

/// Accepts an answer, if etcd still holds what this verifier remembers of the account.
fn answer_from_memory(
    verifier: &Verifier,
    caller: &Caller,
    (access, name): (&Access<'_>, &Name),
    request: &VerifyForHost,
    log: &mut RequestLog,
) -> Option<FleetResponse> {
    // Nothing could be accepted, and a refusal for nobody would hash the answer twice.
    if request.answer.is_empty() || request.account.is_empty() {
        return None;
    }
    let begun = access.guess(name)?;
    let response = answer(verifier, (caller, &begun), access, request, log);
    if access.is_guess() {
        log.forget();
        return None;
    }
    Some(response)
}

/// The answer from what was read, or guessed.
fn answer(
    verifier: &Verifier,
    (caller, begun): (&Caller, &Begun),
    access: &Access<'_>,
    request: &VerifyForHost,
    log: &mut RequestLog,
) -> FleetResponse {
    let Some(host) = &begun.host else {
        return FleetResponse::Unavailable(Unavailable::Store); // only an admin has no host
    };
    let Some(key) = verdict_key(host) else {
        return FleetResponse::Unavailable(Unavailable::Store); // it has 32 bytes
    };
    if !request.is_signed_by(&key) {
        return unsigned(caller, log);
    }
    match decide(verifier, (caller, host, begun), access, request, log) {
        Ok(verdict) => FleetResponse::Verdict(verdict, key.verdict_tag(&request.tag, verdict)),
        Err(response) => response,
    }
}

/// Reports a host with very many failures.
pub fn alert(verifier: &Verifier, caller: &Caller, log: &mut RequestLog) {
    if let Some(HostFailures { failures, accounts, .. }) = verifier.store.take_alert(&caller.id.name) {
        let detail = format!("{failures} failures this hour; {accounts} accounts in ten minutes");
        let subject = subject_of(caller);
        Event::new(Kind::HostNoisy, &subject).detail(&detail).emit(log);
    }
}

/// The response if the store could not decide, with its line in the log in place of all others.
pub fn failed(error: &FleetError, caller: &Caller, log: &mut RequestLog) -> FleetResponse {
    log.forget();
    let response = refusal(caller.name(), error, log);
    let is_damaged = matches!(error, FleetError::Damaged { .. });
    if is_damaged || response == FleetResponse::Unavailable(Unavailable::Store) {
        unavailable(error.reason(), &error.to_string(), caller, log);
    }
    response
}

pub fn unavailable(reason: &str, why: &str, caller: &Caller, log: &mut RequestLog) {
    let subject = subject_of(caller);
    Event::new(Kind::StoreUnavailable, &subject).reason(reason).detail(why).emit(log);
}

fn subject_of(caller: &Caller) -> Subject {
    Subject { by: caller.name().to_owned(), service: PROGRAM.into(), ..Subject::default() }
}

/// The fleet's policy. Until one is applied anywhere, that of this verifier.
pub fn policy(verifier: &Verifier, shared: Option<&[u8]>) -> Result<Config, ConfigError> {
    let now = SystemClock.now();
    match shared {
        Some(bytes) => Config::in_force(bytes.to_vec(), now)
            .map_err(|Damaged| ConfigError::Damaged("the fleet's policy".into())),
        None => Ok(ConfigFile::load(&verifier.config, now)?.config),
    }
}

/// The verdict, or the response in its place.
fn decide(
    verifier: &Verifier,
    (caller, host, begun): (&Caller, &Host, &Begun),
    access: &Access<'_>,
    request: &VerifyForHost,
    log: &mut RequestLog,
) -> Result<Verdict, FleetResponse> {
    let VerifyForHost { account, uid, facts, .. } = request;
    let user = if account.is_empty() { NOBODY.to_owned() } else { account.clone() };
    let subject = Subject {
        user,
        service: facts.service.clone(),
        rhost: facts.rhost.clone(),
        tty: facts.tty.clone(),
        ..Subject::default()
    };
    let config = policy(verifier, begun.policy.as_deref()).map_err(|error| {
        let event = Event::new(Kind::ConfigurationRefused, &subject).reason(error.reason());
        event.detail(&error.to_string()).emit(log);
        FleetResponse::Unavailable(Unavailable::Store)
    })?;
    let is_in_group = account.is_empty() || config.fleet.may_ask(&host.groups, account);
    if !begun.may_ask || !is_in_group {
        access.simulate(&mut |_, state| state.decision = Some(Decision::Refused));
        Event::login(&subject, Verdict::Denied, "host_group").emit(log);
        return Ok(Verdict::Denied);
    }
    let person = Some(Person { name: account.clone(), uid: *uid }).filter(|person| !person.name.is_empty());
    let options = Options { nullok: facts.nullok, ..Options::default() };
    let ctx = Ctx {
        config: &config,
        store: access,
        directory: &ClaimedPerson(person),
        clock: &SystemClock,
        audit: log,
        subject,
    };
    let host_name = Name::new(caller.name()).map_err(|error| FleetResponse::Refused(error.to_string()))?;
    // Without an answer the host asks whether one is needed.
    let answer = Some(request.answer.clone()).filter(|answer| !answer.is_empty());
    let is_attempt = answer.is_some();
    let mut claimed =
        ClaimedLogin { host: &host_name, answer, keys: facts.keys.clone(), groups: &host.groups };
    let outcome = login(ctx, &options, &mut claimed);
    let verdict = verdict_of(access, outcome, caller, log);
    if !is_attempt && matches!(verdict, Ok(Verdict::Denied)) {
        log.forget();
    }
    verdict
}

/// The verdict on the flow's outcome. Only what is known to be in the store is told as a decision.
fn verdict_of(
    access: &Access<'_>,
    outcome: Outcome,
    caller: &Caller,
    log: &mut RequestLog,
) -> Result<Verdict, FleetResponse> {
    if access.was_decided_before() {
        log.forget(); // the first request of this attempt has logged it
        let is_accepted = access.decision() == Some(Decision::Accepted);
        return Ok(if is_accepted { Verdict::Accepted } else { Verdict::Denied });
    }
    match (outcome, access.failure()) {
        (Outcome::Accepted, None) => Ok(Verdict::Accepted),
        (Outcome::Ignored, None) => Ok(Verdict::Ignored),
        (_, Some(error)) if is_elsewhere(&error) => Err(failed(&error, caller, log)),
        _ => Ok(Verdict::Denied),
    }
}

/// Whether the host should hear why the store did not decide, and ask another verifier.
fn is_elsewhere(error: &FleetError) -> bool {
    let of_host =
        matches!(error, FleetError::HostUnknown(_) | FleetError::HostHeld(_) | FleetError::HostRevoked(_));
    of_host || error.is_elsewhere_worth_a_try() || *error == FleetError::Busy
}
