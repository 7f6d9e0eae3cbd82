//! Enrolment, in the order in which it happens. Nothing is kept before the first code was verified, but that a token's
//! QR code was shown: whoever stops half-way leaves the account as it was.

use super::given::Given;
use super::judge::{Judgement, Refusal, Rules, settle};
use super::{Dialog, Echo, NoAnswer};
use crate::account::{
    Credential, CredentialId, Label, Name, Origin, Record, RecordId, RecoverySet, State, Token, TokenId,
    TokenRefusal, TokenState,
};
use crate::audit::{AuditSink, Event, Kind, Subject};
use crate::clock::{Clock, UnixTime};
use crate::otp::{Code, KeyUri, Params, RandomError, Secret, Step, matching_step, random_bytes};
use crate::policy::Config;
use crate::store::{Account, SealError, Store, StoreError};
use thiserror::Error;
use zeroize::Zeroizing;

/// Wrong first codes that end an enrolment.
const TRIES: u32 = 3;

/// What is shown so that an app can take the secret.
pub struct Offer {
    /// Issuer, account and secret: the text of the QR code.
    pub uri: Zeroizing<String>,
    /// The secret in base32, in groups of four, for typing.
    pub key: Zeroizing<String>,
    /// Who the app will say the code is for.
    pub issuer: String,
    /// The account in the app.
    pub account: String,
    /// What the app must be told besides the key, where that is not the usual; some apps can't be told.
    pub unusual: Option<Params>,
}

/// The dialogue of an enrolment.
pub trait EnrollDialog: Dialog {
    /// Shows the offer. Called once an enrolment.
    ///
    /// # Errors
    /// It can't be shown here; the enrolment ends.
    fn offer(&mut self, offer: &Offer) -> Result<(), NoAnswer>;

    /// Shows the recovery codes, for the only time.
    fn recovery_codes(&mut self, codes: &[Zeroizing<String>]);
}

/// Whether an enrolled account must prove a device before another one is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingCode {
    /// A code of an enrolled device, or a recovery code.
    Required,
    /// Root said no; it is an event.
    Skipped,
}

/// Who enrols what.
pub struct Invitation<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// What the device is called.
    pub label: &'a Label,
    /// About adding a device.
    pub existing: ExistingCode,
    /// Who and where, for the log.
    pub subject: &'a Subject,
    /// Who the code is for.
    pub issuer: &'a str,
    /// Algorithm, digits, period.
    pub params: Params,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The new credential.
    pub credential: CredentialId,
}

/// Why an enrolment ended without a credential. The account is as it was.
#[derive(Debug, Error)]
pub enum EnrollError {
    /// The token says no.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// As many devices as allowed.
    #[error("{0} devices are enrolled already, as many as allowed; revoke one first")]
    TooManyDevices(usize),
    /// The code of an enrolled device was not right.
    #[error("that was no code of an enrolled device; nothing was changed")]
    NotProven(&'static str),
    /// Three wrong first codes.
    #[error("three wrong codes; nothing was changed. Check the clock of the phone and start again")]
    WrongCodes,
    /// The QR code waited too long.
    #[error("the QR code waited for too long and is worth nothing now; start again")]
    TimeUp,
    /// No answer, or no way to show a QR code.
    #[error("the dialogue ended; nothing was changed")]
    NoAnswer,
    /// Somebody else changed the account meanwhile.
    #[error("the account was changed by somebody else meanwhile; start again")]
    Changed,
    /// The secret is enrolled already.
    #[error("this secret is enrolled already as {0}")]
    Known(CredentialId),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Sealing or hashing failed.
    #[error("{0}")]
    Seal(String),
}

impl EnrollError {
    /// True where a person was refused, not where something is broken.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::Random(_) | Self::Seal(_))
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Token(refusal) => refusal.as_str(),
            Self::TooManyDevices(_) => "too_many_devices",
            Self::NotProven(reason) => reason,
            Self::WrongCodes => "wrong_code",
            Self::TimeUp => "time_up",
            Self::NoAnswer => "no_answer",
            Self::Changed => "changed_meanwhile",
            Self::Known(_) => "secret_known",
            Self::Store(error) => error.reason(),
            Self::Random(_) => "no_random_numbers",
            Self::Seal(_) => "seal",
        }
    }
}

