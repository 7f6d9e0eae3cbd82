//! A new credential and the token that it is shown under: what the account's record gets before anything is
//! on a screen.

use super::authorize::{may_begin, may_show};
use super::commit::{AccountSnapshot, record_id};
use super::draft::Draft;
use super::error::EnrollError;
use super::request::{Authority, Enrolment, EnrolmentRequest, ExistingCode, Progress};
use crate::ctx::update_chained;
use qrtotp_account::{
    Credential, CredentialId, Origin, Pending, Record, RecordId, State, Token, TokenId, TokenState,
};
use qrtotp_audit::{ChainedLines, Event, Kind, Subject};
use qrtotp_otp::{Params, Secret, random_bytes};
use qrtotp_policy::Config;
use qrtotp_store::Account;
use qrtotp_values::UnixTime;

/// A new credential, before it is known whether an issued token shows it or one of its own.
struct Fresh<'f> {
    request: &'f EnrolmentRequest<'f>,
    progress: &'f Progress,
    config: &'f Config,
    subject: &'f Subject,
    now: UnixTime,
    record: RecordId,
    credential: Credential,
    own_token: Token,
}

/// A show, as the account's record counts it.
struct Show {
    token: TokenId,
    shows: u8,
    /// The token itself, if it is in no record.
    own_token: Option<Token>,
    seen: AccountSnapshot,
}

impl Enrolment<'_, '_> {
    /// A fresh secret under a token. The show is counted, durably, before anything is shown.
    pub(super) fn draw(&mut self) -> Result<Draft, EnrollError> {
        let now = self.ctx.now();
        let (record, _) = record_id(self.ctx.store, self.request.name)?;
        let (credential, secret) = self.generate(record, now)?;
        let fresh = Fresh {
            own_token: self.own_token(now)?,
            request: &self.request,
            progress: &self.progress,
            config: self.ctx.config,
            subject: &self.ctx.subject,
            now,
            record,
            credential,
        };
        let (show, lines) =
            update_chained(self.ctx.store, self.request.name, |slot, lines| fresh.show(slot, lines))?;
        if show.own_token.is_some() {
            fresh.each_event(show.token, |event| event.emit(self.ctx.audit)); // nothing is kept of it
        } else {
            lines.emit(self.ctx.audit);
        }
        let (kept, Credential { id, label, params, .. }) = (fresh.is_kept(), fresh.credential);
        self.progress.permitted = show.seen.clone();
        Ok(Draft {
            secret,
            id,
            label,
            params,
            record,
            seen: show.seen,
            token: show.token,
            shows: show.shows,
            own_token: show.own_token,
            kept,
            resumed: false,
            shown: now,
        })
    }

    fn generate(&self, record: RecordId, now: UnixTime) -> Result<(Credential, Secret), EnrollError> {
        let (params, secret) = (Params::default(), Secret::generate()?);
        let id = CredentialId::from_random(random_bytes()?);
        let record = Record::new(self.request.name.clone(), self.request.uid, record);
        let sealed = self.ctx.store.key().seal_secret(&record, id, params, &secret)?;
        let label = self.request.label.clone();
        let origin = Origin::Enrolled;
        Ok((Credential { id, label, params, created: now, origin, window: None, sealed }, secret))
    }

    /// A token for an enrolment without an issued one. Already shown once.
    fn own_token(&self, now: UnixTime) -> Result<Token, EnrollError> {
        Ok(Token {
            id: TokenId::from_random(random_bytes()?),
            issued: now,
            expires: now + self.ctx.config.enroll.time_limit.as_seconds(),
            shows: 1,
            max_shows: self.ctx.config.enroll.max_shows,
            state: TokenState::Shown(now),
            issued_by: self.is_admin().then(|| self.ctx.subject.by.clone()),
            binding: None,
            keys: Vec::new(),
        })
    }
}

impl Fresh<'_> {
    /// Whether the record keeps it as pending. Root's drafts live in memory only.
    fn is_kept(&self) -> bool {
        !matches!(self.request.authority, Authority::Admin(_))
    }

    fn pending(&self, token: TokenId) -> Option<Pending> {
        self.is_kept().then(|| Pending { credential: self.credential.clone(), token, guesses: 0 })
    }

    fn each_event(&self, token: TokenId, mut each: impl FnMut(&Event<'_>)) {
        if token == self.own_token.id {
            each(&Event::new(Kind::TokenIssued, self.subject).token(token));
        }
        each(&Event::new(Kind::TokenShown, self.subject).token(token));
        let skipped = self.request.authority == Authority::Admin(ExistingCode::Skipped)
            && self.progress.permitted.has_devices();
        let started = Event::new(Kind::EnrollmentStarted, self.subject).token(token);
        let started = started.reason(if skipped { "existing_code_skipped" } else { "" });
        each(&started.credential(self.credential.id, self.credential.label.as_str()));
    }

    /// Counts the show in the record, under the live token if there is one.
    fn show(&self, slot: &mut Option<Account>, lines: &mut ChainedLines) -> Result<Show, EnrollError> {
        let seen = slot.as_ref().map(AccountSnapshot::of).unwrap_or_default();
        let is_other = |account: &Account| account.record.id != self.record;
        if seen != self.progress.permitted || slot.as_ref().is_some_and(is_other) {
            return Err(EnrollError::Changed);
        }
        // Data of a former user of this name does not count; only root may replace it, at the end.
        let known = slot.as_mut().filter(|account| account.record.uid == self.request.uid);
        if let Some(account) = known
            && let Some(token) = account.record.token.as_mut().filter(|token| token.is_live(self.now))
        {
            if !may_show(self.request.authority, token, self.progress) {
                return Err(EnrollError::Changed);
            }
            token.show(self.now)?;
            let (token, shows) = (token.id, token.shows);
            return Ok(self.put(account, token, shows, lines));
        }
        let record = slot.as_ref().map(|account| &account.record);
        may_begin(self.request.authority, self.config, record, self.now)?;
        let (token, shows) = (self.own_token.id, self.own_token.shows);
        if !self.is_kept() {
            return Ok(Show { token, shows, own_token: Some(self.own_token.clone()), seen });
        }
        let EnrolmentRequest { name, uid, .. } = self.request;
        let account = slot.get_or_insert_with(|| Account {
            record: Record::new((*name).clone(), *uid, self.record),
            state: State::new(self.record),
        });
        if account.record.uid != *uid {
            return Err(EnrollError::UidChanged);
        }
        account.record.token = Some(self.own_token.clone());
        Ok(self.put(account, token, shows, lines))
    }

    /// Makes this the pending credential of `account`.
    fn put(&self, account: &mut Account, token: TokenId, shows: u8, lines: &mut ChainedLines) -> Show {
        account.record.pending = self.pending(token);
        self.each_event(token, |event| lines.add(event, self.now, &mut account.state));
        Show { token, shows, own_token: None, seen: AccountSnapshot::of(account) }
    }
}
