//! What admins do when a person's name or uid changes, or when the person leaves. Each is one change and one event.

use super::{AdminError, Person};
use crate::account::Name;
use crate::audit::{AuditSink, Event, Kind, Subject};
use crate::store::{FileStore, Store, StoreError};

/// Moves the record of `old`, with its last used steps, to `new` and its uid. `old_user` is what the host knows of `old` now.
/// Gives why the count of wrong passwords of `old` stays, if it does.
///
/// # Errors
/// `old` has no record; `old` is still a user, and the record is theirs; `new` has a record already; the store fails.
pub fn rename_account(
    store: &FileStore,
    old: &Name,
    old_user: Option<&Person>,
    (new, uid): (&Name, u32),
    subject: &Subject,
    audit: &mut impl AuditSink,
) -> Result<Option<StoreError>, AdminError> {
    let missing = || AdminError::NoRecord(old.clone());
    if !store.has_record(old)? {
        return Err(missing()); // also after a rename that was cut off: `new` has it then
    }
    if old != new && store.has_record(new)? {
        return Err(AdminError::NameTaken(new.clone()));
    }
    if let Some(user) = old_user.filter(|user| user.uid != uid) {
        let record = store.load(old)?.ok_or_else(missing)?.record;
        if record.uid == user.uid {
            return Err(AdminError::StillUser(old.clone(), user.uid, new.clone()));
        }
    }
    store.rename_account(old, new, uid)?.ok_or_else(missing)?;
    Event::new(Kind::AccountRenamed, subject).was(old.as_str()).emit(audit);
    Ok(if old == new { None } else { store.forget_primary(old).err() })
}

/// Binds the record of an account to the uid that its name has now. Gives the former one; if it is the same, nothing was changed.
///
/// # Errors
/// No record; the store.
pub fn adopt_uid(
    store: &FileStore,
    name: &Name,
    uid: u32,
    subject: &Subject,
    audit: &mut impl AuditSink,
) -> Result<u32, AdminError> {
    let missing = || AdminError::NoRecord(name.clone());
    let known = store.load(name)?.ok_or_else(missing)?.record.uid;
    if known == uid {
        return Ok(uid);
    }
    let former = store.rename_account(name, name, uid)?.ok_or_else(missing)?;
    Event::new(Kind::AccountUidAdopted, subject).was(&former.to_string()).emit(audit);
    Ok(former)
}

/// Deletes an account's record and all that is kept for it, for good. A record that can't be read is deleted, too.
/// Gives why its count of wrong passwords stays, if it does.
///
/// # Errors
/// No record; the store.
pub fn remove_account(
    store: &FileStore,
    name: &Name,
    subject: &Subject,
    audit: &mut impl AuditSink,
) -> Result<Option<StoreError>, AdminError> {
    if !store.remove_account(name)? {
        return Err(AdminError::NoRecord(name.clone()));
    }
    Event::new(Kind::AccountRemoved, subject).emit(audit);
    Ok(store.forget_primary(name).err())
}
