//! The host at the other end of a connection.

use super::state::Verifier;
use qrtotp_audit::{AuditSink, Event, Kind, Subject};
use qrtotp_fleet::{FleetError, Host, HostId, HostName, HostState};
use qrtotp_fleet_tls::Peer;
use qrtotp_frames::{FleetResponse, Unavailable, VerdictKey};
use zeroize::Zeroizing;

/// A host with a certificate of the fleet.
pub struct Caller {
    pub id: HostId,
    pub public_key: Vec<u8>,
}

impl Caller {
    /// The host that the certificate names; the store has not been asked about it.
    pub fn of(peer: Peer) -> Option<Self> {
        let name = HostName::new(&peer.name).ok()?;
        Some(Self { id: HostId { name, key: peer.key }, public_key: peer.public_key })
    }

    pub fn name(&self) -> &str {
        self.id.name.as_str()
    }

    /// The host as the store has it, if it may ask.
    pub fn look_up(&self, verifier: &Verifier) -> Result<Host, FleetError> {
        let name = || self.name().to_owned();
        let host = verifier.store.host(&self.id.name)?.filter(|host| host.key == self.id.key);
        let host = host.ok_or_else(|| FleetError::HostUnknown(name()))?;
        match host.state {
            HostState::Active => Ok(host),
            HostState::Held => Err(FleetError::HostHeld(name())),
            HostState::Revoked => Err(FleetError::HostRevoked(name())),
        }
    }
}

/// The key that the host's root shares with us.
pub fn verdict_key(host: &Host) -> Option<VerdictKey> {
    VerdictKey::new(Zeroizing::new(host.verdict_key.to_vec()))
}

/// The response to a request that the host's root has not signed.
pub fn unsigned(caller: &Caller, log: &mut dyn AuditSink) -> FleetResponse {
    refuse(caller.name(), "host_signature", log);
    let text = "the request is not signed with this host's verdict key; let the host join again";
    FleetResponse::Refused(text.into())
}

/// The response to a host that may not ask, or whose request the store can't answer.
pub fn refusal(host: &str, error: &FleetError, log: &mut dyn AuditSink) -> FleetResponse {
    match error {
        FleetError::HostUnknown(_) | FleetError::HostHeld(_) | FleetError::HostRevoked(_) => {
            refuse(host, error.reason(), log);
            FleetResponse::Refused(error.to_string())
        }
        FleetError::Busy => FleetResponse::Unavailable(Unavailable::Busy),
        FleetError::Damaged { .. } => FleetResponse::Refused(error.to_string()), // another verifier reads the same
        _ => FleetResponse::Unavailable(Unavailable::Store),
    }
}

/// Logs that a host is not served.
pub fn refuse(host: &str, reason: &str, log: &mut dyn AuditSink) {
    let subject = Subject { by: host.to_owned(), service: crate::PROGRAM.into(), ..Subject::default() };
    Event::new(Kind::CallerRefused, &subject).reason(reason).emit(log);
}
