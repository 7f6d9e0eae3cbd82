//! Renaming and removing a whole account. A kill or a power cut at any point leaves the old or the new
//! account: the directory, which holds the last used steps, moves as one.

use super::create::remove;
use super::critical::with_critical_section;
use super::layout::RECORD;
use super::{FileStore, StoreError};
use nix::fcntl::renameat;
use nix::unistd::fsync;
use qrtotp_account::{Name, RecordId, State};
use qrtotp_otp::{base32_decode, base32_encode, random_bytes};
use std::os::fd::AsFd;

impl FileStore {
    /// True if there is a record of that name, readable or not.
    ///
    /// # Errors
    /// The store can't be trusted or read.
    pub fn has_record(&self, name: &Name) -> Result<bool, StoreError> {
        Ok(self.account_dir(name)?.is_some())
    }

    /// The id in a record that need not open: it may be damaged, so nothing proves it.
    #[must_use]
    pub fn unproven_id(&self, name: &Name) -> Option<RecordId> {
        let dir = self.account_dir(name).ok()??;
        let (_, bytes) = self.read_sealed(dir.as_fd(), name, RECORD).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let id = text.lines().find_map(|line| line.strip_prefix("record = \"")?.strip_suffix('"'))?;
        base32_decode(id).ok()?.as_slice().try_into().ok().map(RecordId)
    }

    /// Seals the record of `old` for `new` and `uid`; both names may be the same. `f` changes the state and
    /// gets the former uid. Returns that uid, or `None` if `old` has no record.
    ///
    /// For the same name, record and state change together. For another one, a crash after the renaming can
    /// leave the state unchanged.
    ///
    /// Until the last step the directory of `new` holds the record of `old` and beside it the new one, which
    /// readers then use.
    ///
    /// # Errors
    /// The store or the record can't be trusted, read or written; `new` has a record.
    pub fn rename_account(
        &self,
        old: &Name,
        (new, uid): (&Name, u32),
        f: &mut dyn FnMut(u32, &mut State),
    ) -> Result<Option<u32>, StoreError> {
        let Some(dir) = self.account_dir(old)? else { return Ok(None) };
        with_critical_section(|| {
            let dir = self.lock_account(dir, old)?;
            let mut opened = self.read_to_change(dir.as_fd(), old)?;
            let former = opened.account();
            let damaged = |_| StoreError::Damaged { path: self.path_of(old), why: "its secrets do not open" };
            let mut renamed = former.clone();
            renamed.record = self.key.reseal(&former.record, new, uid).map_err(damaged)?;
            f(former.record.uid, &mut renamed.state);
            if new == old {
                self.change(dir.as_fd(), &mut opened, &former, &mut renamed)?;
            } else {
                self.write_beside(dir.as_fd(), &renamed.record, opened.loaded.revision)?;
                self.move_directory(old, new)?;
                let kept = opened.write_state(&renamed.state);
                kept.and_then(|()| self.put_in_place(dir.as_fd(), new)).map_err(StoreError::unsure)?;
            }
            Ok(Some(former.record.uid))
        })
    }

    fn move_directory(&self, old: &Name, new: &Name) -> Result<(), StoreError> {
        let failed = |errno| StoreError::io(self.path_of(new), errno);
        // Never over another record: rename(2) does not replace a directory that is not empty.
        renameat(&self.accounts, &*old.file_name(), &self.accounts, &*new.file_name()).map_err(failed)?;
        fsync(&self.accounts).map_err(|errno| failed(errno).unsure())
    }

    /// Deletes the record of an account, readable or not. False if it has none.
    ///
    /// # Errors
    /// The store can't be trusted, read or written.
    pub fn remove_account(&self, name: &Name) -> Result<bool, StoreError> {
        let Some(dir) = self.account_dir(name)? else { return Ok(false) };
        let (temporary, tmp) = (base32_encode(&random_bytes::<10>()?), self.temporary_dir()?);
        with_critical_section(|| {
            let _account = self.lock_account(dir, name)?;
            let tmp = self.lock(tmp)?;
            let failed = |errno| StoreError::io(self.path_of(name), errno);
            renameat(&self.accounts, &*name.file_name(), &tmp, temporary.as_str()).map_err(failed)?;
            for dir in [self.accounts.as_fd(), tmp.as_fd()] {
                fsync(dir).map_err(|errno| failed(errno).unsure())?;
            }
            remove(tmp.as_fd(), &temporary);
            Ok(true)
        })
    }
}
