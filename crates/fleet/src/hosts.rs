//! Login hosts: invitations, joining, and whether a host may ask.

use crate::bytes::{Malformed, Reader, put_texts};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::guard::open_meta;
use crate::keys::{self, HostName};
use crate::limit::{EACH, Limit};
use crate::values::{Host, HostFailures, HostReport, HostState, Value};
use crate::view::open_host;
use qrtotp_values::UnixTime;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Lets some hosts join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The groups that they will be in.
    pub groups: Vec<String>,
    /// How many still may.
    pub uses: u32,
    /// Until when.
    pub until: UnixTime,
}

impl Value for Invitation {
    fn encode(&self, out: &mut Vec<u8>) {
        put_texts(out, &self.groups);
        out.extend_from_slice(&self.uses.to_le_bytes());
        out.extend_from_slice(&self.until.to_le_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let groups = bytes.texts()?;
        Ok(Self { groups, uses: u32::from_le_bytes(bytes.array()?), until: bytes.signed()? })
    }
}

/// Invitations are found by a hash of their secret, which is not kept.
fn id_of(secret: &str) -> String {
    Sha256::digest(secret).iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}"); // to a string
        id
    })
}

impl FleetStore {
    /// A host, whatever its state.
    ///
    /// # Errors
    /// etcd does not answer, or the value is damaged.
    pub fn host(&self, name: &HostName) -> Result<Option<Host>, FleetError> {
        let key = keys::host(name);
        let reply = self.read(&[&keys::meta(), &key], &Limit::Each(EACH).start())?;
        let value = |at: usize| reply.values.get(at).and_then(Option::as_ref);
        let meta = open_meta(&self.ring, value(0).ok_or(FleetError::NotMade)?)?;
        value(1).map(|stored| open_host(&self.ring, &meta, name, stored)).transpose()
    }

    /// Adds an invitation.
    ///
    /// # Errors
    /// As [`FleetStore::change_host`].
    pub fn invite(&self, secret: &str, invitation: &Invitation) -> Result<(), FleetError> {
        self.change_token(&id_of(secret), &mut |bytes| *bytes = Some(invitation.to_bytes()))
    }

    /// Adds a host that has an invitation, in the invitation's groups, and uses that up. Returns it as it was
    /// added.
    ///
    /// # Errors
    /// The invitation is unknown, used up or too old; there is a host of this name that is not revoked; the
    /// key is that of a revoked host; as [`FleetStore::change_host`].
    pub fn join(
        &self,
        secret: &str,
        name: &HostName,
        host: &Host,
        now: UnixTime,
    ) -> Result<Host, FleetError> {
        may_join(name, self.host(name)?.as_ref(), host)?;
        // First the use: a crash in between costs one use, and never gives a second one.
        let mut used = None;
        self.change_token(&id_of(secret), &mut |bytes| {
            let known = bytes.as_deref().and_then(|bytes| Invitation::from_bytes(bytes).ok());
            used = known.filter(|known| known.uses > 0 && now < known.until);
            *bytes = used.clone().and_then(|known| {
                let uses = known.uses - 1;
                (uses > 0).then(|| Invitation { uses, ..known }.to_bytes())
            });
        })?;
        let Invitation { groups, .. } = used.ok_or(FleetError::NotInvited)?;
        let host = Host { groups, state: HostState::Active, joined: now, ..host.clone() };
        let mut refused = Ok(());
        self.change_host(name, &mut |known| {
            refused = may_join(name, known.as_ref(), &host);
            if refused.is_ok() {
                *known = Some(host.clone());
            }
        })?;
        refused.map(|()| host)
    }

    /// Holds, releases or revokes a host; once this returns, it holds for every decision. Returns its former
    /// state; `None`: there is no such host. A revoked host stays revoked.
    ///
    /// # Errors
    /// As [`FleetStore::change_host`].
    pub fn set_host_state(&self, name: &HostName, state: HostState) -> Result<Option<HostState>, FleetError> {
        let mut former = None;
        self.change_host(name, &mut |host| {
            former = host.as_ref().map(|host| host.state);
            if let Some(host) = host.as_mut().filter(|host| host.state != HostState::Revoked) {
                host.state = state;
            }
        })?;
        Ok(former)
    }

    /// Notes that a host's relay is connected: at most every ten minutes, unless it says something new.
    ///
    /// # Errors
    /// etcd does not answer.
    pub fn note_host(&self, name: &HostName, report: &HostReport) -> Result<(), FleetError> {
        if self.noted.is_due(name, report) {
            self.put_alone(&keys::report(name), &report.to_bytes())?;
        }
        Ok(())
    }

    /// A host's failures at this verifier, if it is noisy; once an hour.
    pub fn take_alert(&self, name: &HostName) -> Option<HostFailures> {
        self.failures.take_alert(name)
    }

    /// When the relay of each host was last connected.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn host_reports(&self) -> Result<HashMap<HostName, HostReport>, FleetError> {
        let read = |(name, bytes): (String, Vec<u8>)| {
            Some((HostName::new(&name).ok()?, HostReport::from_bytes(&bytes).ok()?))
        };
        Ok(self.all(&keys::reports())?.into_iter().filter_map(read).collect())
    }
}

/// Whether a host may take this name, which `known` has now.
fn may_join(name: &HostName, known: Option<&Host>, new: &Host) -> Result<(), FleetError> {
    match known {
        Some(known) if known.state == HostState::Revoked && known.key != new.key => Ok(()),
        Some(known) if known.state == HostState::Revoked => Err(FleetError::HostRevoked(name.to_string())),
        Some(_) => Err(FleetError::HostKnown(name.to_string())),
        None => Ok(()),
    }
}
