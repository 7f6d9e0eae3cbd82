//! Administration of an account: revoke, unlock, tokens, recovery codes. Each change is one update and one
//! event.

use super::Ctx;
use super::ctx::update_chained;
use super::enroll::EnrollError;
use qrtotp_account::{
    Binding, CredentialId, EnrolmentStatus, KeyFingerprint, Label, Name, Record, RecordId, RecoveryCode,
    RecoverySet, State, Token, TokenCode, TokenId, TokenRefusal, TokenState,
};
use qrtotp_audit::{ChainedLines, Event, Kind, Subject};
use qrtotp_messages::{Message, text};
use qrtotp_otp::random_bytes;
use qrtotp_store::{Account, PrimaryFailures, StoreError, StoreExt};
use qrtotp_values::ConfigDuration;
use qrtotp_values::UnixTime;
use qrtotp_values::text::utc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why nothing was changed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// No record.
    #[error("{}", text::not_enrolled(.0))]
    NotEnrolled(Name),
    /// No record, and the request was not to enrol a device.
    #[error("{0} has no record; `qrtotp list` shows the accounts that have one")]
    NoRecord(Name),
    /// A record is never replaced by another one.
    #[error("{0} has a record already; `qrtotp account remove {0}` deletes it permanently")]
    NameTaken(Name),
    /// The record belongs to an existing user.
    #[error(
        "{0} is still a user of this host (uid {1}), and the record is theirs; rename the user first, for example: usermod -l {2} {0}"
    )]
    StillUser(Name, u32, Name),
    /// No such credential.
    #[error("{}", text::no_such_device(.0, .1))]
    NoCredential(Name, CredentialId),
    /// An empty label.
    #[error("{}", text::EMPTY_LABEL)]
    NoLabel,
    /// The request names no device, and there are several.
    #[error("{}", text::several_devices(.0, .1))]
    SeveralDevices(Name, String),
    /// The ssh key is registered.
    #[error("this key is registered for {0} already, as {1}; nothing was changed")]
    KeyKnown(Name, CredentialId),
    /// More ssh keys than an account can have.
    #[error("{0} has {max} ssh keys; revoke one first with `qrtotp revoke {0} --credential ID`", max = Record::MAX_SSH_KEYS)]
    NoRoomForKey(Name),
    /// No token.
    #[error("{0} has no enrolment token; `qrtotp token issue {0}` issues one")]
    NoToken(Name),
    /// The account has devices already.
    #[error("{0} has devices already; nothing was changed")]
    HasDevices(Name),
    /// A key from elsewhere may be that of a device revoked earlier, whose key was not kept.
    #[error("a device of {0} was revoked on {at}, and this may be its key; nothing was changed", at = utc(*.1))]
    WasRevoked(Name, UnixTime),
    /// More devices than allowed, counting those before it in the same import.
    #[error(
        "{before} before it in the file and {enrolled} enrolled are as many devices as allowed; revoke one first, or leave one out"
    )]
    NoRoom {
        /// Devices that the account has.
        enrolled: usize,
        /// Those that the import would add first.
        before: usize,
    },
    /// The same key twice in one import.
    #[error("an earlier line has the same key")]
    GivenTwice,
    /// There is a live token already.
    #[error("{0} has a live enrolment token, {1}; revoke it first with `qrtotp token revoke {0}`")]
    TokenLive(Name, TokenId),
    /// New recovery codes were shown, but not confirmed or not kept.
    #[error("{}", text::NEW_CODES_NOT_CONFIRMED)]
    CodesNotConfirmed,
    /// More ssh keys than a token is bound to.
    #[error("{0} keys are more than the {max} that a token can be bound to; choose some with --key SHA256:…", max = Token::MAX_KEYS)]
    TooManyKeys(usize),
    /// The token has ended.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// The record belongs to a deleted user of the same name.
    #[error("{}", text::former_user_of(.0, .1))]
    UidChanged(Name, u32),
    /// Making a credential failed.
    #[error(transparent)]
    Enroll(#[from] EnrollError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random numbers, or no memory to hash with.
    #[error("{0}")]
    Generate(String),
}

