//! A record that belongs to no account. Refusing an unknown user does the same disk I/O on it as a wrong code
//! does on an enrolled account. Nothing is looked up in it, and its secret was discarded when it was made.
//!
//! No lock is taken, so no process can delay another here: every write repeats the state that is already
//! there, so concurrent writers do not disturb each other. Errors are ignored: the answer is a refusal
//! anyway.

use super::critical::with_critical_section;
use super::file::FileStore;
use super::layout::{RECORD, STATE};
use super::record::{ANEW, write_new};
use super::{SealError, SealKey, StoreError, open_private_dir, slot};
use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::fsync;
use qrtotp_account::{
    Credential, CredentialId, Label, Name, Origin, Record, RecordId, RecoverySet, SetId, SetKind, State,
};
use qrtotp_otp::{Params, Secret, random_bytes};
use std::os::fd::{AsFd, OwnedFd};

/// The directory of the dummy account in the store, and its name.
const DUMMY: &str = "decoy";
/// The uid -1, which no account has, so the record can't serve as an account of that name.
const NO_UID: u32 = u32::MAX;

impl FileStore {
    /// Implements [`super::Store::simulate`].
    pub(super) fn change_dummy(&self, f: &mut dyn FnMut(&Record, &mut State)) -> Result<(), StoreError> {
        let Some((name, dir)) = self.dummy_account()? else { return Ok(()) };
        with_critical_section(|| {
            let mut opened = self.read(dir.as_fd(), &name)?;
            let old = opened.loaded.state.clone();
            let mut state = old.clone();
            f(&opened.record, &mut state);
            if state == old { Ok(()) } else { opened.write_state(&old) }
        })
    }

    fn dummy_account(&self) -> Result<Option<(Name, OwnedFd)>, StoreError> {
        let path = self.path.join(DUMMY);
        let name = Name::new(DUMMY).map_err(|_| StoreError::io(&path, Errno::EINVAL))?;
        Ok(open_private_dir(&self.root, DUMMY, &path)?.map(|dir| (name, dir)))
    }

    /// Makes the dummy account if there is no readable one. No login calls this.
    pub(super) fn prepare_dummy(&self) -> Result<(), StoreError> {
        let path = self.path.join(DUMMY);
        match mkdirat(&self.root, DUMMY, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(StoreError::io(path, errno)),
        }
        let Some((name, dir)) = self.dummy_account()? else { return Ok(()) };
        if self.read(dir.as_fd(), &name).is_ok() {
            return Ok(());
        }
        let damaged = |_| StoreError::Damaged { path: self.path.join(DUMMY), why: "it can't be sealed" };
        let record = dummy_record(&self.key, name).map_err(damaged)?;
        let text = self.record_text(&record, 0)?;
        write_new(dir.as_fd(), RECORD, &path.join(RECORD), ANEW, text.as_bytes())?;
        write_new(dir.as_fd(), STATE, &path.join(STATE), ANEW, &slot::first(&State::new(record.id)))?;
        fsync(&dir).map_err(|errno| StoreError::io(&path, errno))
    }
}

/// A record of typical size that belongs to no account.
///
/// # Errors
/// No random numbers.
pub fn dummy_record(key: &SealKey, name: Name) -> Result<Record, SealError> {
    let mut record = Record::new(name, NO_UID, RecordId(random_bytes()?));
    let (id, params) = (CredentialId::from_random(random_bytes()?), Params::default());
    let sealed = key.seal_secret(&record, id, params, &Secret::generate()?)?;
    let (label, origin) = (Label::new("phone"), Origin::Enrolled);
    record.credentials.push(Credential { id, label, params, created: 0, origin, window: None, sealed });
    let mut hashes = Vec::new();
    for _ in 0..10 {
        hashes.push(random_bytes()?);
    }
    let id = SetId::from_random(random_bytes()?);
    record.recovery =
        Some(RecoverySet { id, kind: SetKind::Ours, created: 0, salt: random_bytes()?, hashes });
    Ok(record)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Store;
    use crate::tests::empty_store;
    use qrtotp_account::{FactorKind, Side, ThrottleRules};
    use std::path::Path;

    fn fail(_: &Record, state: &mut State) {
        let _ = state.throttle.fail(FactorKind::Code, Side::Nowhere, 1000, &ThrottleRules::default());
    }

    /// How often the state was written. A new one has the sequence numbers 0 and 1.
    fn writes(dir: &Path) -> u64 {
        let bytes = std::fs::read(dir.join("state/decoy/state")).unwrap();
        let number = |slot: usize| u64::from_le_bytes(*bytes[slot + 8..].first_chunk().unwrap());
        number(0).max(number(slot::SLOT)) - 1
    }

    #[test]
    fn pretending_to_count_a_failure_writes_and_keeps_nothing_of_it() {
        let (dir, store) = empty_store();
        for round in 1..4 {
            store.simulate(&mut |record, state| {
                assert_eq!((record.credentials.len(), state.throttle.failures()), (1, 0));
                let _ = state.throttle.fail(FactorKind::Code, Side::Nowhere, 1000, &ThrottleRules::default());
            });
            assert_eq!(writes(dir.path()), round);
        }
        store.simulate(&mut |_, _| ());
        assert_eq!(writes(dir.path()), 3);
    }

    #[test]
    fn the_dummy_account_is_no_account() {
        let (_dir, store) = empty_store();
        assert_eq!(store.names().unwrap().count(), 0);
        assert_eq!(store.load(&Name::new(DUMMY).unwrap()).unwrap(), None);
    }

    #[test]
    fn nobody_waits_at_the_dummy_account() {
        let (dir, store) = empty_store();
        let held = std::fs::File::open(dir.path().join("state/decoy")).unwrap();
        held.lock().unwrap();
        store.simulate(&mut fail);
        assert_eq!(writes(dir.path()), 1);
    }

    #[test]
    fn a_dummy_account_that_is_damaged_or_gone_harms_nobody_and_is_made_again() {
        let (dir, store) = empty_store();
        std::fs::write(dir.path().join("state/decoy/state"), b"").unwrap();
        store.simulate(&mut fail);
        std::fs::remove_dir_all(dir.path().join("state/decoy")).unwrap();
        store.simulate(&mut fail);
        let store = FileStore::open_or_create(&dir.path().join("state"), dir.path()).unwrap();
        store.simulate(&mut fail);
        assert_eq!(writes(dir.path()), 1);
    }
}
