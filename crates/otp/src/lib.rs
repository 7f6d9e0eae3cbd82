//! One-time passwords (RFC 6238): secrets, typed codes, verification, otpauth URIs, and QR codes as text.
//!
//! Pure functions over values. Never reads the clock, a file or the configuration, never remembers which
//! step was accepted (that is the account's watermark), and never puts a secret or a code into an error.
//! Begin with [`Verifier`].
//!
//! ```
//! use qrtotp_otp::{Params, Secret, Strength, code_at};
//! let secret = Secret::from_bytes(b"12345678901234567890", Strength::Normal)?;
//! let params = Params::default();
//! assert_eq!(code_at(&secret, params, params.step_at(59)).as_str(), "287082"); // RFC 6238, appendix B
//! # Ok::<(), qrtotp_otp::SecretError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod base32;
mod code;
mod key_text;
#[cfg(test)]
mod oathtool;
mod params;
mod random;
mod secret;
pub mod uri;
mod verify;

pub use self::base32::{
    Base32Error, decode as base32_decode, decode_lenient as base32_decode_lenient, encode as base32_encode,
    is_invisible, is_separator,
};
pub use code::Code;
pub use key_text::may_hold_key;
pub use params::{Algorithm, Params, ParamsError, Step};
pub mod qr;
pub use random::{RandomError, fill as fill_random, random_bytes};
pub use secret::{Secret, SecretError, Strength};
pub use uri::percent::decode as percent_decode;
pub use uri::{KeyUri, ReadUri, UriError};
pub use verify::{MAX_CLOCK_OFFSET, MAX_OWN_SIDE, MAX_TARGETS, Verifier, Window, code_at, matching_step};