impl From<SealError> for EnrollError {
    fn from(error: SealError) -> Self {
        Self::Seal(error.to_string())
    }
}

/// Enrols one device.
///
/// # Errors
/// See [`EnrollError`]; in every case the account is as it was, but for a token's count of shows.
pub fn enroll<S: Store>(
    invitation: &Invitation<'_>,
    config: &Config,
    store: &S,
    dialog: &mut impl EnrollDialog,
    clock: &impl Clock,
    audit: &mut impl AuditSink,
) -> Result<Enrolled, EnrollError> {
    let ended = |error: EnrollError, kind, audit: &mut _| {
        Event::new(kind, invitation.subject).reason(error.reason()).emit(audit);
        error
    };
    prove_existing(invitation, config, store, dialog, clock, audit)
        .map_err(|error| ended(error, Kind::EnrollmentRefused, audit))?;
    let draft = Draft::begin(invitation, config, store, clock, audit)
        .map_err(|error| ended(error, Kind::EnrollmentRefused, audit))?;
    draft.confirm_and_keep(invitation, config, store, dialog, clock, audit).map_err(|error| {
        let kind = match error {
            EnrollError::TimeUp => Kind::EnrollmentExpired,
            _ => Kind::EnrollmentAbandoned,
        };
        ended(error, kind, audit)
    })
}

/// Before a device is added, one that is there must be proven.
fn prove_existing<S: Store>(
    invitation: &Invitation<'_>,
    config: &Config,
    store: &S,
    dialog: &mut impl EnrollDialog,
    clock: &impl Clock,
    audit: &mut impl AuditSink,
) -> Result<(), EnrollError> {
    let Some(account) = store.load(invitation.name)? else { return Ok(()) };
    let devices = account.record.credentials.len();
    if devices == 0 || account.record.uid != invitation.uid {
        return Ok(());
    }
    if devices >= usize::from(config.enroll.max_devices) {
        return Err(EnrollError::TooManyDevices(devices));
    }
    if invitation.existing == ExistingCode::Skipped {
        return Ok(());
    }
    let mut refusal = Refusal::Malformed;
    for _ in 0..TRIES {
        let typed = dialog
            .ask("Code of a device that is enrolled already (or a recovery code): ", Echo::On)
            .map_err(|NoAnswer| EnrollError::NoAnswer)?;
        let rules = Rules {
            key: store.key(),
            uid: invitation.uid,
            now: clock.now(),
            window: config.verify.window(),
            throttle: config.throttle.rules(),
        };
        let judgement = settle(store, invitation.name, &rules, &Given::code(&typed))?;
        judgement.report(Kind::DeviceProof, invitation.subject, &rules.throttle, audit);
        match judgement {
            Judgement::Accepted { .. } => return Ok(()),
            Judgement::Refused { why, .. } => refusal = why,
        }
        dialog.show("That was not right.");
    }
    Err(EnrollError::NotProven(refusal.reason()))
}

/// A credential that nobody confirmed yet. It lives in memory only.
struct Draft {
    secret: Secret,
    id: CredentialId,
    record: RecordId,
    seen: Seen,
    token: TokenId,
    /// The number of this show; a later one makes this draft worthless.
    shows: u8,
    /// The token itself, where it was not issued beforehand.
    own_token: Option<Token>,
    shown: UnixTime,
}

