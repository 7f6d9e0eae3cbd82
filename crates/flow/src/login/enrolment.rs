//! Enrolment during a login, in the order in which it happens: prove the primary factor, check that this
//! login would be let in, show the QR code, take the first code. Nothing is shown before the first two
//! succeed.
//!
//! Every refusal ends at a fixed time after the answer and reads the same for every account.

use super::Login;
use super::ending::{Ending, Last};
use super::factor::Factor;
use crate::enroll::{enroll, hand_over, try_token_code};
use crate::first_login::{Entry, entry};
use crate::{
    Authority, Codes, EnrolmentRequest, KeyProof, PromptDialog, Refusal, Unproven, host_name, key_proof,
};
use qrtotp_account::{EnrolmentStatus, Label, Name, Record, TokenId};
use qrtotp_audit::PrimaryFactor;
use qrtotp_clock::Answered;
use qrtotp_messages::text;

impl Login<'_, '_> {
    /// Handles an answer that asks to enrol.
    pub(super) fn enrol_or_refuse(
        &mut self,
        account: Option<&(Name, u32)>,
        factor: Factor<'_>,
        answered: Answered,
    ) -> Result<Box<Ending>, Box<Ending>> {
        self.same_user()?;
        self.enrol(account, factor)
            .map_err(|why| Ending::unproven(why).at_fixed_time(answered, Last::NotEnrolledHere))
    }

    /// Enrols a first device. An error: the dialogue did not begin.
    pub(super) fn enrol(
        &mut self,
        account: Option<&(Name, u32)>,
        factor: Factor<'_>,
    ) -> Result<Box<Ending>, Unproven> {
        let (name, uid) = account.ok_or(Unproven::because(self.ruling.nobody.reason()))?;
        let record = self.ctx.store.load(name).map_err(|error| self.unreadable(&error))?;
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
        let now = self.ctx.now();
        match record {
            Some(record) if record.uid != uid => return Err(Unproven::because(Refusal::UidChanged.reason())),
            Some(record) if record.enrolment_status() == EnrolmentStatus::Enrolled => {
                return Err(Unproven::because(Refusal::Malformed.reason()));
            }
            _ => {}
        }
        if let Factor::TokenCode(_) = factor {
            let token = record.and_then(|record| record.token.as_ref());
            let token = token.filter(|token| token.binding.is_some());
            let token = token.ok_or(Unproven::because(Refusal::Malformed.reason()))?;
            let ended = token.clone().refuse_ended(now);
            return ended.map(|()| Some(token.id)).map_err(|why| Unproven::because(why.as_str()));
        }
        match entry(self.ctx.config, record, now) {
            Entry::Enroll => Ok(None),
            Entry::Deny(reason) => Err(Unproven::because(reason)),
            // Reached only if midnight passed during this login.
            Entry::Allow { .. } => Err(Unproven::because("grace_over")),
            Entry::Refuse(refusal) => {
                let revoked =
                    record.is_some_and(|record| record.enrolment_status() == EnrolmentStatus::Revoked);
                let detail = if revoked { "all devices of the account were revoked" } else { "" };
                Err(Unproven { reason: refusal.as_str(), detail: detail.into() })
            }
        }
    }

    /// Whether users may enrol at this PAM service.
    fn serves_enrolment(&self) -> Result<(), Unproven> {
        let service = &self.ctx.subject.service;
        if self.ctx.config.enroll.services.iter().any(|known| known == service) {
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
                self.ctx.subject.with = PrimaryFactor::Password;
                Ok(Authority::PrimaryFactor)
            }
            (Factor::None, Some(info)) => {
                self.ctx.subject.with = PrimaryFactor::PublicKey;
                match key_proof(self.ctx.config, record, &self.ctx.subject.service, &info, self.ctx.now()) {
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
        try_token_code(&mut self.ctx, name, id, typed, |_| {}).map_err(|error| {
            let detail = if error.is_refusal() { String::new() } else { error.to_string() };
            Unproven { reason: error.reason(), detail }
        })
    }

    fn enrolment_dialogue(&mut self, name: &Name, uid: u32, authority: Authority) -> Box<Ending> {
        let (label, host) = (Label::default(), &host_name());
        let contact = self.ctx.config.brand.contact.as_deref();
        let mut dialog = PromptDialog::new(self.host, host, contact, &self.ctx.subject.tty);
        let request = EnrolmentRequest { name, uid, label: &label, authority, host };
        match enroll(&mut self.ctx, &mut dialog, request) {
            Ok(enrolled) => {
                Ending::accepted("enrolled", enrolled.credential, label).showing(match enrolled.codes {
                    Codes::Lost => text::ENROLLED_CODES_LOST,
                    Codes::Kept | Codes::Unchanged => text::ENROLLED,
                })
            }
            Err(error) if error.is_refusal() => Ending::denied(error.reason(), "").showing(error.message()),
            Err(error) => Ending::broken(error.reason(), ""),
        }
    }

    /// After a right code: hands over owed recovery codes if the primary factor is proven as well. Otherwise
    /// they stay owed.
    pub(super) fn hand_over_owed_codes(&mut self, name: &Name, factor: Factor<'_>) {
        let proven = self.ctx.store.load(name).map_err(|error| self.unreadable(&error)).and_then(|account| {
            self.prove(name, account.as_ref().map(|account| &account.record), factor)?;
            self.host.would_let_in().map(|()| account)
        });
        let account = match proven {
            Ok(Some(account)) => account,
            Ok(None) => return,
            Err(why) => {
                let line = format!("recovery codes stay owed: {} {}", why.reason, why.detail);
                return self.ctx.audit.debug(&line);
            }
        };
        let contact = self.ctx.config.brand.contact.as_deref();
        let dialog = PromptDialog::new(self.host, &host_name(), contact, &self.ctx.subject.tty);
        hand_over(&mut self.ctx, Ok(account), &mut dialog.with_lead(text::CODES_WERE_LOST));
    }
}