impl AdminError {
    /// For the user. What only root meets is in English.
    #[must_use]
    pub fn message(&self) -> Message {
        match self {
            Self::NotEnrolled(name) => text::not_enrolled(name),
            Self::NoCredential(name, id) => text::no_such_device(name, id),
            Self::NoLabel => text::EMPTY_LABEL,
            Self::SeveralDevices(name, ids) => text::several_devices(name, ids),
            Self::CodesNotConfirmed => text::NEW_CODES_NOT_CONFIRMED,
            Self::UidChanged(name, uid) => text::former_user_of(name, uid),
            Self::Token(refusal) => refusal.message(),
            Self::Enroll(error) => error.message(),
            root_only => Message::verbatim(root_only.to_string()),
        }
    }

    /// True if the request was refused, false if something is broken.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Enroll(error) => error.is_refusal(),
            Self::Store(_) | Self::Generate(_) => false,
            _ => true,
        }
    }
}

/// A selection of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This one.
    One(CredentialId),
    /// All of them.
    All,
}

pub(super) fn generate_failed(error: impl std::fmt::Display) -> AdminError {
    AdminError::Generate(error.to_string())
}

/// Revokes at once: the next login sees it.
///
/// # Errors
/// No such account or credential; the store.
pub fn revoke(
    ctx: &mut Ctx<'_>,
    name: &Name,
    which: Selection,
) -> Result<Vec<(CredentialId, Label)>, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (gone, lines) = update_chained(ctx.store, name, |account, lines| {
        let account = account.as_mut().ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
        let record = &account.record;
        match which {
            Selection::One(id) if !record.has_credential(id) => {
                return Err(AdminError::NoCredential(name.clone(), id));
            }
            Selection::All if record.enrolment_status() == EnrolmentStatus::Unenrolled => {
                return Err(AdminError::NotEnrolled(name.clone()));
            }
            Selection::One(_) | Selection::All => {}
        }
        let is_meant = |id| which == Selection::All || which == Selection::One(id);
        Ok::<_, AdminError>(revoke_from(account, is_meant, now, subject, lines))
    })?;
    lines.emit(ctx.audit);
    Ok(gone)
}

/// Revokes these devices, and with the last one the account and its token.
fn revoke_from(
    Account { record, state }: &mut Account,
    is_meant: impl Fn(CredentialId) -> bool,
    now: UnixTime,
    subject: &Subject,
    lines: &mut ChainedLines,
) -> Vec<(CredentialId, Label)> {
    let token = record.token.as_ref().filter(|token| token.is_live(now)).map(|token| token.id);
    let gone = record.revoke(state, is_meant, now);
    let token = token.filter(|_| record.enrolment_status() == EnrolmentStatus::Revoked);
    if record.enrolment_status() == EnrolmentStatus::Revoked {
        state.throttle.forget_places();
    }
    for (id, label) in &gone {
        let event = Event::new(Kind::CredentialRevoked, subject).credential(*id, label.as_str());
        lines.add(&event, now, state);
    }
    if let Some(id) = token {
        let event = Event::new(Kind::TokenRevoked, subject).token(id).reason("account_revoked");
        lines.add(&event, now, state);
    }
    gone
}

