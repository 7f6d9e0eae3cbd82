//! A login, in the order in which it happens. Enrolment during a login is in `login_enrolment.rs`, passwords
//! and codes in one text in `login_combined.rs`.

use super::answer::Answer;
use super::answer_place::{AnswerPlace, accepted_key, origin_digest};
use super::first_login::{Entry, entry};
use super::login_factor::Factor;
use super::refusal::Refusal;
use super::ruling::{Part, Ruling, ruling};
use super::verification::{Proof, Recorded, Rules, Verification};
use super::verify::{simulate_for_unknown, verify_and_record};
use super::{Directory, Echo, FirstPass, LoginHost, LookupError, NOBODY, Options, Outcome, Person, Typed};
use qrtotp_account::{
    CredentialId, EnrolmentStatus, FactorKind, KeyFingerprint, Label, Name, Record, ThrottleRules,
};
use qrtotp_audit::{AuditSink, Event, Kind, PrimaryFactor, Subject, Verdict};
use qrtotp_clock::{Answered, Clock};
use qrtotp_policy::{Config, FirstLogin};
use qrtotp_store::{Account, Store, StoreError};
use qrtotp_values::EARLIEST_PLAUSIBLE;
use subtle::ConstantTimeEq;

/// The message to every user when something on our side is broken. Says nothing about the account.
pub const UNAVAILABLE: &str = "Verification is not possible now. Try again, or ask your administrator.";

/// Detail for the log if [`is_dummy_of_sshd`].
pub(super) const REFUSED_BY_SSHD: &str =
    "sshd refuses this user (PermitRootLogin, AllowUsers, DenyUsers and the like) and answers for them";

const TWO_CODES: &str = "Two codes in a row, such as 123456 234567: ";

/// Everything that a login needs.
pub struct Login<'a, S, D, H, C, A> {
    /// The configuration.
    pub config: &'a Config,
    /// The module's arguments.
    pub options: &'a Options,
    /// Where records are.
    pub store: &'a S,
    /// The user database.
    pub directory: &'a D,
    /// The user and PAM.
    pub host: &'a mut H,
    /// The time.
    pub clock: &'a C,
    /// Where events go.
    pub audit: &'a mut A,
    /// Account, service and origin; `user` is the typed name until it is looked up.
    pub subject: Subject,
    /// The rules' decision; set during the login.
    pub ruling: Ruling,
}

