//! What users read, in English and in their language: every message stands in [`text`], and a [`Catalogue`]
//! has its translations. Log lines, events, JSON and what only root reads are not here.
//!
//! Pure: bytes and names of locales in, text out. Begin with [`text`].
//!
//! ```
//! use qrtotp_messages::{Catalogue, text};
//! let english = Catalogue::default();
//! assert_eq!(english.text(&text::QUESTION), "Verification code: ");
//! assert_eq!(english.text(&text::device_revoked(&"c-7F3K2M")), "Revoked c-7F3K2M.");
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod catalogue;
mod locale;
mod message;
pub mod text;

pub use catalogue::Catalogue;
pub use locale::{VARIABLES, candidates, language};
pub use message::Message;
