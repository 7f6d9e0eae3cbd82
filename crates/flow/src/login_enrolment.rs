//! Enrolment during a login, in the order in which it happens: prove the primary factor, check that this
//! login would be let in, show the QR code, take the first code. Nothing is shown before the first two
//! succeed.
//!
//! Every refusal ends at a fixed time after the answer and reads the same for every account.

use super::enroll::{hand_over, try_token_code};
use super::first_login::{Entry, entry};
use super::login::{Login, UNAVAILABLE};
use super::login_factor::Factor;
use super::{
    Authority, Codes, Directory, Enrollment, EnrolmentRequest, KeyProof, LoginHost, Outcome, PromptDialog,
    Refusal, Unproven, host_name, key_proof,
};
use qrtotp_account::{EnrolmentStatus, Label, Name, Record, TokenId};
use qrtotp_audit::{AuditSink, Event, PrimaryFactor, Verdict};
use qrtotp_clock::{Answered, Clock};
use qrtotp_otp::Params;
use qrtotp_store::{Store, StoreError};
use std::time::Duration;

/// The message for every refused answer, the same for every account.
pub const NOT_ENROLLED_HERE: &str =
    "That did not work. Check your password, or ask your administrator to let you enrol.";
/// A refusal ends this long after the answer, or at the next multiple. Longer than the work usually takes.
pub const REFUSAL_PERIOD: Duration = Duration::from_secs(2);
const CODES_WERE_LOST: &str =
    "Your last recovery codes were never confirmed, so they are not valid. Here are new ones.";

