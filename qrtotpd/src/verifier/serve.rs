//! One connection of a host: requests, one after the other.

use super::join::{certificate, join};
use super::log::RequestLog;
use super::state::Verifier;
use super::verify::{refuse, verify};
use qrtotp_fleet_hosts::Host;
use qrtotp_fleet_tls::{KeyHash, ServerStream, peer_key, wait};
use qrtotp_frames::{ATTEMPT_LEN, FRAME_TIME, FleetRequest, FleetResponse, Unavailable, receive, send};
use std::io::Write;
use std::time::Duration;

/// How long a connection may be silent. A relay reports more often.
const SILENCE: Duration = Duration::from_secs(120);

/// Serves a connection until the host closes it, is refused, or says nothing for long.
pub fn serve(mut stream: ServerStream, verifier: &Verifier) {
    let Ok(key) = peer_key(&stream) else { return };
    while wait(&mut stream, SILENCE) {
        stream.sock.last(FRAME_TIME);
        let Ok(request) = receive::<FleetRequest>(&mut stream) else { return };
        let response = answer(verifier, key, request);
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

fn answer(verifier: &Verifier, key: Option<KeyHash>, request: FleetRequest) -> FleetResponse {
    let (host, key) = match (&request, key) {
        (FleetRequest::Join(request), _) => return join(verifier, request),
        (_, None) => return FleetResponse::Refused("without a certificate a host can only join".into()),
        (_, Some(key)) => match active(verifier, &key) {
            Ok(host) => (host, key),
            Err(response) => return response,
        },
    };
    match request {
        FleetRequest::Verify(request) => verify(verifier, &host, key, *request),
        FleetRequest::Renew => certificate(verifier, &host),
        FleetRequest::Report { version } => {
            verifier.hosts.note_seen(&key, &version);
            FleetResponse::Done
        }
        FleetRequest::Join(_) => FleetResponse::Done, // answered above
    }
}

/// The host of this key, if it may ask.
fn active(verifier: &Verifier, key: &KeyHash) -> Result<Host, FleetResponse> {
    let refused = |host: &str, reason, text: &str| {
        refuse(host, reason, &mut RequestLog::open(host, &[0; ATTEMPT_LEN]));
        FleetResponse::Refused(text.into())
    };
    match verifier.hosts.find(key) {
        Ok(Some(host)) if host.revoked.is_none() => Ok(host),
        Ok(Some(host)) => Err(refused(&host.name, "host_revoked", "this host is revoked")),
        Ok(None) => Err(refused("?", "host_unknown", "this host is not known; let it join again")),
        Err(_) => Err(FleetResponse::Unavailable(Unavailable::Store)),
    }
}
