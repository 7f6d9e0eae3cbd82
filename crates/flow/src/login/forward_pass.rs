//! `forward_pass`: password and code typed together in one field, with the password's module after ours.
//!
//! The password is proven first, by a separate PAM transaction. Only then is the code checked, so a stranger
//! without the password neither uses up codes nor adds to the owner's failures. Every refusal ends at a fixed
//! time, and leaves no password for later modules, so they fail alike for every refusal.

use super::Login;
use super::ending::{Ending, Last};
use super::factor::Factor;
use crate::Unproven;
use crate::answer::Answer;
use crate::ask::not_from_sshd;
use crate::first_login::{Entry, entry};
use crate::refusal::Refusal;
use crate::verification::Verification;
use qrtotp_account::{EnrolmentStatus, Name, Record};
use qrtotp_audit::PrimaryFactor;
use qrtotp_clock::Answered;

impl Login<'_, '_> {
    /// Verifies one text of password and code, or of a password alone from an account that may enrol.
    pub(super) fn password_and_code(
        &mut self,
        account: Option<&(Name, u32)>,
        typed: &[u8],
    ) -> Result<Box<Ending>, Box<Ending>> {
        let answered = Answered::now();
        self.same_user()?; // before a code is used up
        let ending = self.try_password_and_code(account, typed).unwrap_or_else(Ending::unproven);
        Ok(ending.at_fixed_time(answered, Last::WithholdPassword))
    }

    fn try_password_and_code(
        &mut self,
        account: Option<&(Name, u32)>,
        typed: &[u8],
    ) -> Result<Box<Ending>, Unproven> {
        not_from_sshd(typed)?;
        let (name, uid) = account.ok_or(Unproven::because(self.ruling.nobody.reason()))?;
        let record = self.ctx.store.load(name).map_err(|error| self.unreadable(&error))?;
        let record = record.map(|account| account.record);
        let Some(record) =
            record.as_ref().filter(|record| record.enrolment_status() == EnrolmentStatus::Enrolled)
        else {
            return self.enrol_with_password(account, record.as_ref(), typed);
        };
        if record.uid != *uid {
            return Err(Unproven::because(Refusal::UidChanged.reason()));
        }
        let end = match self.proven_password_end(name, record, typed) {
            Ok(end) => end,
            Err(why) => return self.remembered_with_password((name, *uid), typed).unwrap_or(Err(why)),
        };
        self.ctx.subject.with = PrimaryFactor::Password;
        let answer = Answer::code(&typed[end..]);
        let recorded = self
            .record(account, &answer, self.ctx.config.throttle.rules())
            .map_err(|error| self.unreadable(&error))?;
        if let Verification::Accepted { .. } = recorded.verification {
            self.forward(&typed[..end])?;
        }
        Ok(self.after(account, recorded, Factor::ProvenPassword))
    }

    /// Handles a text that is only the password, if no code is due. `None`: a code is due.
    fn remembered_with_password(
        &mut self,
        (name, uid): (&Name, u32),
        typed: &[u8],
    ) -> Option<Result<Box<Ending>, Unproven>> {
        let account = self.ctx.store.load(name).ok()??;
        let record = Some(&account.record).filter(|record| record.uid == uid)?;
        let (id, label) = self.remembered_device(&account)?;
        let proven =
            self.prove(name, Some(record), Factor::Password(typed)).and_then(|_| self.forward(typed));
        Some(proven.map(|()| self.by_device("remembered", id, label)))
    }

    /// The end of the password: the first place before which the text is the account's password.
    fn proven_password_end(&mut self, name: &Name, record: &Record, typed: &[u8]) -> Result<usize, Unproven> {
        let detail = "it does not end in a code: with forward_pass, password and code are typed as one text";
        let mut refusal = Unproven { reason: Refusal::Malformed.reason(), detail: detail.into() };
        for end in Answer::password_ends(typed, record) {
            match self.prove(name, Some(record), Factor::Password(&typed[..end])) {
                Ok(_) => return Ok(end),
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    /// Enrols with a text that is only the password, because there is no device.
    fn enrol_with_password(
        &mut self,
        account: Option<&(Name, u32)>,
        record: Option<&Record>,
        typed: &[u8],
    ) -> Result<Box<Ending>, Unproven> {
        if !self.enrols() {
            let why = match entry(self.ctx.config, record, self.ctx.now()) {
                Entry::Deny(reason) => reason,
                Entry::Refuse(refusal) => refusal.as_str(),
                Entry::Enroll | Entry::Allow { .. } => Refusal::NotEnrolled.reason(),
            };
            return Err(Unproven::because(why));
        }
        self.forward(typed)?; // withheld again by a refusal
        self.enrol(account, Factor::Password(typed))
    }

    fn forward(&mut self, password: &[u8]) -> Result<(), Unproven> {
        let failed = |_| Unproven::because("password_not_forwarded");
        self.host.forward_password(password).map_err(failed)
    }
}
