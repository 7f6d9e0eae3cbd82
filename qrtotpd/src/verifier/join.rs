//! Takes hosts into the fleet, and renews their certificates.

use super::state::Verifier;
use crate::PROGRAM;
use qrtotp_audit::{Event, Kind, Subject};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet::{FleetError, Host, HostName, HostState};
use qrtotp_fleet_tls::{Authority, is_host_name};
use qrtotp_frames::{FleetResponse, JoinRequest, Renewal, Unavailable};
use qrtotp_frontend::Syslog;
use zeroize::Zeroizing;

/// A host with an invitation becomes one of the fleet.
pub fn join(verifier: &Verifier, request: &JoinRequest) -> FleetResponse {
    let mut log = Syslog::open(PROGRAM);
    let subject = Subject { by: request.host.clone(), service: PROGRAM.into(), ..Subject::default() };
    let Some((name, host)) = described(request) else {
        let text = "the host's name or keys can't be used; a name has letters, digits, dots and dashes";
        return FleetResponse::Refused(text.into());
    };
    match verifier.store.join(&request.token, &name, &host, SystemClock.now()) {
        Ok(host) => {
            let detail = format!("groups {}", host.groups.join(" "));
            Event::new(Kind::HostJoined, &subject).detail(&detail).emit(&mut log);
            certificate(verifier, name.as_str(), &request.public_key)
        }
        Err(error @ (FleetError::NotInvited | FleetError::HostKnown(_) | FleetError::HostRevoked(_))) => {
            let text = error.to_string();
            Event::new(Kind::CallerRefused, &subject).reason(error.reason()).detail(&text).emit(&mut log);
            FleetResponse::Refused(text)
        }
        Err(error) => {
            let event = Event::new(Kind::StoreUnavailable, &subject).reason(error.reason());
            event.detail(&error.to_string()).emit(&mut log);
            FleetResponse::Unavailable(Unavailable::Store)
        }
    }
}

/// The host as it describes itself.
fn described(request: &JoinRequest) -> Option<(HostName, Host)> {
    let name = HostName::new(&request.host.to_ascii_lowercase()).ok()?;
    let verdict_key = Zeroizing::new(<[u8; 32]>::try_from(request.verdict_key.as_slice()).ok()?);
    if !is_host_name(name.as_str()) || request.public_key.len() != 32 {
        return None;
    }
    let (state, key) = (HostState::Active, Authority::key_hash(&request.public_key));
    let host = Host { state, key, verdict_key, groups: Vec::new(), services: Vec::new(), joined: 0 };
    Some((name, host))
}

/// A certificate, with the CAs that the host is to trust.
fn renewal(verifier: &Verifier, certificate: Vec<u8>) -> FleetResponse {
    let authorities = verifier.authorities.iter().map(|authority| authority.to_vec()).collect();
    match (Renewal { certificate, authorities }).to_bytes() {
        Ok(certificates) => FleetResponse::Certificates(certificates),
        Err(error) => FleetResponse::Refused(error.to_string()),
    }
}

/// A new certificate for the host's key.
pub fn certificate(verifier: &Verifier, name: &str, public_key: &[u8]) -> FleetResponse {
    match verifier.authority.host(name, public_key) {
        Ok(certificate) => renewal(verifier, certificate.to_vec()),
        Err(error) => FleetResponse::Refused(error.to_string()),
    }
}
