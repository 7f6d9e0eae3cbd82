//! The account part of a login: PAM calls it once the whole auth stack has succeeded, so the primary factor holds. Here
//! people enrol, and get the recovery codes that they are owed.

use super::enroll::hand_over;
use super::login::UNAVAILABLE;
use super::{Authority, Codes, Dialog, Directory, Enrollment, Invitation, Outcome, PromptDialog};
use crate::account::{Label, Name, Standing};
use crate::audit::{AuditSink, Event, Subject, Verdict};
use crate::clock::Clock;
use crate::otp::Params;
use crate::policy::Config;
use crate::store::Store;

/// What the auth part leaves for the account part, in the PAM transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The account.
    pub user: String,
    /// Its uid.
    pub uid: u32,
    /// What it was marked for.
    pub due: Due,
}

impl Mark {
    /// As text, for PAM to keep: nothing of it lies in the module, which PAM may unload and load again in between.
    #[must_use]
    pub fn to_text(&self) -> String {
        let due = match self.due {
            Due::Enrollment => "enrollment",
            Due::RecoveryCodes => "recovery_codes",
        };
        format!("{due}:{}:{}", self.uid, self.user)
    }

    /// The mark that a text is.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (due, rest) = text.split_once(':')?;
        let (uid, user) = rest.split_once(':')?;
        let due = match due {
            "enrollment" => Due::Enrollment,
            "recovery_codes" => Due::RecoveryCodes,
            _ => return None,
        };
        Some(Self { user: user.to_owned(), uid: uid.parse().ok()?, due })
    }
}

/// What is still to be done before, or while, a marked login goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// An enrolment: without it nobody gets in.
    Enrollment,
    /// New recovery codes: the login holds whatever becomes of them.
    RecoveryCodes,
}

const CODES_WERE_LOST: &str =
    "Your last recovery codes were never confirmed, so they are worth nothing. Here are new ones.";

/// Everything that the account part of a marked login needs.
pub struct AccountPart<'a, S, D, H, C, A> {
    /// What the auth part left.
    pub mark: &'a Mark,
    /// The configuration.
    pub config: &'a Config,
    /// Where records are.
    pub store: &'a S,
    /// Who is who.
    pub directory: &'a D,
    /// The person.
    pub host: &'a mut H,
    /// This host, as people know it.
    pub host_name: &'a str,
    /// The time.
    pub clock: &'a C,
    /// Where events go.
    pub audit: &'a mut A,
    /// Who and where; `user` is what PAM says now.
    pub subject: Subject,
}

impl<S: Store, D: Directory, H: Dialog, C: Clock, A: AuditSink> AccountPart<'_, S, D, H, C, A> {
    /// Does what is due. For an enrolment one `login` event is recorded; a login that owed recovery codes has its
    /// event already. Anything but [`Outcome::Denied`] lets the login go on.
    pub fn run(mut self) -> Outcome {
        let person = match self.directory.find(&self.subject.user) {
            Ok(person) => person,
            // The code was right; the codes stay owed.
            Err(_) if self.mark.due == Due::RecoveryCodes => return Outcome::Ignored,
            Err(error) => return self.deny("lookup_failed", &error.to_string()),
        };
        let marked = person.filter(|person| person.name == self.mark.user && person.uid == self.mark.uid);
        let Some(name) = marked.and_then(|person| Name::new(&person.name).ok()) else {
            return self.deny("user_changed", "the application replaced PAM_USER");
        };
        self.subject.user = name.as_str().to_owned();
        match self.mark.due {
            Due::Enrollment => match self.store.load(&name) {
                Ok(Some(account)) if account.record.standing() == Standing::Enrolled => {
                    self.deny("enrolled_meanwhile", "")
                }
                Ok(_) => self.enroll(&name),
                Err(error) => self.deny(error.reason(), &error.to_string()),
            },
            Due::RecoveryCodes => {
                let contact = self.config.brand.contact.as_deref();
                let mut dialog =
                    PromptDialog::new(self.host, self.host_name, contact).with_lead(CODES_WERE_LOST);
                hand_over(self.store, &name, &mut dialog, self.clock, &self.subject, self.audit);
                Outcome::Accepted
            }
        }
    }

    fn enroll(self, name: &Name) -> Outcome {
        let (label, issuer) = (Label::default(), self.config.issuer_on(self.host_name));
        let invitation = Invitation {
            name,
            uid: self.mark.uid,
            label: &label,
            authority: Authority::PrimaryFactor,
            subject: &self.subject,
            issuer: &issuer,
            params: Params::default(),
        };
        let mut dialog = PromptDialog::new(self.host, self.host_name, self.config.brand.contact.as_deref());
        let enrolled = Enrollment {
            invitation: &invitation,
            config: self.config,
            store: self.store,
            dialog: &mut dialog,
            clock: self.clock,
            audit: self.audit,
        }
        .run();
        match enrolled {
            Ok(enrolled) => {
                // What can't be forgotten now is the next time, for somebody enrolled.
                let _ = self.store.forget_due(name);
                Event::login(&self.subject, Verdict::Accepted, "enrolled")
                    .credential(enrolled.credential, label.as_str())
                    .emit(self.audit);
                self.host.show(match enrolled.codes {
                    Codes::Lost => {
                        "Enrolled. The recovery codes were not confirmed; the next login makes new ones."
                    }
                    Codes::Kept | Codes::Unchanged => {
                        "Enrolled. From now on logins ask for a code of the app."
                    }
                });
                Outcome::Accepted
            }
            Err(error) => {
                let text = if error.is_refusal() { error.to_string() } else { UNAVAILABLE.to_owned() };
                self.host.show(&text);
                let reason = error.reason();
                Event::login(&self.subject, Verdict::Denied, reason).emit(self.audit);
                Outcome::Denied
            }
        }
    }

    fn deny(&mut self, reason: &'static str, detail: &str) -> Outcome {
        self.host.show(UNAVAILABLE);
        Event::login(&self.subject, Verdict::Denied, reason).detail(detail).emit(self.audit);
        Outcome::Denied
    }
}