impl<S: Store, D: Directory, H: LoginHost, C: Clock, A: AuditSink> Login<'_, S, D, H, C, A> {
    /// Handles an answer that asks to enrol.
    pub(super) fn enrol_or_refuse(
        &mut self,
        account: Option<&(Name, u32)>,
        factor: Factor<'_>,
        answered: Answered,
    ) -> Outcome {
        if !self.host.is_same_user() {
            return self.user_changed();
        }
        self.enrol(account, factor).unwrap_or_else(|why| {
            let outcome = self.finish(Verdict::Denied, why.reason, &why.detail);
            self.host.wait(answered.until_multiple_of(REFUSAL_PERIOD));
            self.host.show(NOT_ENROLLED_HERE);
            outcome
        })
    }

    /// Enrols a first device. The outcome of a dialogue has its `login` event; an error has none yet.
    pub(super) fn enrol(
        &mut self,
        account: Option<&(Name, u32)>,
        factor: Factor<'_>,
    ) -> Result<Outcome, Unproven> {
        let (name, uid) = account.ok_or(Unproven::because(self.ruling.nobody.reason()))?;
        let record = self.store.load(name).map_err(|error| self.unreadable(&error))?;
        let record = record.map(|account| account.record);
        let token = self.may_enrol(record.as_ref(), *uid, factor)?;
        self.serves_enrolment()?;
        let authority = match (factor, token) {
            (Factor::TokenCode(typed), Some(id)) => {
                self.prove_token_code(name, id, typed)?;
                Authority::ProvenTokenCode(id)
            }
            _ => self.prove(name, record.as_ref(), factor)?,
        };
        self.host.would_let_in()?;
        Ok(self.enrolment_dialogue(name, *uid, authority))
    }

    /// Whether the configuration and the record allow an enrolment. For a token's code, returns the token.
    fn may_enrol(
        &self,
        record: Option<&Record>,
        uid: u32,
        factor: Factor<'_>,
    ) -> Result<Option<TokenId>, Unproven> {
        let now = self.clock.now();
        match record {
            Some(record) if record.uid != uid => return Err(Unproven::because(Refusal::UidChanged.reason())),
            Some(record) if record.standing() == EnrolmentStatus::Enrolled => {
                return Err(Unproven::because(Refusal::Malformed.reason()));
            }
            _ => {}
        }
        if let Factor::TokenCode(_) = factor {
            let token = record.and_then(|record| record.token.as_ref());
            let token = token.filter(|token| token.is_live(now) && token.binding.is_some());
            return match token {
                Some(token) => Ok(Some(token.id)),
                None => Err(Unproven::because(Refusal::Malformed.reason())),
            };
        }
        match entry(self.config, record, now) {
            Entry::Enroll => Ok(None),
            Entry::Deny(reason) => Err(Unproven::because(reason)),
            // Reached only if midnight passed during this login.
            Entry::Allow { .. } => Err(Unproven::because("grace_over")),
            Entry::Refuse(refusal) => {
                let revoked = record.is_some_and(|record| record.standing() == EnrolmentStatus::Revoked);
                let detail = if revoked { "all devices of the account were revoked" } else { "" };
                Err(Unproven { reason: refusal.as_str(), detail: detail.into() })
            }
        }
    }

    /// Whether users may enrol at this PAM service.
    fn serves_enrolment(&self) -> Result<(), Unproven> {
        let service = &self.subject.service;
        if self.config.enroll.services.iter().any(|known| known == service) {
            return Ok(());
        }
        let detail = format!("the PAM service {service} is not in enroll.services of the configuration");
        Err(Unproven { reason: "enrollment_not_here", detail })
    }

    /// Proves the primary factor, and returns what the proof allows. A key counts only if no password was
    /// taken: a wrong password must not be ignored.
    pub(super) fn prove(
        &mut self,
        name: &Name,
        record: Option<&Record>,
        factor: Factor<'_>,
    ) -> Result<Authority, Unproven> {
        let info = self.host.ssh_auth_info();
        match (factor, info) {
            (Factor::ProvenPassword, _) => Ok(Authority::PrimaryFactor),
            (Factor::Password(password), _) if !password.is_empty() => {
                self.host.prove_password(name, password)?;
                self.subject.with = PrimaryFactor::Password;
                Ok(Authority::PrimaryFactor)
            }
            (Factor::None, Some(info)) => {
                self.subject.with = PrimaryFactor::PublicKey;
                match key_proof(self.config, record, &self.subject.service, &info, self.clock.now()) {
                    Ok(KeyProof::Bound(_, token)) => Ok(Authority::BoundKey(token)),
                    Ok(KeyProof::Enough(_)) => Ok(Authority::PrimaryFactor),
                    Err(refusal) => {
                        Err(Unproven { reason: "no_primary_factor", detail: refusal.to_string() })
                    }
                }
            }
            (Factor::Password(_) | Factor::None | Factor::TokenCode(_), _) => Err(Unproven {
                reason: "no_primary_factor",
                detail: "no module before this one took a password; put the password's module before it, or issue a \
                         token with a code (`qrtotp token issue --code`)"
                    .into(),
            }),
        }
    }

    fn prove_token_code(&mut self, name: &Name, id: TokenId, typed: &[u8]) -> Result<(), Unproven> {
        // No waits at a login: their length would reveal that the account has such a token. Guesses are
        // counted, and too many end it.
        try_token_code(self.store, name, id, typed, self.clock, |_| {}).map_err(|error| {
            let detail = if error.is_refusal() { String::new() } else { error.to_string() };
            Unproven { reason: error.reason(), detail }
        })
    }

    pub(super) fn unreadable(&mut self, error: &StoreError) -> Unproven {
        self.report_damage(error);
        Unproven { reason: error.reason(), detail: error.to_string() }
    }

    fn enrolment_dialogue(&mut self, name: &Name, uid: u32, authority: Authority) -> Outcome {
        let host_name = host_name();
        let (label, issuer) = (Label::default(), self.config.issuer_on(&host_name));
        let account = self.config.account_on(&host_name, name.as_str());
        let request = EnrolmentRequest {
            name,
            uid,
            label: &label,
            authority,
            subject: &self.subject,
            issuer: &issuer,
            account: &account,
            params: Params::default(),
        };
        let contact = self.config.brand.contact.as_deref();
        let mut dialog = PromptDialog::new(self.host, &host_name, contact, &self.subject.tty);
        let enrolled = Enrollment {
            request: &request,
            config: self.config,
            store: self.store,
            dialog: &mut dialog,
            clock: self.clock,
            audit: self.audit,
        }
        .run();
        match enrolled {
            Ok(enrolled) => {
                self.host.show(match enrolled.codes {
                    Codes::Lost => {
                        "Enrolled. The recovery codes were not confirmed; the next login makes new ones."
                    }
                    Codes::Kept | Codes::Unchanged => {
                        "Enrolled. From now on logins ask for a code of the app."
                    }
                });
                if !self.host.is_same_user() {
                    return self.user_changed();
                }
                Event::login(&self.subject, Verdict::Accepted, "enrolled")
                    .credential(enrolled.credential, label.as_str())
                    .emit(self.audit);
                Outcome::Accepted
            }
            Err(error) => {
                let text = if error.is_refusal() { error.to_string() } else { UNAVAILABLE.to_owned() };
                self.host.show(&text);
                self.finish(Verdict::Denied, error.reason(), "")
            }
        }
    }

    /// After a right code: hands over owed recovery codes if the primary factor is proven as well. Otherwise
    /// they stay owed.
    pub(super) fn hand_over_owed_codes(&mut self, name: &Name, factor: Factor<'_>) {
        let proven = self.store.load(name).map_err(|error| self.unreadable(&error)).and_then(|account| {
            self.prove(name, account.as_ref().map(|account| &account.record), factor)?;
            self.host.would_let_in().map(|()| account)
        });
        let account = match proven {
            Ok(Some(account)) => account,
            Ok(None) => return,
            Err(why) => {
                let line = format!("recovery codes stay owed: {} {}", why.reason, why.detail);
                return self.audit.debug(&line);
            }
        };
        let host_name = host_name();
        let contact = self.config.brand.contact.as_deref();
        let mut dialog =
            PromptDialog::new(self.host, &host_name, contact, &self.subject.tty).with_lead(CODES_WERE_LOST);
        hand_over(self.store, Ok(account), &mut dialog, self.clock, &self.subject, self.audit);
    }
}
