//! Logins that end without a question: by a rule, in the grace period, or by an earlier code.

use super::Login;
use super::ending::Ending;
use crate::FirstPass;
use crate::answer_place::origin_digest;
use crate::first_login::{Entry, entry};
use crate::refusal::Refusal;
use qrtotp_account::{CredentialId, EnrolmentStatus, Label, Name, Record};
use qrtotp_audit::PrimaryFactor;
use qrtotp_messages::{Message, text};
use qrtotp_policy::{FirstLogin, Outcome};
use qrtotp_store::Account;
use qrtotp_values::EARLIEST_PLAUSIBLE;

impl Login<'_, '_> {
    /// By the ruling alone.
    pub(super) fn skip_or_deny(&mut self) -> Result<(), Box<Ending>> {
        if self.ruling.outcome == Outcome::Skip {
            return Err(match self.ruling.hardware_key.take() {
                Some((id, label)) => self.by_device("hardware_key", id, label),
                None => Ending::ignored("not_required"),
            });
        }
        if let Some(message) = self.ruling.message.take() {
            return Err(Ending::refused(Refusal::RuleDenied).showing(Message::verbatim(message)));
        }
        if let Some(conflict) = self.ruling.conflict(self.options) {
            return Err(Ending::broken("arguments_invalid", conflict));
        }
        if self.ctx.now() < EARLIEST_PLAUSIBLE {
            return Err(Ending::clock_implausible());
        }
        Ok(())
    }

    /// Admits an unenrolled account without a code: by `nullok`, or while `first_login = "allow"` holds.
    pub(super) fn grace_period(&mut self, account: Option<&(Name, u32)>) -> Result<(), Box<Ending>> {
        let nullok = self.options.nullok && !self.ruling.first_login;
        let Some((name, uid)) = account else { return Ok(()) };
        if !nullok && self.ctx.config.defaults.first_login != FirstLogin::Allow {
            return Ok(());
        }
        let record = self.ctx.store.load(name).map_err(|error| self.broken(&error))?;
        let record = record.map(|account| account.record);
        let unenrolled =
            |record: &Record| record.enrolment_status() == EnrolmentStatus::Unenrolled && record.uid == *uid;
        if !record.as_ref().is_none_or(unenrolled) {
            return Ok(());
        }
        if nullok {
            return Err(Ending::ignored("not_enrolled"));
        }
        let Entry::Allow { days } = entry(self.ctx.config, record.as_ref(), self.ctx.now()) else {
            return Ok(());
        };
        let message = if days == 1 { text::GRACE_LAST_DAY } else { text::grace_days(&days) };
        Err(Ending::ignored("grace_period").showing(message))
    }

    /// By an earlier code from the same place. With `forward_pass` the password is proven first.
    pub(super) fn remembered(&mut self, account: Option<&(Name, u32)>) -> Result<(), Box<Ending>> {
        if self.ruling.remember.is_some()
            && self.options.first_pass != FirstPass::Forward
            && let Some((name, uid)) = account
            && let Ok(Some(account)) = self.ctx.store.load(name)
            && account.record.uid == *uid
            && let Some((id, label)) = self.remembered_device(&account)
        {
            return Err(self.by_device("remembered", id, label));
        }
        Ok(())
    }

    /// The credential whose code a rule with `remember` accepts instead of a new one.
    pub(super) fn remembered_device(&self, account: &Account) -> Option<(CredentialId, Label)> {
        let (span, origin) = self.ruling.remember?;
        let Account { record, state } = account;
        let origin = origin_digest(self.ctx.store.key(), record, origin);
        let id = state.throttle.remembered.credential(origin, self.ctx.now(), span.as_seconds())?;
        let known =
            record.credential(id).filter(|_| record.enrolment_status() == EnrolmentStatus::Enrolled)?;
        let rules = self.ctx.config.throttle.rules();
        (!state.throttle.is_disabled(&rules)).then(|| (id, known.label.clone()))
    }

    /// A registered hardware key, or an earlier code of the device, is the second factor.
    pub(super) fn by_device(&mut self, reason: &'static str, id: CredentialId, label: Label) -> Box<Ending> {
        self.note_key();
        Ending::accepted(reason, id, label)
    }

    /// A key that sshd accepted is the primary factor if no password was proven.
    pub(super) fn note_key(&mut self) {
        let subject = &mut self.ctx.subject;
        if subject.key.is_some() && subject.with == PrimaryFactor::Unknown {
            subject.with = PrimaryFactor::PublicKey;
        }
    }
}
