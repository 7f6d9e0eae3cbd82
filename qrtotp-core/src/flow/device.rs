//! What can be changed about an enrolled device without touching its secret.

use super::AdminError;
use crate::account::{CredentialId, Label, Name};
use crate::audit::{AuditSink, Event, Kind, Subject};
use crate::store::Store;

/// The account's only device or ssh key: the one that is meant where none was named. With `uid`, only of a record of that uid.
///
/// # Errors
/// There is none, or there are several; the store.
pub fn only_device(store: &impl Store, name: &Name, uid: Option<u32>) -> Result<CredentialId, AdminError> {
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
pub fn rename_device<S: Store>(
    store: &S,
    name: &Name,
    id: CredentialId,
    label: &Label,
    subject: &Subject,
    audit: &mut impl AuditSink,
) -> Result<(), AdminError> {
    must_tell_apart(label)?;
    store.update_account(name, |account| {
        let record = account.as_mut().map(|account| &mut account.record);
        let record = record.ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
        let known = record.label_mut(id).ok_or_else(|| AdminError::NoCredential(name.clone(), id))?;
        *known = label.clone();
        Ok::<(), AdminError>(())
    })??;
    Event::new(Kind::CredentialRenamed, subject).credential(id, label.as_str()).emit(audit);
    Ok(())
}
