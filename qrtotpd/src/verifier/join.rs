//! Takes hosts into the fleet, and renews their certificates.

use super::state::Verifier;
use crate::PROGRAM;
use qrtotp_audit::{Event, Kind, Subject};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet_hosts::{Host, HostsError};
use qrtotp_frames::{FleetResponse, JoinRequest};
use qrtotp_frontend::Syslog;

/// A host with an invitation becomes one of the fleet.
pub fn join(verifier: &Verifier, request: &JoinRequest) -> FleetResponse {
    let mut log = Syslog::open(PROGRAM);
    let subject = Subject { by: request.host.clone(), service: PROGRAM.into(), ..Subject::default() };
    match verifier.hosts.join(request, SystemClock.now()) {
        Ok(host) => {
            let detail = format!("groups {}", host.groups.join(" "));
            Event::new(Kind::HostJoined, &subject).detail(&detail).emit(&mut log);
            certificate(verifier, &host)
        }
        Err(HostsError::Refused(text)) => {
            Event::new(Kind::CallerRefused, &subject).reason("host_not_invited").detail(text).emit(&mut log);
            FleetResponse::Refused(text.into())
        }
        Err(error) => {
            let event = Event::new(Kind::ConfigurationRefused, &subject).reason("hosts_unreadable");
            event.detail(&error.to_string()).emit(&mut log);
            FleetResponse::Refused("the verifier can't read its hosts; its log says why".into())
        }
    }
}

/// A new certificate for the host's key.
pub fn certificate(verifier: &Verifier, host: &Host) -> FleetResponse {
    match verifier.authority.host(&host.name, &host.public_key) {
        Ok(certificate) => FleetResponse::Certificate(certificate.to_vec()),
        Err(error) => FleetResponse::Refused(error.to_string()),
    }
}