/// Clears the failures, also of passwords at the broker, and a demand for two codes. Returns the number of
/// failures.
///
/// # Errors
/// No such account; the store.
pub fn unlock(ctx: &mut Ctx<'_>, passwords: &dyn PrimaryFailures, name: &Name) -> Result<u32, AdminError> {
    let (mut primary, now, subject) = (0, ctx.now(), &ctx.subject);
    passwords.update_primary(name, &mut |count| primary = std::mem::take(count).failures)?;
    let lifted = |failures| Event::new(Kind::ThrottleLifted, subject).reason("unlock").failures(failures);
    let mut lines = ChainedLines::default();
    let unlocked = ctx.store.update_state(name, |_, state| {
        lines.clear();
        let failures = state.throttle.failures().saturating_add(primary);
        state.throttle.lift();
        state.signs.one_code_is_enough();
        lines.add(&lifted(failures), now, state);
        failures
    })?;
    match unlocked {
        None if primary == 0 => return Err(AdminError::NotEnrolled(name.clone())),
        None => lifted(primary).emit(ctx.audit),
        Some(_) => lines.emit(ctx.audit),
    }
    Ok(unlocked.unwrap_or(primary))
}

/// Replaces the recovery codes; the old ones are no longer valid.
///
/// # Errors
/// The account has no device; the store; no random numbers.
pub fn regenerate_recovery(ctx: &mut Ctx<'_>, name: &Name) -> Result<Vec<Zeroizing<String>>, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (set, codes) = RecoverySet::generate(now).map_err(generate_failed)?;
    let left = u32::try_from(codes.len()).unwrap_or(0);
    let ((), lines) = update_chained(ctx.store, name, |account, lines| {
        let Account { record, state } = account
            .as_mut()
            .filter(|account| account.record.enrolment_status() == EnrolmentStatus::Enrolled)
            .ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
        record.recovery = Some(set.clone());
        record.recovery_due = false;
        lines.add(&Event::new(Kind::RecoveryRegenerated, subject).left(left), now, state);
        Ok::<(), AdminError>(())
    })?;
    lines.emit(ctx.audit);
    Ok(codes.iter().map(RecoveryCode::display).collect())
}

/// The recipient of a token.
pub struct Issue<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// How long the token lives.
    pub lifetime: ConfigDuration,
    /// How often its QR code may be shown.
    pub max_shows: u8,
    /// Adds a one-time code that is valid this long.
    pub code: Option<ConfigDuration>,
    /// The ssh keys that prove the primary factor.
    pub keys: &'a [KeyFingerprint],
}

/// A new token, and its code if one is asked for.
fn generate_token(
    issue: &Issue<'_>,
    now: UnixTime,
    subject: &Subject,
) -> Result<(Token, Option<TokenCode>), AdminError> {
    if issue.keys.len() > Token::MAX_KEYS {
        return Err(AdminError::TooManyKeys(issue.keys.len()));
    }
    // No code outlives its token.
    let bound = issue.code.map(|code| Binding::generate(now + code.min(issue.lifetime).as_seconds()));
    let (binding, code) = bound.transpose().map_err(generate_failed)?.unzip();
    let token = Token {
        id: TokenId::from_random(random_bytes().map_err(generate_failed)?),
        issued: now,
        expires: now + issue.lifetime.as_seconds(),
        shows: 0,
        max_shows: issue.max_shows,
        state: TokenState::Issued,
        issued_by: Some(subject.by.clone()),
        binding,
        keys: issue.keys.to_vec(),
    };
    Ok((token, code))
}

/// Revokes these devices and, if none is left, issues a token with its code in the same update: an account
/// that was reissued has no device, so a second run leaves it alone. Returns how many devices are gone.
///
/// # Errors
/// The account has none of these devices any more; the record is another uid's; the store.
pub fn reissue(
    ctx: &mut Ctx<'_>,
    issue: &Issue<'_>,
    devices: &[CredentialId],
) -> Result<(usize, Option<(Token, TokenCode)>), AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (token, code) = generate_token(issue, now, subject)?;
    let name = issue.name;
    let ((gone, is_issued), lines) = update_chained(ctx.store, name, |account, lines| {
        let account = account.as_mut().ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
        if account.record.uid != issue.uid {
            return Err(AdminError::UidChanged(name.clone(), account.record.uid));
        }
        let gone = revoke_from(account, |id| devices.contains(&id), now, subject, lines).len();
        if gone == 0 {
            return Err(AdminError::NotEnrolled(name.clone()));
        }
        let is_last = account.record.enrolment_status() == EnrolmentStatus::Revoked;
        if is_last {
            account.record.token = Some(token.clone());
            let issued = Event::new(Kind::TokenIssued, subject).reason("with_code").token(token.id);
            lines.add(&issued, now, &mut account.state);
        }
        Ok((gone, is_last))
    })?;
    lines.emit(ctx.audit);
    Ok((gone, code.filter(|_| is_issued).map(|code| (token, code))))
}