impl Draft {
    fn begin<S: Store>(
        invitation: &Invitation<'_>,
        config: &Config,
        store: &S,
        clock: &impl Clock,
        audit: &mut impl AuditSink,
    ) -> Result<Self, EnrollError> {
        let now = clock.now();
        let known = store.load(invitation.name)?.filter(|account| account.record.uid == invitation.uid);
        let devices = known.as_ref().map_or(0, |account| account.record.credentials.len());
        let (record, seen) = record_id(store, invitation.name)?;
        let secret = Secret::generate()?;
        let id = CredentialId::from_random(random_bytes()?);
        let own = Token {
            id: TokenId::from_random(random_bytes()?),
            issued: now,
            expires: now + config.enroll.time_limit.as_seconds(),
            shows: 1,
            max_shows: 1,
            state: TokenState::Shown(now),
            issued_by: invitation.subject.by.clone(),
        };
        let shown = store.update_account(invitation.name, |account| {
            let account = account.as_mut().filter(|account| account.record.uid == invitation.uid)?;
            let token = account.record.token.as_mut().filter(|token| token.is_live(now))?;
            Some(token.show(now).map(|()| (token.id, token.shows)))
        })?;
        let (token, shows, own_token) = match shown.transpose()? {
            Some((id, shows)) => (id, shows, None),
            None => (own.id, own.shows, Some(own)),
        };
        if own_token.is_some() {
            Event::new(Kind::TokenIssued, invitation.subject).token(token).emit(audit);
        }
        Event::new(Kind::TokenShown, invitation.subject).token(token).emit(audit);
        let existing = match invitation.existing {
            ExistingCode::Skipped if devices > 0 => "existing_code_skipped",
            ExistingCode::Skipped | ExistingCode::Required => "",
        };
        Event::new(Kind::EnrollmentStarted, invitation.subject)
            .reason(existing)
            .credential(id, invitation.label.as_str())
            .token(token)
            .emit(audit);
        Ok(Self { secret, id, record, seen, token, shows, own_token, shown: now })
    }

    fn confirm_and_keep<S: Store>(
        self,
        invitation: &Invitation<'_>,
        config: &Config,
        store: &S,
        dialog: &mut impl EnrollDialog,
        clock: &impl Clock,
        audit: &mut impl AuditSink,
    ) -> Result<Enrolled, EnrollError> {
        let step = self.confirm(invitation, config, dialog, clock)?;
        let now = clock.now();
        let (set, codes) =
            RecoverySet::generate(now).map_err(|error| EnrollError::Seal(error.to_string()))?;
        let addition = Addition {
            id: self.id,
            record: self.record,
            seen: &self.seen,
            name: invitation.name,
            uid: invitation.uid,
            label: invitation.label,
            params: invitation.params,
            origin: Origin::Enrolled,
            secret: &self.secret,
            used: Some(step),
            recovery: Some(&set),
            max_devices: usize::from(config.enroll.max_devices),
            now,
        };
        let new_codes = addition.keep(store, |record| {
            match (&mut record.token, &self.own_token) {
                (Some(token), _) if token.id == self.token => {
                    token.consume(now)?;
                    if token.shows != self.shows {
                        return Err(EnrollError::Token(TokenRefusal::ShownAgain));
                    }
                }
                // An admin issued a token meanwhile: that is the one to use.
                (Some(token), Some(_)) if token.is_live(now) => return Err(EnrollError::Changed),
                (_, Some(own)) => {
                    let mut own = own.clone();
                    own.consume(now)?;
                    record.token = Some(own);
                }
                (_, None) => return Err(EnrollError::Token(TokenRefusal::Revoked)),
            }
            Ok(())
        })?;
        Event::new(Kind::TokenConsumed, invitation.subject).token(self.token).emit(audit);
        Event::new(Kind::EnrollmentConfirmed, invitation.subject)
            .credential(self.id, invitation.label.as_str())
            .token(self.token)
            .emit(audit);
        if new_codes {
            let codes: Vec<_> = codes.iter().map(crate::account::RecoveryCode::display).collect();
            dialog.recovery_codes(&codes);
        }
        Ok(Enrolled { credential: self.id })
    }

    /// Shows the offer and asks for a first code, at most three times.
    fn confirm(
        &self,
        invitation: &Invitation<'_>,
        config: &Config,
        dialog: &mut impl EnrollDialog,
        clock: &impl Clock,
    ) -> Result<Step, EnrollError> {
        let params = invitation.params;
        let uri = KeyUri {
            issuer: invitation.issuer.to_owned(),
            account: invitation.name.as_str().to_owned(),
            secret: Secret::from_bytes(self.secret.as_bytes(), crate::otp::Strength::Normal)
                .map_err(|error| EnrollError::Seal(error.to_string()))?,
            params,
        };
        let offer = Offer {
            uri: uri.to_uri(),
            key: self.secret.to_groups(),
            issuer: uri.issuer.clone(),
            account: uri.account.clone(),
            unusual: (!params.is_default()).then_some(params),
        };
        dialog.offer(&offer).map_err(|NoAnswer| EnrollError::NoAnswer)?;
        for left in (0..TRIES).rev() {
            let typed = dialog.ask("Code: ", Echo::On).map_err(|NoAnswer| EnrollError::NoAnswer)?;
            let now = clock.now();
            if now.saturating_sub(self.shown) >= config.enroll.time_limit.as_seconds() || now < self.shown {
                return Err(EnrollError::TimeUp);
            }
            let code = Code::parse(&typed);
            let step = params.step_at(now);
            let matched = code
                .and_then(|code| matching_step(&self.secret, params, &code, step, config.verify.window()));
            match matched {
                Some(step) => return Ok(step),
                None if left > 0 => {
                    dialog.show("That was not the code. Wait for the next one and type that.")
                }
                None => {}
            }
        }
        Err(EnrollError::WrongCodes)
    }
}

