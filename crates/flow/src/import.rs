//! A credential whose secret comes from elsewhere, with what is known of its use there.

use super::admin::generate_failed;
use super::enroll::{Addition, record_id};
use super::{AdminError, EnrollError};
use qrtotp_account::{CredentialId, Label, Name, Origin, RecoverySet, ScratchCode};
use qrtotp_audit::{AuditSink, ChainedLines, Event, Kind, Subject};
use qrtotp_otp::{Params, Secret, Step, Window, random_bytes};
use qrtotp_policy::Config;
use qrtotp_store::{Account, Store};
use qrtotp_values::UnixTime;

/// What is to be imported.
pub struct Import<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// What to call the device.
    pub label: &'a Label,
    /// Its key.
    pub secret: &'a Secret,
    /// What its codes are computed with.
    pub params: Params,
    /// The highest step that was used elsewhere: burnt here, too. 0 if none was; `None` if that is not known,
    /// so that any code that is good now may be used up.
    pub used: Option<Step>,
    /// Steps by which its clock is ahead of ours.
    pub drift: i32,
    /// Steps to each side whose codes were accepted elsewhere, as far as a device may have a window of its
    /// own.
    pub window: Option<Window>,
    /// Refuse it where the account has devices, or where a token waits for its owner.
    pub only_first: bool,
    /// Take it though a device of the account was revoked: it may be that one's key.
    pub revoked_too: bool,
    /// Codes of the other system, to be the account's recovery codes where it has none.
    pub scratch: Option<&'a [ScratchCode]>,
}

/// What became of it, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The new credential.
    pub credential: CredentialId,
    /// Whether the scratch codes became recovery codes. Not where the account has some already: they are
    /// fewer, but stronger.
    pub scratch: bool,
}

impl<'a> Import<'a> {
    /// A key of whose use nothing is known.
    #[must_use]
    pub fn new(name: &'a Name, uid: u32, label: &'a Label, secret: &'a Secret, params: Params) -> Self {
        Self {
            name,
            uid,
            label,
            secret,
            params,
            used: None,
            drift: 0,
            window: None,
            only_first: false,
            revoked_too: false,
            scratch: None,
        }
    }

    /// The last step to be burnt.
    pub(super) fn burnt(&self, config: &Config, now: UnixTime) -> Step {
        let ahead = self.window.unwrap_or(config.verify.window()).ahead;
        let latest = self.params.step_at(now).saturating_add_signed(self.drift.into());
        self.used.unwrap_or(latest.saturating_add(ahead.into()))
    }

    /// The account's state that this starts from, and the addition to it.
    fn begin<T>(
        &self,
        store: &impl Store,
        config: &Config,
        now: UnixTime,
        then: impl FnOnce(&Addition<'_>) -> Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        let (record, seen) = record_id(store, self.name)?;
        if self.only_first {
            if seen.has_devices() {
                return Err(AdminError::HasDevices(self.name.clone()));
            }
            let token = store.load(self.name)?.and_then(|account| account.record.token);
            if let Some(token) = token.filter(|token| token.is_live(now)) {
                return Err(AdminError::TokenLive(self.name.clone(), token.id));
            }
        }
        let addition = Addition {
            id: CredentialId::from_random(random_bytes().map_err(generate_failed)?),
            record,
            seen: &seen,
            name: self.name,
            uid: self.uid,
            label: self.label,
            params: self.params,
            origin: Origin::Imported,
            secret: self.secret,
            used: self.burnt(config, now),
            drift: self.drift,
            window: self.window,
            max_devices: usize::from(config.enroll.max_devices),
            now,
        };
        if let Some(at) = seen.revoked.filter(|_| !self.revoked_too) {
            // What is here already is called that.
            let account = store.load(self.name)?.filter(|account| account.record.uid == self.uid);
            account.map_or(Ok(()), |account| addition.check(store.key(), &account.record))?;
            return Err(AdminError::WasRevoked(self.name.clone(), at));
        }
        then(&addition)
    }
}

/// Adds a credential whose secret comes from elsewhere.
///
/// # Errors
/// The secret is enrolled already; too many devices; the store; no random numbers.
pub fn import<S: Store>(
    store: &S,
    config: &Config,
    what: &Import<'_>,
    now: UnixTime,
    subject: &Subject,
    audit: &mut impl AuditSink,
) -> Result<Imported, AdminError> {
    let codes = what.scratch.unwrap_or_default();
    let set = (!codes.is_empty()).then(|| RecoverySet::imported(codes, now)).transpose();
    let set = set.map_err(generate_failed)?;
    let left = u32::try_from(codes.len()).unwrap_or(u32::MAX);
    let (mut scratch, mut lines) = (false, ChainedLines::default());
    let credential = what.begin(store, config, now, |addition| {
        addition.keep(store, |Account { record, state }| {
            lines.clear();
            scratch = set.is_some() && record.recovery.is_none();
            let event = Event::new(Kind::CredentialImported, subject);
            let mut event = event.credential(addition.id, what.label.as_str());
            if scratch {
                record.recovery.clone_from(&set);
                event = event.left(left);
            }
            lines.add(&event, now, state);
            Ok(())
        })?;
        Ok(addition.id)
    })?;
    lines.emit(audit);
    Ok(Imported { credential, scratch })
}

/// Whether [`import`] would do it, as things stand: changes nothing. Whether the scratch codes would become
/// recovery codes. `store` is none where none is made yet, and `before` are the keys that the account would
/// have by then.
///
/// # Errors
/// As [`import`].
pub fn would_import<S: Store>(
    store: Option<&S>,
    config: &Config,
    what: &Import<'_>,
    before: &[&Secret],
    now: UnixTime,
) -> Result<bool, AdminError> {
    let account = store.map(|store| store.load(what.name)).transpose()?.flatten();
    let record = account.map(|account| account.record).filter(|record| record.uid == what.uid);
    if let Some(store) = store {
        what.begin(store, config, now, |addition| {
            Ok(record.as_ref().map_or(Ok(()), |record| addition.check(store.key(), record))?)
        })?;
    }
    if before.iter().any(|secret| secret.same_key(what.secret)) {
        return Err(AdminError::GivenTwice);
    }
    let (enrolled, before) = (record.as_ref().map_or(0, |record| record.credentials.len()), before.len());
    match usize::from(config.enroll.max_devices) {
        max if enrolled + before < max => {}
        _ if before == 0 => return Err(EnrollError::TooManyDevices(enrolled).into()),
        _ => return Err(AdminError::NoRoom { enrolled, before }),
    }
    Ok(!what.scratch.unwrap_or_default().is_empty() && record.is_none_or(|record| record.recovery.is_none()))
}