/// Makes a record without devices, so that the account has a chain of audit lines.
///
/// # Errors
/// There is a record; the store.
pub fn add_account(ctx: &mut Ctx<'_>, name: &Name, uid: u32) -> Result<(), AdminError> {
    let id = RecordId(random_bytes().map_err(generate_failed)?);
    ctx.store.update_account(name, |slot| {
        if slot.is_some() {
            return Err(AdminError::NameTaken(name.clone()));
        }
        *slot = Some(Account { record: Record::new(name.clone(), uid, id), state: State::new(id) });
        Ok(())
    })?
}

/// Issues an enrolment token and, on request, its one-time code, which is shown once and reaches the user
/// over another channel.
///
/// # Errors
/// A live one is there already; the record is another uid's; too many keys; the store.
pub fn issue_token(ctx: &mut Ctx<'_>, issue: &Issue<'_>) -> Result<(Token, Option<TokenCode>), AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (token, code) = generate_token(issue, now, subject)?;
    let id = RecordId(random_bytes().map_err(generate_failed)?);
    let name = issue.name;
    let with = if code.is_some() { "with_code" } else { "" };
    let keys = u32::try_from(token.keys.len()).unwrap_or(0);
    let ((), lines) = update_chained(ctx.store, name, |slot, lines| {
        let account = slot.get_or_insert_with(|| Account {
            record: Record::new(name.clone(), issue.uid, id),
            state: State::new(id),
        });
        let Account { record, state } = account;
        if record.uid != issue.uid {
            return Err(AdminError::UidChanged(name.clone(), record.uid));
        }
        if let Some(known) = &record.token {
            // A token whose code is no longer valid can be replaced, unless its QR code is on a screen
            // already.
            let stuck = known.binding.as_ref().is_some_and(|binding| binding.check(now).is_err());
            if known.is_live(now)
                && known.issued_by.is_some()
                && !(stuck && known.state == TokenState::Issued)
            {
                return Err(AdminError::TokenLive(name.clone(), known.id));
            }
            if matches!(known.state, TokenState::Issued | TokenState::Shown(_)) {
                lines.add(&Event::new(Kind::TokenExpired, subject).token(known.id), now, state);
            }
        }
        record.token = Some(token.clone());
        record.pending = None;
        let issued = Event::new(Kind::TokenIssued, subject).reason(with).token(token.id).keys(keys);
        lines.add(&issued, now, state);
        Ok::<(), AdminError>(())
    })?;
    lines.emit(ctx.audit);
    Ok((token, code))
}

/// Revokes an enrolment token.
///
/// # Errors
/// There is no token, or it has ended; the store.
pub fn revoke_token(ctx: &mut Ctx<'_>, name: &Name) -> Result<TokenId, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (id, lines) = update_chained(ctx.store, name, |account, lines| {
        let missing = || AdminError::NoToken(name.clone());
        let Account { record, state } = account.as_mut().ok_or_else(missing)?;
        let token = record.token.as_mut().ok_or_else(missing)?;
        token.revoke(now)?;
        let id = token.id;
        record.pending = None;
        lines.add(&Event::new(Kind::TokenRevoked, subject).token(id), now, state);
        Ok::<TokenId, AdminError>(id)
    })?;
    lines.emit(ctx.audit);
    Ok(id)
}