/// What must not change between the beginning and the end of an enrolment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    uid: u32,
    revoked: Option<UnixTime>,
    credentials: Vec<CredentialId>,
}

impl Seen {
    fn of(account: &Account) -> Self {
        let record = &account.record;
        let credentials = record.credentials.iter().map(|credential| credential.id).collect();
        Self { uid: record.uid, revoked: record.revoked, credentials }
    }
}

/// The id of the account's record, or of the one that is to be made, and what is in it now.
pub(super) fn record_id<S: Store>(store: &S, name: &Name) -> Result<(RecordId, Seen), EnrollError> {
    match store.load(name)? {
        Some(account) => Ok((account.record.id, Seen::of(&account))),
        None => Ok((RecordId(random_bytes()?), Seen::default())),
    }
}

/// A credential that is to become part of an account.
pub(super) struct Addition<'a> {
    pub id: CredentialId,
    pub record: RecordId,
    /// What the account was when this began: a device proven or revoked meanwhile must not be passed over.
    pub seen: &'a Seen,
    pub name: &'a Name,
    pub uid: u32,
    pub label: &'a Label,
    pub params: Params,
    pub origin: Origin,
    pub secret: &'a Secret,
    /// The step of the code that confirmed it: burnt.
    pub used: Option<Step>,
    /// For an account that has none.
    pub recovery: Option<&'a RecoverySet>,
    pub max_devices: usize,
    pub now: UnixTime,
}

impl Addition<'_> {
    /// Keeps it, and tells whether `recovery` came into the account. `also` changes the record in the same write.
    pub(super) fn keep<S: Store>(
        &self,
        store: &S,
        also: impl Fn(&mut Record) -> Result<(), EnrollError>,
    ) -> Result<bool, EnrollError> {
        let key = store.key();
        let fresh = Record::new(self.name.clone(), self.uid, self.record);
        let sealed = key.seal_secret(&fresh, self.id, self.params, self.secret)?;
        store.update_account(self.name, |slot| {
            if slot.as_ref().is_some_and(|account| account.record.id != self.record) {
                return Err(EnrollError::Changed);
            }
            // A record of another uid belonged to somebody who is gone: what is in it goes, too.
            let mut new = match slot.as_ref() {
                Some(account) if account.record.uid == self.uid => account.clone(),
                _ => Account { record: fresh.clone(), state: State::new(self.record) },
            };
            let record = &mut new.record;
            if record.credential(self.id).is_some() {
                return Err(EnrollError::Changed);
            }
            if record.credentials.len() >= self.max_devices {
                return Err(EnrollError::TooManyDevices(record.credentials.len()));
            }
            for known in &record.credentials {
                if key.open_secret(record, known)?.same_key(self.secret) {
                    return Err(EnrollError::Known(known.id));
                }
            }
            also(record)?;
            if slot.as_ref().map(Seen::of).unwrap_or_default() != *self.seen {
                return Err(EnrollError::Changed);
            }
            record.revoked = None;
            record.credentials.push(Credential {
                id: self.id,
                label: self.label.clone(),
                params: self.params,
                created: self.now,
                origin: self.origin,
                sealed: sealed.clone(),
            });
            let new_codes = record.recovery.is_none() && self.recovery.is_some();
            if new_codes {
                record.recovery = self.recovery.cloned();
            }
            new.state.raise(self.id, self.used.unwrap_or(0), None);
            new.state.throttle.lift();
            *slot = Some(new);
            Ok(new_codes)
        })?
    }
}
