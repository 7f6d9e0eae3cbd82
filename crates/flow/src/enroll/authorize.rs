//! Whether an enrolment may begin or continue.

use super::commit::AccountSnapshot;
use super::error::EnrollError;
use super::request::{Authority, Enrolment, EnrolmentRequest, ExistingCode, Progress};
use crate::SelfService;
use crate::first_login::{Entry, ended, entry};
use qrtotp_account::{EnrolmentStatus, Record, Token};
use qrtotp_policy::Config;
use qrtotp_store::Account;
use qrtotp_values::UnixTime;

impl Enrolment<'_, '_> {
    /// Whether the enrolment may begin at all. An account with a device proves one first.
    pub(super) fn permit(&mut self) -> Result<(), EnrollError> {
        let EnrolmentRequest { name, uid, authority, .. } = self.request;
        let account = self.ctx.store.load(name)?;
        if let Authority::ProvenTokenCode(id) = authority {
            self.progress.bound = Some(id);
        }
        self.progress.permitted = account.as_ref().map(AccountSnapshot::of).unwrap_or_default();
        let own = account.as_ref().filter(|account| account.record.uid == uid);
        let devices = own.map_or(0, |account| account.record.credentials.len());
        if devices > 0 {
            if devices >= usize::from(self.ctx.config.enroll.max_devices) {
                return Err(EnrollError::TooManyDevices(devices));
            }
            return match authority {
                Authority::Admin(ExistingCode::Skipped) => Ok(()),
                _ => self.prove_existing(),
            };
        }
        permitted(self.ctx.config, account.as_ref(), uid, authority, self.ctx.now())
    }

    fn prove_existing(&mut self) -> Result<(), EnrollError> {
        let EnrolmentRequest { name, uid, .. } = self.request;
        SelfService { ctx: self.ctx, name, uid, dialog: self.dialog }.prove()
    }
}

/// Whether the account may enrol a first device.
pub(crate) fn permitted(
    config: &Config,
    account: Option<&Account>,
    uid: u32,
    authority: Authority,
    now: UnixTime,
) -> Result<(), EnrollError> {
    let record = account.map(|account| &account.record);
    match authority {
        Authority::Admin(_) => Ok(()), // also if a former user's record is replaced
        _ if record.is_some_and(|record| record.uid != uid) => Err(EnrollError::UidChanged),
        Authority::PrimaryFactor | Authority::BoundKey(_) => by_first_login(config, record, now),
        Authority::TokenCode | Authority::ProvenTokenCode(_) => {
            let token = record.and_then(|record| record.token.as_ref());
            let token = token.filter(|token| token.is_live(now) && token.binding.is_some());
            token.map(|_| ()).ok_or_else(|| ended(record, now, "no_token_code"))
        }
    }
}

/// Whether an enrolment may begin, or continue with another QR code, without a live token. The account is
/// unchanged since it was authorised, so an account with a device has proven it.
pub(super) fn may_begin(
    authority: Authority,
    config: &Config,
    record: Option<&Record>,
    now: UnixTime,
) -> Result<(), EnrollError> {
    match (authority, record.map_or(EnrolmentStatus::Unenrolled, Record::enrolment_status)) {
        (Authority::Admin(_), _) | (_, EnrolmentStatus::Enrolled) => Ok(()),
        (Authority::TokenCode | Authority::ProvenTokenCode(_), _) => Err(ended(record, now, "no_token_code")),
        (Authority::BoundKey(_), _) => Err(ended(record, now, "no_token")),
        // A revoked account needs a token, and there is none.
        (Authority::PrimaryFactor, _) => by_first_login(config, record, now),
    }
}

/// Whether a QR code of this token may be shown. A proof that rests on one token counts for no other, because
/// an administrator may have replaced the token during the dialogue.
pub(super) fn may_show(authority: Authority, token: &Token, progress: &Progress) -> bool {
    let code_typed = progress.bound == Some(token.id);
    match authority {
        Authority::Admin(_) => true,
        _ if token.binding.is_some() && !code_typed => false,
        Authority::PrimaryFactor => true,
        Authority::BoundKey(id) => id == token.id,
        Authority::TokenCode | Authority::ProvenTokenCode(_) => {
            code_typed || progress.permitted.has_devices() // a code of one of them was typed
        }
    }
}

/// The decision of `first_login` for a user who proved the primary factor.
fn by_first_login(config: &Config, record: Option<&Record>, now: UnixTime) -> Result<(), EnrollError> {
    match entry(config, record, now) {
        Entry::Enroll => Ok(()),
        Entry::Allow { .. } => Ok(()), // enrolling ends the grace period early
        Entry::Deny(reason) => Err(ended(record, now, reason)),
        Entry::Refuse(refusal) => Err(refusal.into()),
    }
}
