//! A repeated import of known keys, before their file is deleted. It only takes over the use elsewhere since
//! the first import.

use super::admin::generate_failed;
use super::{AdminError, Ctx, EnrollError, Import};
use qrtotp_account::{CodeHash, Credential, CredentialId, Record, RecoverySet, SetKind, hash_code};
use qrtotp_audit::{ChainedLines, Event, Kind};
use qrtotp_store::{Store, StoreExt};

/// The result of a repeated import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reimported {
    /// The device that has the key.
    pub credential: CredentialId,
    /// Scratch codes that were used elsewhere and were valid here until now.
    pub scratch: usize,
}

/// If a live device of the account has exactly this key, burns here the codes that were used elsewhere since,
/// and adds nothing. `None` if no device has it, even if one had.
///
/// # Errors
/// The store; a secret does not open; no memory to hash with.
pub fn reimport(ctx: &mut Ctx<'_>, what: &Import<'_>) -> Result<Option<Reimported>, AdminError> {
    let (store, now, subject) = (ctx.store, ctx.now(), &ctx.subject);
    let Some(account) = store.load(what.name)? else { return Ok(None) };
    let Some(known) = what.device_in(store, &account.record)? else { return Ok(None) };
    let (id, label, window) = (known.id, known.label.clone(), known.window);
    let gone = what.gone_from(&account.record)?;
    let mut lines = ChainedLines::default();
    let done = store.update_state(what.name, |record, state| {
        lines.clear();
        if what.device_in(store, record)?.is_none_or(|known| known.id != id) {
            return Err(EnrollError::Changed);
        }
        let drift = state.credential_state(id).map_or(what.drift, |mark| mark.drift);
        state.raise(id, Import { window, drift, ..*what }.burnt(ctx.config, now), None);
        let current = record.recovery.as_ref().map(|set| set.id);
        let gone = gone.as_ref().filter(|(set, _)| Some(set.id) == current);
        let scratch = gone.map_or(0, |(set, places)| {
            places.iter().filter(|place| state.use_recovery(set.id, **place)).count()
        });
        let repeated = Event::new(Kind::ImportRepeated, subject).credential(id, label.as_str());
        lines.add(&repeated, now, state);
        Ok(Reimported { credential: id, scratch })
    })?;
    let done = done.ok_or(EnrollError::Changed)??;
    lines.emit(ctx.audit);
    Ok(Some(done))
}

impl Import<'_> {
    /// The device that has this key, and computes the same codes with it.
    fn device_in<'r>(
        &self,
        store: &dyn Store,
        record: &'r Record,
    ) -> Result<Option<&'r Credential>, EnrollError> {
        for known in record.credentials.iter().filter(|_| record.uid == self.uid) {
            if known.params == self.params && store.key().open_secret(record, known)?.same_key(self.secret) {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// The account's imported scratch codes that are gone from their file, by index: they were used there.
    /// Codes of another file stay: this file has some, and none of them is here. If this file has none left,
    /// all were used there.
    fn gone_from<'r>(&self, record: &'r Record) -> Result<Option<(&'r RecoverySet, Vec<u8>)>, AdminError> {
        let set = record.recovery.as_ref().filter(|set| set.kind == SetKind::Imported);
        let (Some(set), Some(codes)) = (set, self.scratch) else { return Ok(None) };
        let hashes: Result<Vec<CodeHash>, _> = codes.iter().map(|code| hash_code(code, &set.salt)).collect();
        let left: Vec<u8> =
            hashes.map_err(generate_failed)?.iter().filter_map(|hash| set.position(hash)).collect();
        if left.is_empty() && !codes.is_empty() {
            return Ok(None);
        }
        let gone = (0_u8..).zip(&set.hashes).map(|(place, _)| place).filter(|place| !left.contains(place));
        Ok(Some((set, gone.collect())))
    }
}
