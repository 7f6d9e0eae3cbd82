//! The origin of an answer: the throttle lane it counts in, and the notice for the owner.

use super::LoginHost;
use qrtotp_account::{
    CredentialId, Failures, Forgiven, KeyFingerprint, Name, OriginDigest, Place, PlaceId, Record, Side,
    Throttle, accepted_keys,
};
use qrtotp_audit::Subject;
use qrtotp_policy::{Config, address};
use qrtotp_store::SealKey;
use qrtotp_values::UnixTime;
use std::net::{IpAddr, Ipv6Addr};

/// The origin of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerPlace {
    place: Place,
    /// The address of the remote host.
    remote: Option<IpAddr>,
    /// The client can't be asked again, and has no room for two codes.
    pub(super) one_field: bool,
    /// The origin for which a rule with `remember` stores a right code, to be digested under a key.
    pub(super) origin: Option<[u8; 8]>,
}

impl AnswerPlace {
    /// A command of the account's owner or of root.
    pub(super) const OWN: Self = Self { place: Place::Own, remote: None, one_field: false, origin: None };

    /// The same, at this place.
    pub(super) fn of_owner(place: Place) -> Self {
        Self { place, ..Self::OWN }
    }

    /// That of a login; `key` is the first one that sshd accepted.
    pub(super) fn with(
        key: Option<&KeyFingerprint>,
        subject: &Subject,
        host: &dyn LoginHost,
        one_field: bool,
    ) -> Self {
        let by = Name::new(&subject.by).ok();
        let is_own = subject.by == subject.user;
        let service = by.as_ref().filter(|_| !host.knows_place());
        let remote = address(&subject.rhost);
        let fleet_host = host.fleet_host();
        let place = match (key, remote) {
            (_, Some(address)) if fleet_host.is_some() => Place::network(address, fleet_host),
            _ if fleet_host.is_some() => Place::caller(fleet_host.map_or("", Name::as_str)),
            // The remote host that it reports does not matter: the kernel identifies the process's owner.
            _ if is_own && (service.is_some() || subject.rhost.is_empty()) => Place::Own,
            (Some(key), _) => Place::key(key),
            (None, Some(address)) => Place::network(address, service),
            (None, None) if subject.rhost.is_empty() && service.is_none() && by.is_some() => {
                Place::caller(&subject.by)
            }
            (None, None) => Place::Nowhere,
        };
        let one_field = one_field || !host.knows_place();
        Self { place, remote, one_field, origin: None }
    }

    pub(super) fn side(&self, key: &SealKey, record: &Record) -> Side {
        match self.place {
            Place::Own => Side::Own,
            Place::Nowhere => Side::Nowhere,
            Place::Apart(what) => {
                let [a, b, c, d, e, f, g, h, ..] = key.digest(record.id, what);
                Side::Place(PlaceId([a, b, c, d, e, f, g, h]))
            }
        }
    }

    /// The network of the remote host, whichever login host or key it came through; `side` is [`Self::side`].
    pub(super) fn network(&self, key: &SealKey, record: &Record, side: Side) -> Option<PlaceId> {
        let place = Place::network(self.remote?, None);
        let side = if place == self.place { side } else { Self::of_owner(place).side(key, record) };
        if let Side::Place(id) = side { Some(id) } else { None }
    }

    /// Remembers a right code if a rule says so.
    pub(super) fn remember(
        &self,
        key: &SealKey,
        record: &Record,
        (credential, side): (CredentialId, Side),
        now: UnixTime,
        throttle: &mut Throttle,
    ) {
        if let Some(origin) = self.origin {
            throttle.remembered.remember(origin_digest(key, record, origin), side, credential, now);
        }
    }

    /// Stores the network of the newest wrong answer, readable only with the key.
    pub(super) fn note(&self, key: &SealKey, record: &Record, now: UnixTime, since: &mut Failures) {
        if let Some(address) = self.remote {
            (since.at, since.from) = (now, masked(key, record, now, network(address).octets()));
        }
    }

    /// The same for reading.
    pub(super) fn name_elsewhere(&self, key: &SealKey, record: &Record, mut forgiven: Forgiven) -> Forgiven {
        let since = &mut forgiven.since;
        if since.at != 0 {
            since.from = masked(key, record, since.at, since.from);
        }
        forgiven
    }
}

pub(super) fn origin_digest(key: &SealKey, record: &Record, origin: [u8; 8]) -> OriginDigest {
    let [a, b, c, d, e, f, g, h, ..] = key.digest(record.id, origin);
    [a, b, c, d, e, f, g, h]
}

/// The first key that sshd accepted, at a service that is sshd's.
pub(super) fn accepted_key(
    config: &Config,
    subject: &Subject,
    host: &mut dyn LoginHost,
) -> Option<KeyFingerprint> {
    let info = if is_key_service(config, subject) { host.ssh_auth_info() } else { None };
    info.and_then(|info| accepted_keys(&info).into_iter().next())
}

/// Masks with a separate key stream for each second; masking again undoes it.
fn masked(key: &SealKey, record: &Record, at: UnixTime, mut bytes: [u8; 16]) -> [u8; 16] {
    let mut what = at.to_be_bytes();
    what[0] = b'm';
    let mask = key.digest(record.id, what);
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bytes
}

/// The /24 or /56 that an address is in.
fn network(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            std::net::Ipv4Addr::new(a, b, c, 0).to_ipv6_mapped()
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[7..].fill(0);
            octets.into()
        }
    }
}

/// Whether this service (sshd, or another one of `enroll.key_services`) reports the key that a login used.
pub(super) fn is_key_service(config: &Config, place: &Subject) -> bool {
    config.enroll.key_services.iter().any(|known| known == place.pam_service())
}
