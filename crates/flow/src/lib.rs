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
mod language;
mod login;
mod login_host;
mod offline;
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
mod take_over;
#[cfg(test)]
mod tests;
mod verification;
mod verify;
mod verify_code;
mod verify_pair;

pub use account::{adopt_uid, remove_account, rename_account};
pub use account_part::account_part;
pub use admin::{
    AdminError, Issue, Selection, add_account, issue_token, regenerate_recovery, reissue, revoke,
    revoke_token, unlock,
};
pub use args::{ArgError, Args};
pub use ask::ask_code;
pub use ctx::Ctx;
pub use device::{only_device, rename_device};
pub use device_proof::SelfService;
pub use directory::{Directory, HostDirectory, LookupError, NOBODY, Person, host_name, looked_up};
pub use enroll::{
    Authority, Codes, CodesDelivery, EnrollDialog, EnrollError, Enrolled, EnrolmentRequest, ExistingCode,
    Offer, QrState, Reply, enroll,
};
pub use import::{Import, Imported, import, would_import};
pub use key_proof::{KeyProof, KeyRefusal, key_proof};
pub use language::of as catalogue_of;
pub use language::{catalogue, variable};
pub use login::{REFUSAL_PERIOD, login};
pub use login_host::{FirstPass, LoginHost, Options, Outcome, Unproven};
pub use offline::{issue_offline, note_offline_use, remove_offline, verify_offline};
pub use places::{NamedPlace, forget_places, trust_place};
pub use primary::{Guess, PrimaryThrottle};
pub use prompt::{Choice, PromptDialog, choice, shown_before};
pub use refusal::Refusal;
pub use reimport::{Reimported, reimport};
pub use report::report_killed_holder;
pub use resync::{ResyncError, Resynchronized};
pub use ssh_key::{NewKey, register_key};
pub use take_over::take_over;

use qrtotp_clock::sleep;
use qrtotp_messages::{Catalogue, Message};
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

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
    /// Shows a text as it is. Best effort: hosts may drop it.
    fn show_text(&mut self, text: &str);

    /// Asks for one line, with the question as it is.
    ///
    /// # Errors
    /// No answer; the caller must deny.
    fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer>;

    /// The user's language.
    fn catalogue(&self) -> &Catalogue {
        Catalogue::ENGLISH
    }

    /// Shows a message in the user's language.
    fn show(&mut self, message: Message) {
        let text = self.catalogue().text(&message);
        self.show_text(&text);
    }

    /// Asks for one line in the user's language.
    ///
    /// # Errors
    /// No answer; the caller must deny.
    fn ask(&mut self, question: Message, echo: Echo) -> Result<Typed, NoAnswer> {
        let prompt = self.catalogue().text(&question);
        self.ask_text(&prompt, echo)
    }

    /// Makes the user wait.
    fn wait(&mut self, time: Duration) {
        sleep(time);
    }
}
