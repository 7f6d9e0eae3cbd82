//! Changes to an enrolled device that leave its secret alone.

use super::ctx::update_chained;
use super::{AdminError, Ctx};
use qrtotp_account::{CredentialId, Label, Name};
use qrtotp_audit::{Event, Kind};
use qrtotp_store::{Account, Store};

/// The account's only device or ssh key, used if the request names none. With `uid`, only of a record of that
/// uid.
///
/// # Errors
/// There is none, or there are several; the store.
pub fn only_device(store: &dyn Store, name: &Name, uid: Option<u32>) -> Result<CredentialId, AdminError> {
    let account = store.load(name)?.filter(|account| uid.is_none_or(|uid| account.record.uid == uid));
    let ids = account.map_or_else(Vec::new, |account| account.record.ids().collect());
    match &*ids {
        [] => Err(AdminError::NotEnrolled(name.clone())),
        [only] => Ok(*only),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(AdminError::SeveralDevices(name.clone(), ids.join(", ")))
        }
    }
}

/// An empty label is refused before a code is asked for.
pub(super) fn must_tell_apart(label: &Label) -> Result<(), AdminError> {
    if label.as_str().is_empty() { Err(AdminError::NoLabel) } else { Ok(()) }
}

/// Gives a device another label.
///
/// # Errors
/// An empty label; no such account or device; the store.
pub fn rename_device(
    ctx: &mut Ctx<'_>,
    name: &Name,
    id: CredentialId,
    label: &Label,
) -> Result<(), AdminError> {
    must_tell_apart(label)?;
    let (now, subject) = (ctx.now(), &ctx.subject);
    let ((), lines) = update_chained(ctx.store, name, |account, lines| {
        let account = account.as_mut().ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
        let Account { record, state } = account;
        let known = record.label_mut(id).ok_or_else(|| AdminError::NoCredential(name.clone(), id))?;
        *known = label.clone();
        let renamed = Event::new(Kind::CredentialRenamed, subject).credential(id, label.as_str());
        lines.add(&renamed, now, state);
        Ok::<(), AdminError>(())
    })?;
    lines.emit(ctx.audit);
    Ok(())
}
