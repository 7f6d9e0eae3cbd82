//! Registers hardware ssh keys. The caller proves possession of the key first, by a signature over a fresh
//! challenge.

use super::admin::generate_failed;
use super::ctx::update_chained;
use super::enroll::ExistingCode;
use super::{AdminError, Ctx};
use qrtotp_account::{
    CredentialId, EnrolmentStatus, HardwareKeyType, KeyFingerprint, Label, Name, Record, SshKey,
};
use qrtotp_audit::{Event, Kind};
use qrtotp_otp::random_bytes;
use qrtotp_store::Account;

/// A key whose signature is right.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its type.
    pub kind: HardwareKeyType,
    /// Its fingerprint.
    pub fingerprint: KeyFingerprint,
    /// The owner's name for it.
    pub label: Label,
}

/// Registers a key for an enrolled account. `existing`: whether a device was proven before, for the log.
///
/// # Errors
/// The account is not enrolled or has another uid; the key is known; there are too many; the store.
pub fn register_key(
    ctx: &mut Ctx<'_>,
    (name, uid): (&Name, u32),
    key: &NewKey,
    existing: ExistingCode,
) -> Result<CredentialId, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let id = CredentialId::from_random(random_bytes().map_err(generate_failed)?);
    let detail = format!("{} {}", key.kind.as_str(), key.fingerprint);
    let registered = Event::new(Kind::KeyRegistered, subject)
        .reason(if existing == ExistingCode::Skipped { "existing_code_skipped" } else { "" })
        .credential(id, key.label.as_str());
    let ((), lines) = update_chained(ctx.store, name, |account, lines| {
        let account = account.as_mut().ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
        let Account { record, state } = account;
        if record.uid != uid {
            return Err(AdminError::UidChanged(name.clone(), record.uid));
        }
        if record.enrolment_status() != EnrolmentStatus::Enrolled {
            return Err(AdminError::NotEnrolled(name.clone()));
        }
        if let Some(known) = record.ssh_keys.iter().find(|known| known.fingerprint == key.fingerprint) {
            return Err(AdminError::KeyKnown(name.clone(), known.id));
        }
        if record.ssh_keys.len() >= Record::MAX_SSH_KEYS {
            return Err(AdminError::NoRoomForKey(name.clone()));
        }
        if record.has_credential(id) {
            return Err(AdminError::Generate("the new credential's random id is taken".into()));
        }
        let NewKey { kind, fingerprint, ref label } = *key;
        record.ssh_keys.push(SshKey { id, label: label.clone(), kind, fingerprint, created: now });
        lines.add(&registered, now, state);
        Ok::<(), AdminError>(())
    })?;
    lines.emit_with(Kind::KeyRegistered, &detail, ctx.audit);
    Ok(id)
}
