//! One connection of a host: requests, one after the other.

use super::break_glass::note;
use super::hosts::{Caller, refusal};
use super::join::{certificate, join};
use super::log::RequestLog;
use super::session;
use super::state::Verifier;
use super::verify::verify;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet::HostReport;
use qrtotp_fleet_tls::{ServerStream, peer, wait};
use qrtotp_frames::{ATTEMPT_LEN, FRAME_TIME, FleetRequest, FleetResponse, Unavailable, receive, send};
use std::io::Write;
use std::time::Duration;

/// How long a connection may be silent. A relay reports more often.
const SILENCE: Duration = Duration::from_secs(120);

/// Serves a connection until the host closes it, is refused, or says nothing for long.
pub fn serve(mut stream: ServerStream, verifier: &Verifier) {
    let Ok(peer) = peer(&stream) else { return };
    let caller = peer.map(Caller::of);
    while wait(&mut stream, SILENCE) {
        stream.sock.last(FRAME_TIME);
        let Ok(request) = receive::<FleetRequest>(&mut stream) else { return };
        if let (Some(Some(caller)), FleetRequest::Session(open)) = (&caller, &request) {
            return session::serve(stream, verifier, caller, open);
        }
        // Written once the host has its answer: the account's own lines are in the store already.
        let mut log = None;
        let response = match &caller {
            None => without_certificate(verifier, &request),
            Some(None) => FleetResponse::Refused("the certificate names no host; let it join again".into()),
            Some(Some(caller)) => answer(verifier, caller, request, &mut log),
        };
        stream.sock.last(FRAME_TIME);
        let sent = send(&mut stream, &response).is_ok() && stream.flush().is_ok();
        // A host that is not served does not stay connected.
        if !sent || matches!(response, FleetResponse::Refused(_)) {
            stream.conn.send_close_notify();
            let _ = stream.flush();
            return;
        }
    }
}

fn without_certificate(verifier: &Verifier, request: &FleetRequest) -> FleetResponse {
    match request {
        FleetRequest::Join(request) => join(verifier, request),
        _ => FleetResponse::Refused("without a certificate a host can only join".into()),
    }
}

fn answer(
    verifier: &Verifier,
    caller: &Caller,
    request: FleetRequest,
    log: &mut Option<RequestLog>,
) -> FleetResponse {
    match request {
        FleetRequest::Join(request) => join(verifier, &request),
        FleetRequest::Verify(request) => {
            let log = log.insert(RequestLog::open(caller.name(), &request.attempt));
            verify(verifier, caller, *request, log)
        }
        FleetRequest::Session(_) => FleetResponse::Refused("a session has a connection of its own".into()),
        FleetRequest::OfflineUse(used) => note(verifier, caller, &used),
        FleetRequest::Renew => match caller.look_up(verifier) {
            Ok(_) => certificate(verifier, caller.name(), &caller.public_key),
            Err(error) => refusal(caller.name(), &error, &mut no_attempt(caller)),
        },
        FleetRequest::Report { version, authorities } => {
            let report = HostReport { seen: SystemClock.now(), version, authorities };
            let noted =
                caller.look_up(verifier).and_then(|_| verifier.store.note_host(&caller.id.name, &report));
            match (noted, verifier.clocks.objection()) {
                (Err(error), _) => refusal(caller.name(), &error, &mut no_attempt(caller)),
                (Ok(()), Some(_)) => FleetResponse::Unavailable(Unavailable::Store),
                (Ok(()), None) => FleetResponse::Done,
            }
        }
    }
}

/// The log of a request that is no attempt.
fn no_attempt(caller: &Caller) -> RequestLog {
    RequestLog::open(caller.name(), &[0; ATTEMPT_LEN])
}
