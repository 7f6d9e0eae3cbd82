//! What one transaction reads for a decision: the store's meta value, the host, the record, the state.

use crate::attempts::{AttemptId, Attempts, Kept};
use crate::engine::{Stored, revision_of};
use crate::error::FleetError;
use crate::guard::open_meta;
use crate::keys::{self, HostId, HostName};
use crate::ring::Ring;
use crate::values::{Host, HostState, Meta, RecordValue, StateValue, Tagged, Value};
use qrtotp_account::{Name, Record, State};
use qrtotp_store::Account;
use qrtotp_values::UnixTime;

/// The keys of a decision, in the order in which they are read and compared.
pub(crate) fn keys_of(name: &Name, host: Option<&HostName>) -> Vec<String> {
    let mut list = vec![keys::meta(), keys::record(name), keys::state(name)];
    list.extend(host.map(keys::host));
    list
}

/// The values of a decision.
#[derive(Debug)]
pub(crate) struct View {
    /// Each key with its revision.
    pub revisions: Vec<(String, i64)>,
    pub meta: Meta,
    pub host: Option<Host>,
    pub groups: Vec<String>,
    /// As the decision sees it: secrets under the current key, steps before the fence burnt.
    pub account: Option<Account>,
    pub attempts: Attempts,
    pub lines: Vec<u8>,
}

impl View {
    /// Reads the values of [`keys_of`].
    pub fn read(
        ring: &Ring,
        name: &Name,
        host: Option<&HostName>,
        values: &[Option<Stored>],
    ) -> Result<Self, FleetError> {
        let keys = keys_of(name, host);
        let value = |at: usize| values.get(at).and_then(Option::as_ref);
        let meta = open_meta(ring, value(0).ok_or(FleetError::NotMade)?)?;
        let host = match (host, value(3)) {
            (Some(name), Some(stored)) => Some(open_host(ring, &meta, name, stored)?),
            _ => None,
        };
        let mut view = Self {
            revisions: keys.into_iter().enumerate().map(|(at, key)| (key, revision_of(value(at)))).collect(),
            meta,
            host,
            groups: Vec::new(),
            account: None,
            attempts: Attempts::default(),
            lines: Vec::new(),
        };
        match (value(1), value(2)) {
            (None, None) => {}
            (Some(record), Some(state)) => view.read_account(ring, name, record, state)?,
            (None, Some(_)) => return Err(damaged(keys::record(name), "it is missing")),
            (Some(_), None) => return Err(damaged(keys::state(name), "it is missing")),
        }
        Ok(view)
    }

    fn read_account(
        &mut self,
        ring: &Ring,
        name: &Name,
        record: &Stored,
        state: &Stored,
    ) -> Result<(), FleetError> {
        let key = keys::record(name);
        let (plain, sealed_with) = ring.open(&self.meta.store, &key, &record.value)?;
        let unknown = |_| damaged(key.clone(), "not a record of a known version");
        let RecordValue { groups, mut record } = RecordValue::from_bytes(&plain).map_err(unknown)?;
        if record.name != *name {
            return Err(damaged(key, "it belongs to another account"));
        }
        let unopened = |_| damaged(key.clone(), "a secret does not open");
        ring.renew(&mut record, sealed_with).map_err(unopened)?;
        let key = keys::state(name);
        let (plain, _) = ring.open(&self.meta.store, &key, &state.value)?;
        let unknown = |_| damaged(key.clone(), "not a state of a known version");
        let StateValue { attempts, mut state, lines } = StateValue::from_bytes(&plain).map_err(unknown)?;
        if state.record != record.id {
            return Err(damaged(key, "it belongs to another record"));
        }
        burn(&record, &mut state, self.meta.fence);
        (self.groups, self.attempts, self.lines) = (groups, attempts, lines);
        self.account = Some(Account { record, state });
        Ok(())
    }

    /// Refuses a host that may not ask.
    pub fn permit_host(&self, host: Option<&HostId>) -> Result<(), FleetError> {
        let Some(HostId { name, key }) = host else { return Ok(()) };
        let shown = name.to_string();
        // The name may be that of a host which joined later.
        let host = self.host.as_ref().filter(|host| host.key == *key);
        let host = host.ok_or_else(|| FleetError::HostUnknown(shown.clone()))?;
        match host.state {
            HostState::Active => Ok(()),
            HostState::Held => Err(FleetError::HostHeld(shown)),
            HostState::Revoked => Err(FleetError::HostRevoked(shown)),
        }
    }

    /// Refuses a host that may not ask, or not about this account.
    pub fn permit(&self, host: Option<&HostId>) -> Result<(), FleetError> {
        self.permit_host(host)?;
        let (Some(id), Some(host)) = (host, &self.host) else { return Ok(()) };
        if self.groups.is_empty() || self.groups.iter().any(|group| host.groups.contains(group)) {
            Ok(())
        } else {
            Err(FleetError::OutOfGroup(id.name.to_string()))
        }
    }

    pub fn attempt(&self, id: AttemptId) -> Option<&Kept> {
        self.attempts.find(id)
    }

    pub fn revision_of_state(&self) -> i64 {
        self.revisions.get(2).map_or(0, |(_, revision)| *revision)
    }
}

/// Burns every step that began before the fence. A device whose clock is ahead showed such codes earlier,
/// under higher steps.
fn burn(record: &Record, state: &mut State, fence: UnixTime) {
    if fence <= 0 {
        return;
    }
    for credential in &record.credentials {
        let ahead = state.credential_state(credential.id).map_or(0, |mark| mark.drift.max(0));
        let last = credential.params.step_at(fence - 1).saturating_add_signed(ahead.into());
        if state.is_fresh(credential.id, last) {
            state.raise(credential.id, last, None);
        }
    }
}

/// Opens a value that admins change.
pub(crate) fn open_tagged(
    ring: &Ring,
    meta: &Meta,
    key: &str,
    stored: &Stored,
) -> Result<Tagged, FleetError> {
    let (plain, _) = ring.open(&meta.store, key, &stored.value)?;
    Tagged::from_bytes(&plain).map_err(|_| damaged(key.to_owned(), "not a value of a known version"))
}

pub(crate) fn open_host(
    ring: &Ring,
    meta: &Meta,
    name: &HostName,
    stored: &Stored,
) -> Result<Host, FleetError> {
    let key = keys::host(name);
    let tagged = open_tagged(ring, meta, &key, stored)?;
    Host::from_bytes(&tagged.bytes).map_err(|_| damaged(key, "not a host of a known version"))
}

pub(crate) fn damaged(key: String, why: &'static str) -> FleetError {
    FleetError::Damaged { key, why }
}
