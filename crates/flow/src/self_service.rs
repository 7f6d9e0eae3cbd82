//! Changes that users make to their own account. Only the uid is known, so they prove a device first.

use super::SelfService;
use super::admin::{AdminError, Selection, revoke};
use super::device::{must_tell_apart, rename_device};
use super::enroll::{Authority, Codes, EnrollError, ExistingCode, permitted, replace_codes};
use qrtotp_account::{CredentialId, EnrolmentStatus, Label};

impl SelfService<'_, '_> {
    /// The authority of the user's enrolment: a token's code if there is one, otherwise the primary factor. A
    /// user with an enrolled device needs neither: they prove the device.
    ///
    /// # Errors
    /// The primary factor would not be enough. Then the broker must not ask for it: the reply to a right one
    /// would reveal that it was right to any process with the uid. The store.
    pub fn authority(&self) -> Result<Authority, EnrollError> {
        let account = self.ctx.store.load(self.name)?;
        let now = self.ctx.now();
        let own = account.as_ref().map(|account| &account.record).filter(|record| record.uid == self.uid);
        let by_code = own.is_some_and(|record| {
            let token = record.token.as_ref().filter(|token| token.is_live(now));
            record.enrolment_status() == EnrolmentStatus::Enrolled
                || token.is_some_and(|token| token.binding.is_some())
        });
        if by_code {
            return Ok(Authority::TokenCode);
        }
        permitted(self.ctx.config, account.as_ref(), self.uid, Authority::PrimaryFactor, now)?;
        Ok(Authority::PrimaryFactor)
    }

    /// Refuses accounts that have no device.
    fn must_be_enrolled(&self) -> Result<(), AdminError> {
        let record = self.ctx.store.load(self.name)?.map(|account| account.record);
        match record {
            Some(record) if record.uid != self.uid => {
                Err(AdminError::UidChanged(self.name.clone(), record.uid))
            }
            Some(record) if record.enrolment_status() == EnrolmentStatus::Enrolled => Ok(()),
            Some(_) | None => Err(AdminError::NotEnrolled(self.name.clone())),
        }
    }

    /// Revokes the user's devices, after proving one.
    ///
    /// # Errors
    /// Nothing was proven; no such device; the store.
    pub fn revoke(mut self, which: Selection) -> Result<Vec<(CredentialId, Label)>, AdminError> {
        self.must_be_enrolled()?;
        self.prove()?;
        revoke(self.ctx, self.name, which)
    }

    /// Proves a device, unless that is skipped, as [`super::register_key`] requires.
    ///
    /// # Errors
    /// No device is enrolled; nothing was proven; the store.
    pub fn prove_device(mut self, existing: ExistingCode) -> Result<(), AdminError> {
        self.must_be_enrolled()?;
        if existing == ExistingCode::Required {
            self.prove()?;
        }
        Ok(())
    }

    /// Renames a device of the user's, after proving one: users choose by label which device to revoke.
    ///
    /// # Errors
    /// An empty label; nothing was proven; no such device; the store.
    pub fn rename(mut self, id: CredentialId, label: &Label) -> Result<(), AdminError> {
        must_tell_apart(label)?;
        self.must_be_enrolled()?;
        self.prove()?;
        rename_device(self.ctx, self.name, id, label)
    }

    /// New recovery codes, after proving a device. The old ones stay valid until the new ones are.
    ///
    /// # Errors
    /// Nothing was proven; the new ones were not confirmed; the store.
    pub fn regenerate_recovery(mut self) -> Result<(), AdminError> {
        self.must_be_enrolled()?;
        self.prove()?;
        match replace_codes(self.ctx, self.name, self.dialog) {
            Codes::Kept => Ok(()),
            Codes::Unchanged | Codes::Lost => Err(AdminError::CodesNotConfirmed),
        }
    }
}
