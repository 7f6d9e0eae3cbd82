//! Administration when a user's name or uid changes, or when the user leaves. Each is one change and one
//! event.

use super::{AdminError, Ctx, Person};
use qrtotp_account::Name;
use qrtotp_audit::{ChainedLines, Event, Kind};
use qrtotp_store::{AccountStore, StoreError, StoreExt};

/// Moves the record of `old`, with its last used steps, to `new` and its uid. `old_user` is the host's
/// present entry for `old`. If the count of wrong passwords of `old` could not be moved, returns why.
///
/// # Errors
/// `old` has no record; `old` is still a user, and the record is theirs; `new` has a record already; the
/// store fails.
pub fn rename_account(
    ctx: &mut Ctx<'_>,
    store: &dyn AccountStore,
    old: &Name,
    old_user: Option<&Person>,
    (new, uid): (&Name, u32),
) -> Result<Option<StoreError>, AdminError> {
    let missing = || AdminError::NoRecord(old.clone());
    if !store.has_record(old)? {
        return Err(missing()); // also after an interrupted rename: `new` has the record then
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
    rename_chained(ctx, store, old, (new, uid), |_| (Kind::AccountRenamed, old.to_string()))?
        .ok_or_else(missing)?;
    Ok(if old == new { None } else { store.forget_primary(old).err() })
}

/// Binds the record of an account to the present uid of its name. Returns the former uid; if it is the same,
/// nothing was changed.
///
/// # Errors
/// No record; the store.
pub fn adopt_uid(
    ctx: &mut Ctx<'_>,
    store: &dyn AccountStore,
    name: &Name,
    uid: u32,
) -> Result<u32, AdminError> {
    let missing = || AdminError::NoRecord(name.clone());
    let known = store.load(name)?.ok_or_else(missing)?.record.uid;
    if known == uid {
        return Ok(uid);
    }
    rename_chained(ctx, store, name, (name, uid), |former| (Kind::AccountUidAdopted, former.to_string()))?
        .ok_or_else(missing)
}

/// Gives a record another name or uid, with an event that `event_of` makes of the former uid.
fn rename_chained(
    ctx: &mut Ctx<'_>,
    store: &dyn AccountStore,
    old: &Name,
    new: (&Name, u32),
    event_of: impl Fn(u32) -> (Kind, String),
) -> Result<Option<u32>, StoreError> {
    let (mut lines, now) = (ChainedLines::default(), ctx.now());
    let former = store.rename_account(old, new, &mut |former, state| {
        let (kind, was) = event_of(former);
        lines.clear();
        lines.add(&Event::new(kind, &ctx.subject).was(&was), now, state);
    })?;
    lines.emit(ctx.audit);
    Ok(former)
}

/// Deletes an account's record and everything kept with it, permanently, even if the record can't be read. If
/// the count of wrong passwords could not be deleted, returns why.
///
/// # Errors
/// No record; the store.
pub fn remove_account(
    ctx: &mut Ctx<'_>,
    store: &dyn AccountStore,
    name: &Name,
) -> Result<Option<StoreError>, AdminError> {
    let removed = Event::new(Kind::AccountRemoved, &ctx.subject);
    // The last line of its chain: logged before the chain is gone. An unreadable record is removed without
    // one.
    let lines = chained(ctx, name, &removed);
    let is_logged = lines.map(|lines| lines.emit(ctx.audit)).is_some();
    if !store.remove_account(name)? {
        return Err(AdminError::NoRecord(name.clone()));
    }
    if !is_logged {
        removed.emit(ctx.audit);
    }
    Ok(store.forget_primary(name).err())
}

/// Adds an event to the account's chain.
fn chained(ctx: &Ctx<'_>, name: &Name, event: &Event<'_>) -> Option<ChainedLines> {
    let (mut lines, now) = (ChainedLines::default(), ctx.now());
    let added = ctx.store.update_state(name, |_, state| {
        lines.clear();
        lines.add(event, now, state);
    });
    added.ok().flatten().map(|()| lines)
}
