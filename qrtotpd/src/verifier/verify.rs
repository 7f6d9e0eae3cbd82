//! Verifies an answer for a host.

use super::attempts::Known;
use super::claims::{ClaimedLogin, ClaimedPerson};
use super::log::RequestLog;
use super::observed_store::ObservedStore;
use super::state::Verifier;
use crate::work_limits::WorkPermit;
use qrtotp_account::Name;
use qrtotp_audit::{AuditSink, Event, Kind, Subject, Verdict};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet_hosts::Host;
use qrtotp_fleet_tls::{KeyHash, hex};
use qrtotp_flow::{Ctx, NOBODY, Options, Outcome, Person, login};
use qrtotp_frames::{FleetResponse, Unavailable, VerifyForHost};
use qrtotp_policy::{Config, ConfigFile, Defaults, FirstLogin};
use qrtotp_store::Store;

/// Verifies an answer. A request that is sent again gets its first verdict again.
pub fn verify(verifier: &Verifier, host: &Host, key: KeyHash, request: VerifyForHost) -> FleetResponse {
    let mut log = RequestLog::open(&host.name, &request.attempt);
    if !request.is_signed_by(&host.verdict_key) {
        refuse(&host.name, "host_signature", &mut log);
        let text = "the request is not signed with this host's verdict key; let the host join again";
        return FleetResponse::Refused(text.into());
    }
    // Requests for users that the host does not know don't wait for each other.
    let waits_as = if request.account.is_empty() { hex(&request.attempt) } else { request.account.clone() };
    let Some(_turn) = verifier.queue.enter(&waits_as) else {
        return FleetResponse::Unavailable(Unavailable::Busy);
    };
    // It may have been revoked meanwhile.
    match verifier.hosts.find(&key) {
        Ok(Some(host)) if host.revoked.is_none() => {}
        Ok(_) => return FleetResponse::Refused("this host is revoked".into()),
        Err(_) => return FleetResponse::Unavailable(Unavailable::Store),
    }
    let (attempt, tag) = ((key, request.attempt), request.tag);
    let verdict = match verifier.attempts.find(&attempt, &tag) {
        Known::Decided(verdict) => verdict,
        Known::Other => return FleetResponse::Refused("the attempt's id was used before".into()),
        Known::New => match decide(verifier, host, request, &mut log) {
            Ok(verdict) => {
                verifier.attempts.keep(attempt, tag, verdict);
                verdict
            }
            Err(why) => return FleetResponse::Unavailable(why),
        },
    };
    FleetResponse::Verdict(verdict, host.verdict_key.verdict_tag(&tag, verdict))
}

/// Logs that a host is not served.
pub fn refuse(host: &str, reason: &str, log: &mut dyn AuditSink) {
    let subject = Subject { by: host.to_owned(), service: crate::PROGRAM.into(), ..Subject::default() };
    Event::new(Kind::CallerRefused, &subject).reason(reason).emit(log);
}

fn decide(
    verifier: &Verifier,
    host: &Host,
    request: VerifyForHost,
    log: &mut RequestLog,
) -> Result<Verdict, Unavailable> {
    let _permit = WorkPermit::wait(&verifier.work);
    let VerifyForHost { account, uid, facts, answer, .. } = request;
    let user = if account.is_empty() { NOBODY.to_owned() } else { account.clone() };
    let subject =
        Subject { user, service: facts.service, rhost: facts.rhost, tty: facts.tty, ..Subject::default() };
    let mut unusable = |reason: &str, detail: &str| {
        Event::new(Kind::ConfigurationRefused, &subject).reason(reason).detail(detail).emit(log);
        Unavailable::Store
    };
    let source = ConfigFile::load(&verifier.config, SystemClock.now())
        .map_err(|error| unusable(error.reason(), &error.to_string()))?;
    let store = source.open_store().map_err(|error| unusable(error.reason(), &error.to_string()))?;
    let host_name = Name::new(&host.name).map_err(|error| unusable("internal_error", &error.to_string()))?;
    if !account.is_empty() && !source.config.fleet.may_ask(&host.groups, &account) {
        store.simulate(&mut |_, _| {});
        Event::login(&subject, Verdict::Denied, "host_group").emit(log);
        return Ok(Verdict::Denied);
    }
    let store = ObservedStore::new(store);
    let person = Some(Person { name: account, uid }).filter(|person| !person.name.is_empty());
    let options = Options { nullok: facts.nullok, ..Options::default() };
    let ctx = Ctx {
        config: &without_enrolment(&source.config),
        store: &store,
        directory: &ClaimedPerson(person),
        clock: &SystemClock,
        audit: log,
        subject,
    };
    let mut claimed = ClaimedLogin { host: &host_name, answer: Some(answer), keys: facts.keys };
    match login(ctx, &options, &mut claimed) {
        Outcome::Accepted => Ok(Verdict::Accepted),
        Outcome::Ignored => Ok(Verdict::Ignored),
        Outcome::Denied if store.has_failed() => Err(Unavailable::Store),
        Outcome::Denied => Ok(Verdict::Denied),
    }
}

/// A verifier can't prove a password of the host, so nobody enrols at a login there.
fn without_enrolment(config: &Config) -> Config {
    let enrols = matches!(config.defaults.first_login, FirstLogin::Enroll | FirstLogin::Token);
    let first_login = if enrols { FirstLogin::Deny } else { config.defaults.first_login };
    Config { defaults: Defaults { first_login, ..config.defaults }, ..config.clone() }
}
