//! The last step: a confirmed credential becomes part of the account.

use super::error::EnrollError;
use qrtotp_account::{Credential, CredentialId, Label, Name, Origin, Record, RecordId, State};
use qrtotp_otp::{Params, Secret, Step, Window, random_bytes};
use qrtotp_store::{Account, SealKey, Store};
use qrtotp_values::UnixTime;

/// The part of an account that must not change during an enrolment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountSnapshot {
    uid: u32,
    pub(crate) revoked: Option<UnixTime>,
    credentials: Vec<CredentialId>,
}

impl AccountSnapshot {
    pub(super) fn of(account: &Account) -> Self {
        let record = &account.record;
        let credentials = record.credentials.iter().map(|credential| credential.id).collect();
        Self { uid: record.uid, revoked: record.revoked, credentials }
    }

    /// How many devices the account has, if it belongs to this uid.
    pub(super) fn devices_of(&self, uid: u32) -> usize {
        if self.uid == uid { self.credentials.len() } else { 0 }
    }

    pub(crate) fn has_devices(&self) -> bool {
        !self.credentials.is_empty()
    }
}

/// The id of the account's record, or of a new one, with its present contents.
pub(crate) fn record_id(store: &dyn Store, name: &Name) -> Result<(RecordId, AccountSnapshot), EnrollError> {
    match store.load(name)? {
        Some(account) => Ok((account.record.id, AccountSnapshot::of(&account))),
        None => Ok((RecordId(random_bytes()?), AccountSnapshot::default())),
    }
}

/// A credential to be added to an account.
pub(crate) struct Addition<'a> {
    pub id: CredentialId,
    pub record: RecordId,
    /// The account at the beginning: a device proven or revoked in the meantime must not be ignored.
    pub seen: &'a AccountSnapshot,
    pub name: &'a Name,
    pub uid: u32,
    pub label: &'a Label,
    pub params: Params,
    pub origin: Origin,
    pub secret: &'a Secret,
    /// The step of the code that confirmed it, or the last one used elsewhere: burnt.
    pub used: Step,
    /// Steps by which its clock is ahead of ours.
    pub drift: i32,
    /// If it differs from the host's.
    pub window: Option<Window>,
    pub max_devices: usize,
    pub now: UnixTime,
}

impl Addition<'_> {
    /// Whether the record can take it.
    pub(crate) fn check(&self, key: &SealKey, record: &Record) -> Result<(), EnrollError> {
        if record.has_credential(self.id) {
            return Err(EnrollError::Changed);
        }
        if record.credentials.len() >= self.max_devices {
            return Err(EnrollError::TooManyDevices(record.credentials.len()));
        }
        for known in &record.credentials {
            if key.open_secret(record, known)?.same_key(self.secret) {
                return Err(EnrollError::Known(known.id));
            }
        }
        Ok(())
    }

    /// The sealed secret, for [`Addition::add_to`].
    pub(crate) fn sealed(&self, key: &SealKey) -> Result<Vec<u8>, EnrollError> {
        Ok(key.seal_secret(&self.fresh(), self.id, self.params, self.secret)?)
    }

    fn fresh(&self) -> Record {
        Record::new(self.name.clone(), self.uid, self.record)
    }

    /// The account that gets the credential: a copy of `stored`, or a new one.
    pub(crate) fn account(&self, stored: Option<&Account>) -> Result<Account, EnrollError> {
        if stored.is_some_and(|account| account.record.id != self.record) {
            return Err(EnrollError::Changed);
        }
        // A record of another uid belonged to a former user: its contents go, too.
        Ok(match stored {
            Some(account) if account.record.uid == self.uid => account.clone(),
            other => {
                let mut record = self.fresh();
                let burnt =
                    |Account { record, state }: &Account| record.burnt_without(&record.credentials, state);
                record.burnt_until = other.map_or(0, burnt);
                let mut state = State::new(self.record);
                if let Some(other) = other {
                    state.chain = other.state.chain.clone(); // the chain belongs to the record
                }
                Account { record, state }
            }
        })
    }

    /// Adds the credential to the account.
    pub(crate) fn add_to(
        &self,
        account: &mut Account,
        key: &SealKey,
        sealed: &[u8],
    ) -> Result<(), EnrollError> {
        let Account { record, state } = account;
        self.check(key, record)?;
        record.credentials.push(Credential {
            id: self.id,
            label: self.label.clone(),
            params: self.params,
            created: self.now,
            origin: self.origin,
            window: self.window,
            sealed: sealed.to_vec(),
        });
        // The key may be that of a removed credential, regardless of its use elsewhere.
        let known = self.params.step_at(record.burnt_until).saturating_sub(1);
        state.raise(self.id, self.used.max(known), None);
        state.set_drift(self.id, self.drift);
        state.throttle.lift();
        Ok(())
    }

    /// Replaces the stored account, unless its devices changed since the beginning.
    pub(crate) fn replace(&self, slot: &mut Option<Account>, new: Account) -> Result<(), EnrollError> {
        if slot.as_ref().map(AccountSnapshot::of).unwrap_or_default() != *self.seen {
            return Err(EnrollError::Changed);
        }
        *slot = Some(new);
        Ok(())
    }
}
