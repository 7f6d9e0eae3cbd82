//! A login, in the order in which it happens.

use super::first_login::{Entry, entry};
use super::given::Given;
use super::judge::{Judgement, Proof, Rules, settle, settle_for_nobody};
use super::refusal::Refusal;
use super::{Directory, Due, Echo, FirstPass, LoginHost, Mark, NOBODY, Options, Outcome, Person};
use crate::account::{Name, Record, Standing, ThrottleRules};
use crate::audit::{AuditSink, Event, Kind, Subject, Verdict};
use crate::clock::{Clock, EARLIEST_PLAUSIBLE};
use crate::policy::{Config, FirstLogin, Require};
use crate::store::{Store, StoreError};
use subtle::ConstantTimeEq;

/// What everybody is told when something on our side is broken. Says nothing about the account.
pub const UNAVAILABLE: &str = "Verification is not possible at the moment. Please ask your administrator.";

/// Everything that a login needs.
pub struct Login<'a, S, D, H, C, A> {
    /// The configuration.
    pub config: &'a Config,
    /// The module's arguments.
    pub options: &'a Options,
    /// Where records are.
    pub store: &'a S,
    /// Who is who.
    pub directory: &'a D,
    /// The person and PAM.
    pub host: &'a mut H,
    /// The time.
    pub clock: &'a C,
    /// Where events go.
    pub audit: &'a mut A,
    /// Who and where; `user` is what was typed, until we know better.
    pub subject: Subject,
}

