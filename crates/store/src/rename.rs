//! Renaming and removing a whole account. A kill or a power cut at any point leaves the old or the new
//! account: the directory, which holds the last used steps, moves as one.

use super::create::remove;
use super::critical::with_critical_section;
use super::layout::RECORD;
use super::{FileStore, StoreError};
use nix::fcntl::renameat;
use nix::unistd::fsync;
use qrtotp_account::{Name, RecordId};
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

    /// Seals the record of `old` for `new` and `uid`; both names may be the same. Returns the former uid, or
    /// `None` if `old` has no record.
    ///
    /// Until the last step the directory of `new` holds the record of `old` and beside it the new one, which
    /// readers then use.
    ///
    /// # Errors
    /// The store or the record can't be trusted, read or written; `new` has a record.
    pub fn rename_account(&self, old: &Name, new: &Name, uid: u32) -> Result<Option<u32>, StoreError> {
        let Some(dir) = self.account_dir(old)? else { return Ok(None) };
        with_critical_section(|| {
            let dir = self.lock_account(dir, old)?;
            let record = self.read_to_change(dir.as_fd(), old)?.record;
            let path = self.path_of(old);
            let damaged = |_| StoreError::Damaged { path: path.clone(), why: "its secrets do not open" };
            self.write_beside(dir.as_fd(), &self.key.reseal(&record, new, uid).map_err(damaged)?)?;
            if new != old {
                let failed = |errno| StoreError::io(self.path_of(new), errno);
                fsync(&dir).map_err(failed)?;
                // Never over another record: rename(2) does not replace a directory that is not empty.
                renameat(&self.accounts, &*old.file_name(), &self.accounts, &*new.file_name())
                    .map_err(failed)?;
                fsync(&self.accounts).map_err(|errno| failed(errno).unsure())?;
            }
            self.put_in_place(dir.as_fd(), new).map_err(StoreError::unsure)?;
            Ok(Some(record.uid))
        })
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