impl<S: Store, D: Directory, H: LoginHost, C: Clock, A: AuditSink> Login<'_, S, D, H, C, A> {
    /// Decides, asking as needed. Exactly one `login` event is recorded.
    pub fn run(mut self) -> Outcome {
        let typed = std::mem::replace(&mut self.subject.user, NOBODY.to_owned());
        let person = self.directory.find(&typed);
        if let Ok(Some(person)) = &person {
            self.subject.user.clone_from(&person.name);
        }
        if !self.config.rules.is_empty() {
            // A failed look-up hides rules for this user, and a reset clock revives expired ones. Neither may
            // skip a code.
            if let Err(error) = &person {
                self.host.show(UNAVAILABLE);
                return self.finish(Verdict::Denied, "lookup_failed", &error.to_string());
            }
            if self.clock.now() < EARLIEST_PLAUSIBLE {
                return self.clock_implausible();
            }
        }
        let known = person.as_ref().ok().and_then(Option::as_ref);
        let mut account = || {
            let Person { name, uid } = known?;
            let account = self.store.load(&Name::new(name).ok()?).ok()??;
            Some(account).filter(|account| account.record.uid == *uid)
        };
        let decided = ruling(
            self.config,
            known.map(|person| person.name.as_str()),
            &self.subject,
            self.host,
            self.directory,
            self.clock.now(),
            Part::Auth(&mut account, self.store.key()),
        );
        let Ok((ruling, config, by)) = decided else {
            self.host.show(UNAVAILABLE);
            return self.finish(Verdict::Denied, "policy_damaged", "run `qrtotp config apply`");
        };
        self.subject.rule = by;
        Login { config: &config, ruling, ..self }.run_by_rule(person)
    }

    /// Decides by the rules.
    fn run_by_rule(mut self, person: Result<Option<Person>, LookupError>) -> Outcome {
        if self.ruling.outcome == qrtotp_policy::Outcome::Skip {
            if let Some((id, label)) = self.ruling.hardware_key.take() {
                return self.accept_unasked(id, &label, "hardware_key");
            }
            return self.finish(Verdict::Ignored, "not_required", "");
        }
        if let Some(message) = self.ruling.message.take() {
            self.host.show(&message);
            return self.finish(Verdict::Denied, Refusal::RuleDenied.reason(), "");
        }
        if let Some(conflict) = self.ruling.conflict(self.options) {
            self.host.show(UNAVAILABLE);
            return self.finish(Verdict::Denied, "arguments_invalid", conflict);
        }
        if self.clock.now() < EARLIEST_PLAUSIBLE {
            return self.clock_implausible();
        }
        let account = match person {
            Err(error) => {
                self.host.show(UNAVAILABLE);
                return self.finish(Verdict::Denied, "lookup_failed", &error.to_string());
            }
            Ok(None) => None,
            Ok(Some(Person { name, uid })) => match Name::new(&name) {
                Ok(name) => Some((name, uid)),
                Err(error) => return self.finish(Verdict::Denied, "name_refused", &error.to_string()),
            },
        };
        // A denied user gets the same question as everyone, so that the prompt does not reveal the rule.
        let account = account.filter(|_| self.ruling.outcome != qrtotp_policy::Outcome::Deny);
        if let Some((name, uid)) = &account
            && let Some(outcome) = self.grace_period(name, *uid)
        {
            return outcome;
        }
        // With `forward_pass` the password is proven first.
        if self.ruling.remember.is_some()
            && self.options.first_pass != FirstPass::Forward
            && let Some((name, uid)) = &account
            && let Ok(Some(account)) = self.store.load(name)
            && account.record.uid == *uid
            && let Some((id, label)) = self.remembered(&account)
        {
            return self.accept_unasked(id, &label, "remembered");
        }
        self.ask_and_verify(account.as_ref())
    }

    /// The credential whose code a rule with `remember` accepts instead of a new one.
    pub(super) fn remembered(&self, account: &Account) -> Option<(CredentialId, Label)> {
        let (span, origin) = self.ruling.remember?;
        let Account { record, state } = account;
        let origin = origin_digest(self.store.key(), record, origin);
        let id = state.throttle.remembered.credential(origin, self.clock.now(), span.as_seconds())?;
        let known = record.credential(id).filter(|_| record.standing() == EnrolmentStatus::Enrolled)?;
        (!state.throttle.is_disabled(&self.config.throttle.rules())).then(|| (id, known.label.clone()))
    }

    /// A registered hardware key, or an earlier code of the device, is the second factor.
    pub(super) fn accept_unasked(
        &mut self,
        id: CredentialId,
        label: &Label,
        reason: &'static str,
    ) -> Outcome {
        if !self.host.is_same_user() {
            return self.user_changed();
        }
        let _ = self.accepted_key();
        Event::login(&self.subject, Verdict::Accepted, reason)
            .credential(id, label.as_str())
            .emit(self.audit);
        Outcome::Accepted
    }

    fn clock_implausible(&mut self) -> Outcome {
        self.host.show(UNAVAILABLE);
        self.finish(Verdict::Denied, "clock_implausible", "the host's clock is before 2020; set it")
    }

    /// Admits an unenrolled account without a code: by `nullok`, or while `first_login = "allow"` holds.
    fn grace_period(&mut self, name: &Name, uid: u32) -> Option<Outcome> {
        if !self.options.nullok && self.config.defaults.first_login != FirstLogin::Allow {
            return None;
        }
        let record = match self.store.load(name) {
            Ok(account) => account.map(|account| account.record),
            Err(error) => return Some(self.broken(&error)),
        };
        let unenrolled =
            |record: &Record| record.standing() == EnrolmentStatus::Unenrolled && record.uid == uid;
        if !record.as_ref().is_none_or(unenrolled) {
            return None;
        }
        if self.options.nullok {
            return Some(self.finish(Verdict::Ignored, "not_enrolled", ""));
        }
        let Entry::Allow { days } = entry(self.config, record.as_ref(), self.clock.now()) else {
            return None;
        };
        let days =
            if days == 1 { "Today is the last day".to_owned() } else { format!("{days} days are left") };
        self.host.show(&format!(
            "{days} to log in without a second factor. `qrtotp enroll` sets one up; it takes two minutes."
        ));
        Some(self.finish(Verdict::Ignored, "grace_period", ""))
    }

    fn ask_and_verify(&mut self, account: Option<&(Name, u32)>) -> Outcome {
        let password = self.host.password();
        let mut tried = None;
        match (self.options.first_pass, &password) {
            (FirstPass::Use, None) => {
                let detail = "use_first_pass, but no module before set a password";
                return self.finish(Verdict::Denied, "no_password", detail);
            }
            (FirstPass::Try, Some(typed)) if !self.ruling.steps_up() => {
                let answer = Answer::code(typed);
                if !matches!(answer, Answer::Malformed) {
                    match self.record_one(account, &answer, self.config.throttle.rules(), true) {
                        Err(error) => return self.broken(&error),
                        Ok(recorded) if matches!(recorded.verification, Verification::Accepted { .. }) => {
                            return self.finish_answer(account, &recorded, Factor::None);
                        }
                        Ok(refused) => tried = Some(refused.verification),
                    }
                }
            }
            (FirstPass::Use, Some(typed)) if is_dummy_of_sshd(typed) => {
                return self.finish(Verdict::Denied, "malformed", REFUSED_BY_SSHD);
            }
            (FirstPass::Use, Some(typed)) => {
                return self.verify(
                    account,
                    &Answer::code(typed),
                    self.config.throttle.rules(),
                    Factor::None,
                );
            }
            (FirstPass::Forward, Some(typed)) => return self.password_and_code(account, typed),
            (FirstPass::Ask | FirstPass::Try, _) | (FirstPass::Forward, None) => {}
        }
        let Some(typed) = self.ask() else { return self.unanswered(tried.as_ref(), "no_answer", "") };
        let answered = Answered::now();
        if self.options.first_pass == FirstPass::Forward {
            return self.password_and_code(account, &typed);
        }
        if is_dummy_of_sshd(&typed) {
            return self.unanswered(tried.as_ref(), "malformed", REFUSED_BY_SSHD);
        }
        if password.as_ref().is_some_and(|password| bool::from(password.ct_eq(&typed))) {
            let detail = "the client or sshd answered with the password; use keyboard-interactive (sshd's \
                          KbdInteractiveAuthentication) or forward_pass";
            return self.unanswered(tried.as_ref(), "password_repeated", detail);
        }
        let factor = password.as_deref().map_or(Factor::None, |password| Factor::Password(password));
        if self.enrols() && typed.trim_ascii().is_empty() {
            return self.enrol_or_refuse(account, factor, answered);
        }
        if self.enrols() && Answer::could_be_token_code(&typed) {
            return self.enrol_or_refuse(account, Factor::TokenCode(&typed), answered);
        }
        let answer = match (self.ruling.steps_up(), self.config.verify.resync) {
            (true, _) => Answer::pair_or_recovery(&typed),
            (false, true) => Answer::code_or_pair(&typed),
            (false, false) => Answer::code(&typed),
        };
        let mut throttle = self.config.throttle.rules();
        let counted = tried.as_ref().and_then(Verification::counted_as);
        self.ruling.tried_password = counted == Some(FactorKind::Code);
        if counted == Some(answer.means()) {
            throttle.max_wait = 0;
        }
        self.verify(account, &answer, throttle, factor)
    }

    fn ask(&mut self) -> Option<Typed> {
        let usual = match self.options.first_pass {
            FirstPass::Forward => "Password & verification code: ",
            _ if self.ruling.steps_up() => TWO_CODES,
            _ if self.enrols() => "Verification code (Enter: none yet): ",
            FirstPass::Ask | FirstPass::Try | FirstPass::Use => "Verification code: ",
        };
        let prompt = self.options.prompt.as_deref().unwrap_or(usual);
        let echo = if self.options.echo_code { Echo::On } else { Echo::Off };
        self.host.ask(prompt, echo).ok()
    }

    /// Verifies one answer and ends the login. `factor` may prove the primary factor, for recovery codes that
    /// are owed.
    fn verify(
        &mut self,
        account: Option<&(Name, u32)>,
        answer: &Answer,
        throttle: ThrottleRules,
        factor: Factor<'_>,
    ) -> Outcome {
        if !self.host.is_same_user() {
            return self.user_changed(); // before a code is used up
        }
        let mut recorded = self.record(account, answer, throttle);
        if let Ok(Recorded {
            verification: Verification::Refused { why: Refusal::TwoCodesDue, .. }, ..
        }) = recorded
        {
            self.host.show("Too many wrong codes came from your network today.");
            if let Ok(typed) = self.host.ask(TWO_CODES, Echo::Off) {
                // A client that answers every question with the same text must not count as guessing.
                self.ruling.one_field = answer.is_code(&typed);
                if self.ruling.one_field {
                    recorded = self.record(account, answer, throttle);
                } else {
                    self.ruling.outcome = qrtotp_policy::Outcome::TwoCodes;
                    recorded = self.record(account, &Answer::pair_or_recovery(&typed), throttle);
                }
            }
        }
        match recorded {
            Err(error) => self.broken(&error),
            Ok(recorded) => self.finish_answer(account, &recorded, factor),
        }
    }

    /// The key that sshd accepted, which is the primary factor if no password was proven.
    fn accepted_key(&mut self) -> Option<KeyFingerprint> {
        let key = accepted_key(self.config, &self.subject, self.host)?;
        if self.subject.with == PrimaryFactor::Unknown {
            self.subject.with = PrimaryFactor::PublicKey;
        }
        Some(key)
    }

    /// Verifies an answer and records its consequences for the account.
    pub(super) fn record(
        &mut self,
        account: Option<&(Name, u32)>,
        answer: &Answer,
        throttle: ThrottleRules,
    ) -> Result<Recorded, StoreError> {
        self.record_one(account, answer, throttle, false)
    }

    /// The same for one reading of the answer; `tried`: a password that may be a code.
    fn record_one(
        &mut self,
        account: Option<&(Name, u32)>,
        answer: &Answer,
        throttle: ThrottleRules,
        tried: bool,
    ) -> Result<Recorded, StoreError> {
        let one_field =
            self.ruling.one_field || matches!(self.options.first_pass, FirstPass::Use | FirstPass::Forward);
        let key = self.accepted_key();
        let mut answer_place = AnswerPlace::with(key.as_ref(), &self.subject, self.host, one_field);
        answer_place.origin = self.ruling.remember.map(|(_, origin)| origin);
        let rules = Rules {
            key: self.store.key(),
            uid: account.map_or(u32::MAX, |(_, uid)| *uid),
            now: self.clock.now(),
            window: self.config.verify.window(),
            throttle,
            recovery: self.ruling.recovery,
            step_up: self.ruling.steps_up(),
            fresh: self.ruling.fresh,
            answer_place,
            subject: &self.subject,
            kind: Kind::Login,
            tried,
            tried_before: self.ruling.tried_password,
        };
        let recorded = match account {
            None => simulate_for_unknown(self.store, &rules, answer, self.ruling.nobody),
            Some((name, _)) => verify_and_record(self.store, name, &rules, answer)?,
        };
        // At once: a later dialogue may end the process, and lines must keep the order of the chain.
        let detail = recorded.verification.explanation(self.clock);
        recorded.report_changes(Kind::Login, &self.subject, &detail, self.audit);
        Ok(recorded)
    }

    /// Ends the login by a verification's result, and records it.
    pub(super) fn finish_answer(
        &mut self,
        account: Option<&(Name, u32)>,
        recorded: &Recorded,
        factor: Factor<'_>,
    ) -> Outcome {
        let verification = &recorded.verification;
        if let Verification::Accepted { proof, codes_due, .. } = verification {
            if let Proof::Recovery { left } = proof {
                self.host.show(&format!(
                    "That was a recovery code; {left} are left. If your device is lost, have it revoked."
                ));
            }
            if let Some(text) = verification.notice() {
                self.host.show(&text);
            }
            if let (true, Some((name, _))) = (*codes_due, account) {
                self.hand_over_owed_codes(name, factor);
            }
            // After the last conversation, in which the application may have replaced the user.
            if !self.host.is_same_user() {
                return self.user_changed();
            }
        }
        if let Verification::Refused { why: Refusal::NotEnrolled, .. } = verification
            && self.config.defaults.first_login == FirstLogin::Allow
        {
            return self.finish(Verdict::Denied, "grace_over", "");
        }
        let detail = verification.explanation(self.clock);
        self.host.explain(&detail);
        if verification.counted_as().is_some() {
            self.host.was_counted();
        }
        if !recorded.is_reported(Kind::Login) {
            verification.report_decision(Kind::Login, &self.subject, &detail, self.audit);
        }
        match verification {
            Verification::Accepted { .. } => Outcome::Accepted,
            Verification::Refused { .. } => Outcome::Denied,
        }
    }

    pub(super) fn enrols(&self) -> bool {
        matches!(self.config.defaults.first_login, FirstLogin::Enroll | FirstLogin::Token)
    }

    /// Ends a login without an answer to our question. A password that was counted as a wrong code stays
    /// counted.
    fn unanswered(&mut self, tried: Option<&Verification>, reason: &'static str, detail: &str) -> Outcome {
        if !self.host.is_same_user() {
            return self.user_changed();
        }
        match tried {
            Some(verification) if verification.counted_as().is_some() => {
                verification.report_decision(Kind::Login, &self.subject, detail, self.audit);
                Outcome::Denied
            }
            _ => self.finish(Verdict::Denied, reason, detail),
        }
    }

    pub(super) fn user_changed(&mut self) -> Outcome {
        self.finish(Verdict::Denied, "user_changed", "the application replaced PAM_USER")
    }

    fn broken(&mut self, error: &StoreError) -> Outcome {
        self.host.show(UNAVAILABLE);
        self.report_damage(error);
        self.finish(Verdict::Denied, error.reason(), &error.to_string())
    }

    pub(super) fn report_damage(&mut self, error: &StoreError) {
        let detail = error.to_string();
        if error.is_record_fault() {
            Event::new(Kind::RecordDamaged, &self.subject)
                .reason(error.reason())
                .detail(&detail)
                .emit(self.audit);
        }
    }

    pub(super) fn finish(&mut self, verdict: Verdict, reason: &'static str, detail: &str) -> Outcome {
        if verdict != Verdict::Denied && !self.host.is_same_user() {
            return self.user_changed();
        }
        Event::login(&self.subject, verdict, reason).detail(detail).emit(self.audit);
        match verdict {
            Verdict::Accepted => Outcome::Accepted,
            Verdict::Denied => Outcome::Denied,
            Verdict::Ignored => Outcome::Ignored,
        }
    }
}

/// Whether this is the dummy text that sshd sends for a user that it refuses, repeated to the length of the
/// typed answer (OpenSSH, auth-pam.c).
pub(super) fn is_dummy_of_sshd(typed: &[u8]) -> bool {
    typed.len() >= 4 && typed.iter().eq(b"\x08\n\r\x7fINCORRECT".iter().cycle().take(typed.len()))
}
