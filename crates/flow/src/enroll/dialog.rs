//! Messages and questions of an enrolment.

use crate::{Dialog, NoAnswer, Typed};
use qrtotp_account::Place;
use qrtotp_messages::Message;
use qrtotp_otp::Params;
use zeroize::Zeroizing;

/// The data from which an app takes the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// Issuer, account and secret as a key URI.
    pub uri: Zeroizing<String>,
    /// The text of the QR code: the same URI, or if that is too large for a screen of 80×24, one without
    /// issuer parameter, host or both.
    pub picture: Zeroizing<String>,
    /// The secret in base32, in groups of four, for typing.
    pub key: Zeroizing<String>,
    /// The issuer that the app will show.
    pub issuer: String,
    /// The account in the app, usually with the host.
    pub account: String,
    /// Parameters that the app needs besides the key, if they are not the default; some apps have no field
    /// for them.
    pub unusual: Option<Params>,
}

/// The QR code that the first code belongs to.
#[derive(Clone, Copy)]
pub enum QrState<'a> {
    /// An offer, to be shown now.
    Now(&'a Offer),
    /// A QR code of an earlier, dropped dialogue, which is not shown again.
    Before {
        /// How long ago it was shown.
        minutes: i64,
    },
}

/// The user's reply to an offer.
pub enum Reply {
    /// A text that may be the code.
    Code(Typed),
    /// Another QR code, please.
    Fresh,
    /// The user stops.
    GiveUp,
}

/// The user's reaction to the recovery codes.
pub enum CodesDelivery {
    /// The user typed this when asked for the last group of one of them.
    Typed(Typed),
    /// They were shown without a question.
    Shown,
}

/// The dialogue of an enrolment.
pub trait EnrollDialog: Dialog {
    /// Where a wrong code of the account's owner counts: in a lane of their own, unless they are at a host of
    /// a fleet.
    fn place(&self) -> Place {
        Place::Own
    }

    /// Asks for the first code. Shows the offer if there is one and `note` is none; `note` describes the
    /// error in the last answer.
    ///
    /// # Errors
    /// It can't be shown here, or there is no answer; the enrolment ends.
    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer>;

    /// Shows the recovery codes, for the only time, and asks for the last group of one of them as a sign that
    /// they were kept. With a `note` on the last answer they need not be shown again.
    ///
    /// # Errors
    /// They can't be shown here, or there is no answer; they are then not valid.
    fn recovery_codes(
        &mut self,
        codes: &[Zeroizing<String>],
        note: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer>;
}
