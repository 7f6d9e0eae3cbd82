//! A credential whose secret comes from another system, with its known use there.

use super::admin::generate_failed;
use super::enroll::{Addition, record_id};
use super::{AdminError, Ctx, EnrollError};
use qrtotp_account::{CredentialId, Label, Name, Origin, RecoverySet, ScratchCode};
use qrtotp_audit::{ChainedLines, Event, Kind};
use qrtotp_otp::{Params, Secret, Step, Window, random_bytes};
use qrtotp_policy::Config;
use qrtotp_store::{Account, Store};
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
            // A device that exists already is reported as such.
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
pub fn import(ctx: &mut Ctx<'_>, what: &Import<'_>) -> Result<Imported, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let codes = what.scratch.unwrap_or_default();
    let set = (!codes.is_empty()).then(|| RecoverySet::imported(codes, now)).transpose();
    let set = set.map_err(generate_failed)?;
    let left = u32::try_from(codes.len()).unwrap_or(u32::MAX);
    let (mut scratch, mut lines) = (false, ChainedLines::default());
    let credential = what.begin(ctx.store, ctx.config, now, |addition| {
        addition.keep(ctx.store, |Account { record, state }| {
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
    lines.emit(ctx.audit);
    Ok(Imported { credential, scratch })
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
