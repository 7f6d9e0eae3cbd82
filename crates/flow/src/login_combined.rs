//! `forward_pass`: password and code typed together in one field, with the password's module after ours.
//!
//! The password is proven first, by a separate PAM transaction. Only then is the code checked, so a stranger
//! without the password neither uses up codes nor adds to the owner's failures. Every refusal ends at a fixed
//! time, and leaves no password for later modules, so they fail alike for every refusal.

use super::Unproven;
use super::answer::Answer;
use super::first_login::{Entry, entry};
use super::login::{Login, REFUSED_BY_SSHD, is_dummy_of_sshd};
use super::login_enrolment::REFUSAL_PERIOD;
use super::login_factor::Factor;
use super::refusal::Refusal;
use super::verification::Verification;
use super::{Directory, LoginHost, Outcome};
use qrtotp_account::{EnrolmentStatus, Name, Record};
use qrtotp_audit::{AuditSink, PrimaryFactor, Verdict};
use qrtotp_clock::{Answered, Clock};
use qrtotp_store::Store;

impl<S: Store, D: Directory, H: LoginHost, C: Clock, A: AuditSink> Login<'_, S, D, H, C, A> {
    /// Verifies one text of password and code, or of a password alone from an account that may enrol.
    pub(super) fn password_and_code(&mut self, account: Option<&(Name, u32)>, typed: &[u8]) -> Outcome {
        let answered = Answered::now();
        if !self.host.is_same_user() {
            return self.user_changed(); // before a code is used up
        }
        let outcome = match self.try_password_and_code(account, typed) {
            Ok(outcome) => outcome,
            Err(why) => self.finish(Verdict::Denied, why.reason, &why.detail),
        };
        if outcome == Outcome::Denied {
            self.host.withhold_password();
            self.host.wait(answered.until_multiple_of(REFUSAL_PERIOD));
        }
        outcome
    }

    fn try_password_and_code(
        &mut self,
        account: Option<&(Name, u32)>,
        typed: &[u8],
    ) -> Result<Outcome, Unproven> {
        if is_dummy_of_sshd(typed) {
            return Err(Unproven { reason: Refusal::Malformed.reason(), detail: REFUSED_BY_SSHD.into() });
        }
        let (name, uid) = account.ok_or(Unproven::because(self.ruling.nobody.reason()))?;
        let record = self.store.load(name).map_err(|error| self.unreadable(&error))?;
        let record = record.map(|account| account.record);
        let Some(record) = record.as_ref().filter(|record| record.standing() == EnrolmentStatus::Enrolled)
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
        self.subject.with = PrimaryFactor::Password;
        let answer = Answer::code(&typed[end..]);
        let recorded = self
            .record(account, &answer, self.config.throttle.rules())
            .map_err(|error| self.unreadable(&error))?;
        if let Verification::Accepted { .. } = recorded.verification {
            self.forward(&typed[..end])?;
        }
        Ok(self.finish_answer(account, &recorded, Factor::ProvenPassword))
    }

    /// Handles a text that is only the password, if no code is due. `None`: a code is due.
    fn remembered_with_password(
        &mut self,
        (name, uid): (&Name, u32),
        typed: &[u8],
    ) -> Option<Result<Outcome, Unproven>> {
        let account = self.store.load(name).ok()??;
        let record = Some(&account.record).filter(|record| record.uid == uid)?;
        let (id, label) = self.remembered(&account)?;
        let proven =
            self.prove(name, Some(record), Factor::Password(typed)).and_then(|_| self.forward(typed));
        Some(proven.map(|()| self.accept_unasked(id, &label, "remembered")))
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
    ) -> Result<Outcome, Unproven> {
        if !self.enrols() {
            let why = match entry(self.config, record, self.clock.now()) {
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
