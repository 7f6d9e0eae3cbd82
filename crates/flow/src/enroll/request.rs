//! Who enrols what, with everything that an enrolment needs, and how far it has come.

use super::commit::AccountSnapshot;
use super::recovery::Codes;
use qrtotp_account::{CredentialId, Label, Name, TokenId};
use qrtotp_audit::Subject;
use qrtotp_otp::Params;
use qrtotp_policy::Config;

/// Wrong first codes that end an enrolment.
pub(super) const TRIES: u32 = 3;

/// Whether an enrolled account must prove a device before another one is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingCode {
    /// A code of an enrolled device, or a recovery code.
    Required,
    /// Root said no; it is an event.
    Skipped,
}

/// Who says that the account may get a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Root. What was shown is gone when the dialogue ends.
    Admin(ExistingCode),
    /// Somebody who gave the primary factor: `first_login` decides. Can be resumed after the connection
    /// dropped.
    PrimaryFactor,
    /// Somebody of whom only the uid is known: takes a token with a code.
    TokenCode,
    /// Somebody who typed the code of this token before.
    ProvenTokenCode(TokenId),
    /// A user with an ssh key that an administrator bound to this token.
    BoundKey(TokenId),
}

/// Who enrols what.
pub struct EnrolmentRequest<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// What the device is called.
    pub label: &'a Label,
    /// Who allows it.
    pub authority: Authority,
    /// Who and where, for the log.
    pub subject: &'a Subject,
    /// Who the code is for.
    pub issuer: &'a str,
    /// What the app calls the account ([`Config::account_on`]).
    pub account: &'a str,
    /// Algorithm, digits, period.
    pub params: Params,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The new credential.
    pub credential: CredentialId,
    /// What became of the recovery codes.
    pub codes: Codes,
}

/// Everything that an enrolment needs.
pub struct Enrollment<'a, S, D, C, A> {
    /// Who enrols what.
    pub invitation: &'a EnrolmentRequest<'a>,
    /// The configuration.
    pub config: &'a Config,
    /// Where records are.
    pub store: &'a S,
    /// The person.
    pub dialog: &'a mut D,
    /// The time.
    pub clock: &'a C,
    /// Where events go.
    pub audit: &'a mut A,
}

/// What an enrolment has come to.
#[derive(Default)]
pub(super) struct Progress {
    /// A QR code was or is to be asked about.
    pub(super) begun: bool,
    /// Wrong first codes so far.
    pub(super) wrong: u32,
    /// Answers of nothing but Enter so far.
    pub(super) empty: u32,
    /// The token whose code was typed.
    pub(super) bound: Option<TokenId>,
    /// The account as it was when the enrolment was permitted. Whatever is done to it by others meanwhile
    /// ends it.
    pub(super) permitted: AccountSnapshot,
}
