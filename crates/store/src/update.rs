//! [`Store`] for files: lock, read, change, write, sync.

use super::critical::with_critical_section;
use super::file::FileStore;
use super::record::Opened;
use super::{Account, SealKey, Store, StoreError};
use qrtotp_account::{Name, Record, State};
use std::os::fd::{AsFd, OwnedFd};

impl FileStore {
    fn read_at_rest(&self, dir: OwnedFd, name: &Name) -> Result<Opened, StoreError> {
        with_critical_section(|| {
            let dir = self.lock(dir)?;
            self.read(dir.as_fd(), name)
        })
    }
}

impl Store for FileStore {
    fn key(&self) -> &SealKey {
        &self.key
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(None) };
        let opened = match self.read(dir.as_fd(), name) {
            // It may have been read in the middle of a write, twice.
            Err(error) if error.is_record_fault() => self.read_at_rest(dir, name)?,
            other => other?,
        };
        Ok(Some(Account { record: opened.record, state: opened.loaded.state }))
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(false) };
        with_critical_section(|| {
            let dir = self.lock(dir)?;
            let mut opened = self.read(dir.as_fd(), name)?;
            // No allocation from the decision of `f` to the write: it could fail and end the process, and the
            // code would be verified but not counted.
            let mut state = opened.loaded.state.with_room();
            f(&opened.record, &mut state);
            // A torn slot is rewritten at once: until then there is only one whole slot.
            if state != opened.loaded.state || !opened.loaded.both_whole {
                opened.write_state(&state)?;
            }
            Ok(true)
        })
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        let _ = self.change_dummy(f); // the answer is a refusal anyway
    }

    fn change_account(&self, name: &Name, f: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        loop {
            let Some(dir) = self.account_dir(name)? else {
                let mut account = None;
                f(&mut account);
                match account {
                    Some(account) if !self.create(&account)? => continue, // another process was faster
                    _ => return Ok(()),
                }
            };
            return with_critical_section(|| {
                let dir = self.lock_account(dir, name)?;
                let mut opened = self.read_to_change(dir.as_fd(), name)?;
                let old = opened.account();
                let mut account = Some(old.clone());
                f(&mut account);
                if let Some(mut new) = account {
                    self.change(dir.as_fd(), &mut opened, &old, &mut new)?;
                }
                Ok(())
            });
        }
    }
}
