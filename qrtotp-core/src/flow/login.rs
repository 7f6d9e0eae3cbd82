//! A login, in the order in which it happens.

use super::judge::{Given, Judgement, Proof, Refusal, Rules, settle};
use super::{Dialog, Directory, Echo, NoAnswer, Person, Typed};
use crate::account::{Name, Standing};
use crate::audit::{AuditSink, Event, Kind, Subject, Verdict};
use crate::clock::{Clock, EARLIEST_PLAUSIBLE};
use crate::policy::{Config, Require};
use crate::store::{Store, StoreError};
use subtle::ConstantTimeEq;

/// What everybody is told when something on our side is broken. Says nothing about the account.
pub const UNAVAILABLE: &str = "Verification is not possible at the moment. Please ask your administrator.";

/// Where the code comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstPass {
    /// We ask for it.
    #[default]
    Ask,
    /// PAM_AUTHTOK if that is a right code, else we ask.
    Try,
    /// PAM_AUTHTOK and nothing else.
    Use,
    /// Password and code typed together; the password goes on to the modules after us.
    Forward,
}

/// What the admin wrote behind the module's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// An un-enrolled account is none of our business.
    pub nullok: bool,
    /// The question, if not the usual one.
    pub prompt: Option<String>,
    /// Show the code while it is typed.
    pub echo_code: bool,
    /// Where the code comes from.
    pub first_pass: FirstPass,
}

/// The host of a login: a dialogue, and PAM's one password item.
pub trait LoginHost: Dialog {
    /// A copy of PAM_AUTHTOK, if set.
    fn password(&mut self) -> Option<Typed>;

    /// Sets PAM_AUTHTOK for the modules after us.
    ///
    /// # Errors
    /// The host refused; deny.
    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer>;
}

/// What PAM is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// PAM_SUCCESS.
    Accepted,
    /// PAM_AUTH_ERR.
    Denied,
    /// PAM_IGNORE.
    Ignored,
}

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
        if self.config.defaults.require == Require::Nothing {
            return self.finish(Verdict::Ignored, "not_required", "");
        }
        if self.clock.now() < EARLIEST_PLAUSIBLE {
            self.host.show(UNAVAILABLE);
            return self.finish(
                Verdict::Denied,
                "clock_implausible",
                "the host's clock is before 2020; set it",
            );
        }
        let person = match self.directory.find(&self.subject.user) {
            Ok(person) => person,
            Err(error) => {
                self.host.show(UNAVAILABLE);
                return self.finish(Verdict::Denied, "lookup_failed", &error.to_string());
            }
        };
        let account = match &person {
            None => None,
            Some(Person { name, uid }) => match Name::new(name) {
                Ok(name) => {
                    self.subject.user = name.as_str().to_owned();
                    Some((name, *uid))
                }
                Err(error) => return self.finish(Verdict::Denied, "name_refused", &error.to_string()),
            },
        };
        if self.options.nullok
            && let Some((name, uid)) = &account
        {
            match self.store.load(name) {
                Ok(None) => return self.finish(Verdict::Ignored, "not_enrolled", ""),
                Ok(Some(known))
                    if known.record.standing() == Standing::Unenrolled && known.record.uid == *uid =>
                {
                    return self.finish(Verdict::Ignored, "not_enrolled", "");
                }
                Ok(Some(_)) => {}
                Err(error) => return self.broken(&error),
            }
        }
        self.ask_and_judge(account.as_ref())
    }

    fn ask_and_judge(&mut self, account: Option<&(Name, u32)>) -> Outcome {
        let password = self.host.password();
        let first_pass = self.options.first_pass;
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
                if !matches!(given, Given::Malformed)
                    && self.attempt(account, typed, &given) == Outcome::Accepted
                {
                    return Outcome::Accepted;
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
            FirstPass::Ask | FirstPass::Try | FirstPass::Use => "Verification code: ",
        };
        let prompt = self.options.prompt.as_deref().unwrap_or(usual);
        let echo = if self.options.echo_code { Echo::On } else { Echo::Off };
        let Ok(typed) = self.host.ask(prompt, echo) else {
            return self.finish(Verdict::Denied, "no_answer", "");
        };
        if first_pass == FirstPass::Forward {
            return self.attempt(account, &typed, &Given::password_and_code(&typed));
        }
        if password.is_some_and(|password| bool::from(password.ct_eq(&typed))) {
            let detail = "the host answered with the password; sshd needs KbdInteractiveAuthentication, or use forward_pass";
            return self.finish(Verdict::Denied, "password_repeated", detail);
        }
        self.attempt(account, &typed, &Given::code(&typed))
    }

    /// One answer: judged and settled, the password forwarded where it came with the code.
    fn attempt(&mut self, account: Option<&(Name, u32)>, typed: &[u8], given: &Given<'_>) -> Outcome {
        let Some((name, uid)) = account else {
            given.pretend();
            return self.without_credential("unknown_user", typed);
        };
        let rules = Rules {
            key: self.store.key(),
            uid: *uid,
            now: self.clock.now(),
            window: self.config.verify.window(),
            throttle: self.config.throttle.rules(),
        };
        match settle(self.store, name, &rules, given) {
            Err(error) => self.broken(&error),
            Ok(Judgement::Refused { why: why @ (Refusal::NotEnrolled | Refusal::Revoked), .. }) => {
                self.without_credential(why.reason(), typed)
            }
            Ok(judgement) => {
                if let Judgement::Accepted { password_len, .. } = &judgement
                    && self.options.first_pass == FirstPass::Forward
                    && self.host.forward_password(&typed[..*password_len]).is_err()
                {
                    return self.finish(Verdict::Denied, "password_not_forwarded", "");
                }
                judgement.report(Kind::Login, &self.subject, &rules.throttle, self.audit);
                match judgement {
                    Judgement::Accepted { proof: Proof::Device(..), .. } => Outcome::Accepted,
                    Judgement::Accepted { proof: Proof::Recovery { left }, .. } => {
                        self.host.show(&format!(
                            "That was a recovery code; {left} are left. If your device is lost, have it revoked."
                        ));
                        Outcome::Accepted
                    }
                    Judgement::Refused { .. } => Outcome::Denied,
                }
            }
        }
    }

    /// Nobody to judge: where password and code come together, all of the text is the password.
    fn without_credential(&mut self, reason: &'static str, typed: &[u8]) -> Outcome {
        if self.options.first_pass == FirstPass::Forward {
            let _ = self.host.forward_password(typed); // denied anyhow
        }
        self.finish(Verdict::Denied, reason, "")
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
        Event::login(&self.subject, verdict, reason).detail(detail).emit(self.audit);
        match verdict {
            Verdict::Accepted => Outcome::Accepted,
            Verdict::Denied => Outcome::Denied,
            Verdict::Ignored => Outcome::Ignored,
        }
    }
}
