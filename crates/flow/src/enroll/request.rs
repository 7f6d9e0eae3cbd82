//! The request for an enrolment, its result, and its progress.

use super::commit::AccountSnapshot;
use super::dialog::EnrollDialog;
use super::recovery::Codes;
use crate::Ctx;
use qrtotp_account::{CredentialId, Label, Name, TokenId};

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
#[derive(Clone, Copy, Debug)]
pub struct EnrolmentRequest<'a> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// The device's label.
    pub label: &'a Label,
    /// The authority.
    pub authority: Authority,
    /// This host's name, for the app.
    pub host: &'a str,
}

/// The result of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The new credential.
    pub credential: CredentialId,
    /// The state of the recovery codes.
    pub codes: Codes,
}

/// An enrolment that goes on.
pub(super) struct Enrolment<'e, 'c> {
    pub(super) ctx: &'e mut Ctx<'c>,
    /// The person.
    pub(super) dialog: &'e mut dyn EnrollDialog,
    pub(super) request: EnrolmentRequest<'e>,
    pub(super) progress: Progress,
}

/// The progress of an enrolment.
#[derive(Default)]
pub(super) struct Progress {
    /// A QR code was shown, or is about to be.
    pub(super) begun: bool,
    /// Wrong first codes so far.
    pub(super) wrong: u32,
    /// Answers without a digit so far.
    pub(super) no_codes: u32,
    /// The token whose code was typed.
    pub(super) bound: Option<TokenId>,
    /// The account when the enrolment was authorised. Any change by others in the meantime ends the
    /// enrolment.
    pub(super) permitted: AccountSnapshot,
}
