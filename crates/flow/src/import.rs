//! A credential whose secret comes from another system, with its known use there.

use super::admin::generate_failed;
use super::ctx::update_chained;
use super::enroll::{AccountSnapshot, Addition, record_id};
use super::{AdminError, Ctx, EnrollError};
use qrtotp_account::{CredentialId, Label, Name, Origin, RecordId, RecoverySet, ScratchCode};
use qrtotp_audit::{Event, Kind};
use qrtotp_otp::{Params, Secret, Step, Window, random_bytes};
use qrtotp_policy::Config;
use qrtotp_store::Store;
use qrtotp_values::UnixTime;

/// The credential to import.
pub struct Import<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// The device's label.
    pub label: &'a Label,
    /// Its key.
    pub secret: &'a Secret,
    /// Algorithm, digits and period.
    pub params: Params,
    /// The highest step that was used elsewhere: burnt here, too. 0 if none was. If unknown (`None`), every
    /// code that is valid now counts as used.
    pub used: Option<Step>,
    /// Steps by which its clock is ahead of ours.
    pub drift: i32,
    /// Steps to each side whose codes were accepted elsewhere, limited to a device's own window.
    pub window: Option<Window>,
    /// Refuse it if the account has devices, or if a token waits for its owner.
    pub only_first: bool,
    /// Take it even if a device of the account was revoked: it may be the same key.
    pub revoked_too: bool,
    /// Codes of the other system, to become the account's recovery codes if it has none.
    pub scratch: Option<&'a [ScratchCode]>,
}

/// The result of an import, or of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The new credential.
    pub credential: CredentialId,
    /// Whether the scratch codes became recovery codes. They do not if the account has recovery codes
    /// already: those are fewer, but stronger.
    pub scratch: bool,
}

impl<'a> Import<'a> {
    /// A key whose use is unknown.
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

    /// The account's initial state, and the addition to it.
    fn begin<T>(
        &self,
        store: &dyn Store,
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
        let addition = self.addition(record, &seen, config, now)?;
        if let Some(at) = seen.revoked.filter(|_| !self.revoked_too) {
            // A device that exists already is reported as such.
            let account = store.load(self.name)?.filter(|account| account.record.uid == self.uid);
            account.map_or(Ok(()), |account| addition.check(store.key(), &account.record))?;
            return Err(AdminError::WasRevoked(self.name.clone(), at));
        }
        then(&addition)
    }

    fn addition<'s>(
        &'s self,
        record: RecordId,
        seen: &'s AccountSnapshot,
        config: &Config,
        now: UnixTime,
    ) -> Result<Addition<'s>, AdminError> {
        Ok(Addition {
            id: CredentialId::from_random(random_bytes().map_err(generate_failed)?),
            record,
            seen,
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
        })
    }

    /// The scratch codes as recovery codes, if there are any.
    fn recovery_set(&self, now: UnixTime) -> Result<Option<RecoverySet>, AdminError> {
        let codes = self.scratch.filter(|codes| !codes.is_empty());
        codes.map(|codes| RecoverySet::imported(codes, now)).transpose().map_err(generate_failed)
    }
}

/// Adds credentials of one account whose secrets come from elsewhere: all of them in one update, or none.
///
/// # Errors
/// A secret is enrolled already; too many devices; the store; no random numbers.
pub fn import(ctx: &mut Ctx<'_>, all: &[Import<'_>]) -> Result<Vec<Imported>, AdminError> {
    let Some(first) = all.first() else { return Ok(Vec::new()) };
    let (store, config, now, subject) = (ctx.store, ctx.config, ctx.now(), &ctx.subject);
    let (imported, lines) = first.begin(store, config, now, |addition| {
        let key = store.key();
        let mut additions = vec![];
        for what in all {
            let addition = what.addition(addition.record, addition.seen, config, now)?;
            let sealed = addition.sealed(key)?;
            additions.push((addition, sealed, what.recovery_set(now)?));
        }
        let done = update_chained(store, first.name, |slot, lines| {
            let mut imported = Vec::new();
            let mut new = addition.account(slot.as_ref())?;
            for (addition, sealed, recovery) in &additions {
                addition.add_to(&mut new, key, sealed)?;
                let scratch = recovery.is_some() && new.record.recovery.is_none();
                let event = Event::new(Kind::CredentialImported, subject);
                let mut event = event.credential(addition.id, addition.label.as_str());
                if let Some(codes) = recovery.as_ref().filter(|_| scratch) {
                    event = event.left(u32::try_from(codes.hashes.len()).unwrap_or(u32::MAX));
                    new.record.recovery = Some(codes.clone());
                }
                lines.add(&event, now, &mut new.state);
                imported.push(Imported { credential: addition.id, scratch });
            }
            addition.replace(slot, new)?;
            Ok::<_, EnrollError>(imported)
        });
        Ok(done?)
    })?;
    lines.emit(ctx.audit);
    Ok(imported)
}

/// Whether [`import`] would succeed at present; changes nothing. Returns whether the scratch codes would
/// become recovery codes. `store` is `None` if no store exists yet, and `before` holds the keys that the
/// account would have by then.
///
/// # Errors
/// As [`import`].
pub fn would_import(
    store: Option<&dyn Store>,
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
