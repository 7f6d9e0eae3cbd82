//! Login, enrolment, self-service, administration and import, each readable from top to bottom. Each is a
//! straight function over one [`Ctx`] and a [`Dialog`] or [`LoginHost`]; the PAM module, the command and the
//! broker are thin front ends.
//!
//! Knows neither PAM nor terminal. Begin with [`login`]; an enrolment is [`enroll`].
//!
//! ```
//! use qrtotp_flow::Args;
//! assert!(Args::parse(&[c"nullok"]).unwrap().options.nullok);
//! assert!(Args::parse(&[c"nullOK"]).is_err()); // denies: a login never guesses
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod account;
mod account_part;
mod admin;
mod args;
mod device;
mod device_proof;
mod directory;

mod answer;
mod answer_place;
mod ask;
mod ctx;
mod enroll;
mod first_login;
mod import;
mod key_proof;
mod login;
mod login_host;
mod places;
mod primary;
mod prompt;
mod refusal;
mod reimport;
mod report;
mod resync;
mod ruling;
mod self_service;
mod ssh_key;
#[cfg(test)]
mod tests;
mod verification;
mod verify;
mod verify_code;
mod verify_pair;

pub use account::{adopt_uid, remove_account, rename_account};
pub use account_part::account_part;
pub use admin::{
    AdminError, Issue, Selection, issue_token, regenerate_recovery, reissue, revoke, revoke_token, unlock,
};
pub use args::{ArgError, Args};
pub use ask::{QUESTION, ask_code};
pub use ctx::Ctx;
pub use device::{only_device, rename_device};
pub use device_proof::SelfService;
pub use directory::{Directory, HostDirectory, LookupError, NOBODY, Person, host_name, looked_up};
pub use enroll::{
    ABOUT_CODES, Authority, Codes, CodesDelivery, EnrollDialog, EnrollError, Enrolled, EnrolmentRequest,
    ExistingCode, Offer, QrState, Reply, enroll,
};
pub use import::{Import, Imported, import, would_import};
pub use key_proof::{KeyProof, KeyRefusal, key_proof};
pub use login::{NOT_ENROLLED_HERE, REFUSAL_PERIOD, login};
pub use login_host::{FirstPass, LoginHost, Options, Outcome, Unproven};
pub use places::{NamedPlace, forget_places, trust_place};
pub use primary::{Guess, PrimaryThrottle};
pub use prompt::{ACKNOWLEDGE, Choice, PromptDialog, choice};
pub use refusal::Refusal;
pub use reimport::{Reimported, reimport};
pub use report::report_killed_holder;
pub use resync::{ResyncError, Resynchronized};
pub use ssh_key::{NewKey, register_key};

use qrtotp_clock::sleep;
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

/// The message to every user when something on our side is broken. Says nothing about the account.
pub const UNAVAILABLE: &str = "Verification is not possible now. Try again, or ask your administrator.";

/// A typed answer: bytes, because passwords need not be UTF-8. Wiped when dropped.
pub type Typed = Zeroizing<Vec<u8>>;

/// Whether typed text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Shown.
    On,
    /// Hidden.
    Off,
}

/// A question without an answer: the connection dropped, the host can't ask, or the answer was no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no answer")]
pub struct NoAnswer;

/// The dialogue with the user.
pub trait Dialog {
    /// Shows a text. Best effort: hosts may drop it.
    fn show(&mut self, text: &str);

    /// Asks for one line.
    ///
    /// # Errors
    /// No answer; the caller must deny.
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer>;

    /// Makes the user wait.
    fn wait(&mut self, time: Duration) {
        sleep(time);
    }
}