impl<S: Store, D: Directory, H: LoginHost, C: Clock, A: AuditSink> Login<'_, S, D, H, C, A> {
    /// Decides, asking as needed. Exactly one `login` event is recorded.
    pub fn run(mut self) -> Outcome {
        let typed = std::mem::replace(&mut self.subject.user, NOBODY.to_owned());
        let person = self.directory.find(&typed);
        if let Ok(Some(person)) = &person {
            self.subject.user.clone_from(&person.name);
        }
        if self.config.defaults.require == Require::Nothing {
            return self.finish(Verdict::Ignored, "not_required", "");
        }
        if self.clock.now() < EARLIEST_PLAUSIBLE {
            self.host.show(UNAVAILABLE);
            let detail = "the host's clock is before 2020; set it";
            return self.finish(Verdict::Denied, "clock_implausible", detail);
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
        if let Some((name, uid)) = &account
            && let Some(outcome) = self.let_pass(name, *uid)
        {
            return outcome;
        }
        self.ask_and_judge(account.as_ref())
    }

    /// An un-enrolled account that gets in unasked: by `nullok`, or while `first_login = "allow"` holds.
    fn let_pass(&mut self, name: &Name, uid: u32) -> Option<Outcome> {
        if !self.options.nullok && self.config.defaults.first_login != FirstLogin::Allow {
            return None;
        }
        let record = match self.store.load(name) {
            Ok(account) => account.map(|account| account.record),
            Err(error) => return Some(self.broken(&error)),
        };
        let unenrolled = |record: &Record| record.standing() == Standing::Unenrolled && record.uid == uid;
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

    fn ask_and_judge(&mut self, account: Option<&(Name, u32)>) -> Outcome {
        let password = self.host.password();
        let first_pass = self.options.first_pass;
        let mut tried = None;
        match (first_pass, &password) {
            (FirstPass::Use, None) => {
                return self.finish(
                    Verdict::Denied,
                    "no_password",
                    "use_first_pass, but no module before set one",
                );
            }
            (FirstPass::Try, Some(typed)) => {
                let given = Given::code(typed);
                if !matches!(given, Given::Malformed) {
                    match self.judge(account, &given, self.config.throttle.rules()) {
                        Err(error) => return self.broken(&error),
                        Ok(judgement @ Judgement::Accepted { .. }) => {
                            return self.conclude(account, &judgement, typed);
                        }
                        Ok(refused) => tried = Some(refused),
                    }
                }
            }
            (FirstPass::Use, Some(typed)) => return self.attempt(account, typed, &Given::code(typed)),
            (FirstPass::Forward, Some(typed)) => {
                return self.attempt(account, typed, &Given::password_and_code(typed));
            }
            (FirstPass::Ask, _) | (FirstPass::Try | FirstPass::Forward, None) => {}
        }
        let usual = match first_pass {
            FirstPass::Forward => "Password & verification code: ",
            _ if self.enrols() => "Verification code (Enter: none yet): ",
            FirstPass::Ask | FirstPass::Try | FirstPass::Use => "Verification code: ",
        };
        let prompt = self.options.prompt.as_deref().unwrap_or(usual);
        let echo = if self.options.echo_code { Echo::On } else { Echo::Off };
        let Ok(typed) = self.host.ask(prompt, echo) else {
            return self.unanswered(tried.as_ref(), "no_answer", "");
        };
        if first_pass == FirstPass::Forward {
            return self.attempt(account, &typed, &Given::password_and_code(&typed));
        }
        if password.is_some_and(|password| bool::from(password.ct_eq(&typed))) {
            let detail = "the host answered with the password; sshd needs KbdInteractiveAuthentication, or use forward_pass";
            return self.unanswered(tried.as_ref(), "password_repeated", detail);
        }
        let given = match self.config.verify.resync {
            true => Given::code_or_pair(&typed),
            false => Given::code(&typed),
        };
        let mut throttle = self.config.throttle.rules();
        if tried.as_ref().and_then(Judgement::counted_as) == Some(given.means()) {
            throttle.max_wait = 0;
        }
        self.settled(account, &typed, &given, throttle)
    }

    /// One answer: judged and settled, the password forwarded where it came with the code.
    fn attempt(&mut self, account: Option<&(Name, u32)>, typed: &[u8], given: &Given<'_>) -> Outcome {
        self.settled(account, typed, given, self.config.throttle.rules())
    }

    fn settled(
        &mut self,
        account: Option<&(Name, u32)>,
        typed: &[u8],
        given: &Given<'_>,
        throttle: ThrottleRules,
    ) -> Outcome {
        if !self.host.is_same_user() {
            return self.user_changed(); // before a code is used up
        }
        match self.judge(account, given, throttle) {
            Err(error) => self.broken(&error),
            Ok(judgement) => self.conclude(account, &judgement, typed),
        }
    }

    /// Judges an answer and records what follows for the account.
    fn judge(
        &mut self,
        account: Option<&(Name, u32)>,
        given: &Given<'_>,
        throttle: ThrottleRules,
    ) -> Result<Judgement, StoreError> {
        let rules = Rules {
            key: self.store.key(),
            uid: account.map_or(u32::MAX, |(_, uid)| *uid),
            now: self.clock.now(),
            window: self.config.verify.window(),
            throttle,
        };
        let judgement = match account {
            None => settle_for_nobody(self.store, &rules, given),
            Some((name, _)) => settle(self.store, name, &rules, given)?,
        };
        judgement.report_consequences(&self.subject, &throttle, self.audit);
        Ok(judgement)
    }

    /// Does and records what a judgement means for the login.
    fn conclude(&mut self, account: Option<&(Name, u32)>, judgement: &Judgement, typed: &[u8]) -> Outcome {
        let forward = self.options.first_pass == FirstPass::Forward;
        match judgement {
            Judgement::Refused { why, .. } => {
                // Nobody to judge: where password and code come together, all of the text is the password.
                let nobody = matches!(why, Refusal::UnknownUser | Refusal::NotEnrolled | Refusal::Revoked);
                if forward && nobody {
                    let _ = self.host.forward_password(typed); // denied anyhow
                }
                if let (Refusal::NotEnrolled | Refusal::Revoked, Some((name, uid))) = (why, account)
                    && self.config.defaults.first_login != FirstLogin::Deny
                {
                    return self.first_login(name, *uid);
                }
            }
            Judgement::Accepted { proof, password_len, codes_due, .. } => {
                if forward && self.host.forward_password(&typed[..*password_len]).is_err() {
                    return self.finish(Verdict::Denied, "password_not_forwarded", "");
                }
                if let Proof::Recovery { left } = proof {
                    self.host.show(&format!(
                        "That was a recovery code; {left} are left. If your device is lost, have it revoked."
                    ));
                }
                if !self.host.is_same_user() {
                    return self.user_changed();
                }
                if let (true, Some((name, uid))) = (*codes_due, account) {
                    let mark = Mark { user: name.as_str().to_owned(), uid: *uid, due: Due::RecoveryCodes };
                    let _ = self.host.mark(mark); // they stay owed
                }
            }
        }
        let detail = judgement.explanation(self.clock);
        judgement.report_decision(Kind::Login, &self.subject, detail, self.audit);
        match judgement {
            Judgement::Accepted { .. } => Outcome::Accepted,
            Judgement::Refused { .. } => Outcome::Denied,
        }
    }

    fn enrols(&self) -> bool {
        matches!(self.config.defaults.first_login, FirstLogin::Enroll | FirstLogin::Token)
    }

    /// An account without a credential, after its answer. Shows nothing: whether the primary factor holds, only the
    /// account part can know.
    fn first_login(&mut self, name: &Name, uid: u32) -> Outcome {
        let record = match self.store.load(name) {
            Ok(account) => account.map(|account| account.record),
            Err(error) => return self.broken(&error),
        };
        if record.as_ref().is_some_and(|record| record.uid != uid) {
            return self.finish(Verdict::Denied, Refusal::UidChanged.reason(), "");
        }
        match entry(self.config, record.as_ref(), self.clock.now()) {
            Entry::Enroll => {}
            Entry::Deny(reason) => return self.finish(Verdict::Denied, reason, ""),
            Entry::Refuse(refusal) => {
                let revoked = record.is_some_and(|record| record.standing() == Standing::Revoked);
                let detail = if revoked { "all devices of the account were revoked" } else { "" };
                return self.finish(Verdict::Denied, refusal.as_str(), detail);
            }
            // Only while `let_pass` looked at it: the day has just begun.
            Entry::Allow { .. } => return self.finish(Verdict::Denied, "grace_over", ""),
        }
        let key = self.host.key_was_accepted();
        if !key && self.host.password().is_none_or(|password| password.is_empty()) {
            let detail = "no module before this one took a password, and the application names no key: nobody may \
                          enrol here; put the password's module before it";
            return self.finish(Verdict::Denied, "no_primary_factor", detail);
        }
        if let Err(detail) = self.host.guard(!key) {
            return self.finish(Verdict::Denied, "enrollment_guard", &detail);
        }
        if self.host.remembers()
            && let Err(error) = self.note_or_reserve(name, uid)
        {
            return self.broken(&error);
        }
        let mark = Mark { user: name.as_str().to_owned(), uid, due: Due::Enrollment };
        if self.host.mark(mark).is_err() {
            return self.finish(Verdict::Denied, "enrollment_guard", "PAM does not keep our mark");
        }
        self.finish(Verdict::Ignored, "enrollment_due", "")
    }

    /// What the application remembers of somebody who is let pass to enrol must be good for nothing until they did. Whoever
    /// calls it themselves is noted at once: they could kill it before our next part is run, and bar nobody else. Who
    /// is called by another may be there with a wrong password: our next part knows that it was right.
    fn note_or_reserve(&self, name: &Name, uid: u32) -> Result<(), StoreError> {
        match self.subject.by == name.as_str() {
            true => self.store.note_due(name, uid),
            false => self.store.reserve_due(name, uid),
        }
    }

    /// The end of a login without an answer of its own. A password that was counted as a wrong code is what it was.
    fn unanswered(&mut self, tried: Option<&Judgement>, reason: &'static str, detail: &str) -> Outcome {
        if !self.host.is_same_user() {
            return self.user_changed();
        }
        match tried {
            Some(judgement) if judgement.counted_as().is_some() => {
                judgement.report_decision(Kind::Login, &self.subject, detail, self.audit);
                Outcome::Denied
            }
            _ => self.finish(Verdict::Denied, reason, detail),
        }
    }

    fn user_changed(&mut self) -> Outcome {
        self.finish(Verdict::Denied, "user_changed", "the application replaced PAM_USER")
    }

    fn broken(&mut self, error: &StoreError) -> Outcome {
        self.host.show(UNAVAILABLE);
        let detail = error.to_string();
        if error.is_record_fault() {
            Event::new(Kind::RecordDamaged, &self.subject)
                .reason(error.reason())
                .detail(&detail)
                .emit(self.audit);
        }
        self.finish(Verdict::Denied, error.reason(), &detail)
    }

    fn finish(&mut self, verdict: Verdict, reason: &'static str, detail: &str) -> Outcome {
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
