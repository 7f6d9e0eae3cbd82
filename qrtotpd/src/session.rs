//! One connection, from its request to its last response.

use crate::PROGRAM;
use crate::broker::{Broker, send_away};
use crate::caller::{Away, Caller};
use crate::connection_limits::ConnectionPermit;
use crate::log::Log;
use crate::of_fleet::OfFleet;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use crate::served::{Ended, Served, broken, unusable};
use crate::work_limits::WorkPermit;
use qrtotp_account::Place;
use qrtotp_audit::Subject;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{catalogue_of, report_killed_holder};
use qrtotp_messages::text;
use qrtotp_policy::ConfigFile;
use qrtotp_store::StoreError;
use qrtotp_wire::{Connection, FrameError, Opening, Request, Response};

/// A place for the account `uid`, if it may log in or is a listed service.
pub fn admit(uid: u32, broker: &Broker) -> Result<(Caller, ConnectionPermit), Away> {
    let caller = Caller::identify(uid)?;
    let source = ConfigFile::load(&broker.config, SystemClock.now());
    let services = |source: &ConfigFile| source.config.broker.services_of(caller.name.as_str()).is_some();
    let listed = source.as_ref().is_ok_and(services);
    if !caller.can_log_in && !listed && source.is_ok() {
        return Err(Away::NoAccount);
    }
    if source.is_ok() {
        broker.services.note(uid, listed);
    }
    let seat = broker.connections.take(uid, broker.connections_of(uid)).ok_or(Away::TooManyConnections)?;
    Ok((caller, seat))
}

/// Serves an admitted caller. The request must come at once; after that the user has time.
pub fn serve(line: &mut Connection, caller: &Caller, seat: &ConnectionPermit, broker: &Broker) {
    let last = match opening(line) {
        Ok((_, request)) if !request.asks_nothing() && !seat.is_for_dialogues() => {
            return send_away(line, caller.uid, Away::TooManyConnections, broker);
        }
        Ok((language, request)) => answer(line, caller, broker, request, &language),
        Err(FrameError::Closed) => return,
        Err(error) => Response::Refused(error.to_string()),
    };
    let _ = line.send(&last); // a caller that is gone misses it
}

/// The caller's language and request.
fn opening(line: &mut Connection) -> Result<(String, Request), FrameError> {
    match line.receive()? {
        Opening::Request(request) => Ok((String::new(), request)),
        Opening::Language(language) => Ok((language, line.receive()?)),
    }
}

fn answer(
    line: &mut Connection,
    caller: &Caller,
    broker: &Broker,
    request: Request,
    language: &str,
) -> Response {
    let catalogue = &catalogue_of(language);
    let turn = WorkPermit::wait(&broker.work);
    let name = caller.name.as_str().to_owned();
    let subject = Subject { user: name.clone(), service: PROGRAM.into(), by: name, ..Subject::default() };
    let mut log = Log::open(&broker.refusals, Some(caller.uid), subject.by.clone());
    let failed = || Response::Failed(catalogue.text(&text::UNAVAILABLE).into());
    let source = match ConfigFile::load(&broker.config, SystemClock.now()) {
        Ok(source) => source,
        Err(error) => {
            unusable(&subject, error.reason(), &error.to_string(), &mut log);
            return failed();
        }
    };
    if source.config.fleet.decides(caller.name.as_str()) {
        let of_fleet = OfFleet { caller, source: &source, catalogue, subject: &subject };
        return turn.away(|| of_fleet.carry(line, language, request, &mut log));
    }
    // Never created here: a missing store may be a disk that is not mounted.
    let store = match RequestStore::open(&source, &turn, &broker.waits, caller.uid) {
        Ok(store) => store,
        Err(error) => {
            broken(&subject, &error, &mut log);
            return failed();
        }
    };
    let served = Served {
        caller,
        config: &source.config,
        store: &store,
        person: Remote { line, turn: &turn, catalogue, place: Place::Own },
        subject: &subject,
        log: &mut log,
    };
    let done = served.handle(broker, request);
    report_killed_holder(store.take_killed_holder(), &subject, &mut log);
    match done {
        Ok(done) => return done,
        Err(Ended::Refused(why)) => return Response::Refused(catalogue.text(&why).into()),
        Err(Ended::Broken(StoreError::Busy)) => {
            broker.refusals.caller(Some(caller.uid), &subject, Away::AccountBusy.reason());
            return Response::Refused(catalogue.text(&Away::AccountBusy.message()).into());
        }
        Err(Ended::Logged) => {}
        Err(Ended::Broken(error)) => broken(&subject, &error, &mut log),
        Err(Ended::Other(detail)) => unusable(&subject, "internal_error", &detail, &mut log),
    }
    failed()
}
