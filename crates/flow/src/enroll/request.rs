//! The request for an enrolment, with everything that it needs, and its progress.

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
    /// Skipped by root, which is an event.
    Skipped,
}

/// The authority by which the account may get a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Root. The QR code is gone when the dialogue ends.
    Admin(ExistingCode),
    /// A user who proved the primary factor: `first_login` decides. Can be resumed after the connection
    /// dropped.
    PrimaryFactor,
    /// A user known only by uid: takes a token with a code.
    TokenCode,
    /// A user who typed the code of this token before.
    ProvenTokenCode(TokenId),
    /// A user with an ssh key that an administrator bound to this token.
    BoundKey(TokenId),
}

/// A request for an enrolment.
pub struct EnrolmentRequest<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// The device's label.
    pub label: &'a Label,
    /// The authority.
    pub authority: Authority,
    /// Account, service and origin, for the log.
    pub subject: &'a Subject,
    /// The issuer that the app shows.
    pub issuer: &'a str,
    /// The account's name in the app ([`Config::account_on`]).
    pub account: &'a str,
    /// Algorithm, digits, period.
    pub params: Params,
}

/// The result of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The new credential.
    pub credential: CredentialId,
    /// The state of the recovery codes.
    pub codes: Codes,
}

/// Everything that an enrolment needs.
pub struct Enrollment<'a, S, D, C, A> {
    /// The request.
    pub request: &'a EnrolmentRequest<'a>,
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

/// The progress of an enrolment.
#[derive(Default)]
pub(super) struct Progress {
    /// A QR code was shown, or is about to be.
    pub(super) begun: bool,
    /// Wrong first codes so far.
    pub(super) wrong: u32,
    /// Empty answers so far.
    pub(super) empty: u32,
    /// The token whose code was typed.
    pub(super) bound: Option<TokenId>,
    /// The account when the enrolment was authorised. Any change by others in the meantime ends the
    /// enrolment.
    pub(super) permitted: AccountSnapshot,
}
