//! The result of a reader: one authenticator app of another system, or the reason for refusing a line.

use qrtotp_account::ScratchCode;
use qrtotp_otp::{Base32Error, MAX_CLOCK_OFFSET, Params, ParamsError, Secret, SecretError, Step};
use qrtotp_values::Date;
use qrtotp_values::text::clock_offset;
use thiserror::Error;

/// Largest file of google-authenticator's that is read, in bytes: what its own module takes.
pub const MAX_GOOGLE: usize = 64 * 1024;
/// Largest users.oath, in bytes: some hundred thousand users.
pub const MAX_OATH: usize = 16 * 1024 * 1024;

/// One authenticator app of another system.
#[derive(Debug)]
pub struct Foreign {
    /// Its key.
    pub secret: Secret,
    /// Algorithm, digits and period of its codes.
    pub params: Params,
    /// The highest step that is known to be used there.
    pub used: Option<Step>,
    /// Steps by which its clock is known to be ahead of the host's.
    pub drift: i32,
    /// Steps back and ahead whose codes were accepted there, if the file gives them.
    pub window: Option<(u32, u32)>,
    /// One-time codes of eight digits that are not used yet; `None` if the format has none.
    pub scratch: Option<Vec<ScratchCode>>,
    /// Settings that the import changes or leaves out.
    pub notes: Vec<Note>,
}

/// Something that an import changes or leaves out, to be told with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Note {
    /// The key's base32 text has bits after the last whole byte.
    #[error("Bits after the last whole byte of the key were dropped, as phones and google-authenticator do.")]
    DroppedBits,
    /// google-authenticator's RATE_LIMIT.
    #[error("Its RATE_LIMIT is not carried over: [throttle] of the configuration holds here.")]
    RateLimit,
    /// OATH's PIN field is `+`.
    #[error(
        "Its PIN is +: pam_oath took a password before the code in one answer and passed it on. Here the argument forward_pass \
         does that."
    )]
    ForwardPass,
    /// The vendor's last day of a token.
    #[error("Its ExpiryDate is {0}. Nothing ends it here on that day: revoke it by then.")]
    Expires(Date),
}

impl Foreign {
    /// A device with nothing but a key.
    #[must_use]
    pub fn new(secret: Secret, params: Params) -> Self {
        Self { secret, params, used: None, drift: 0, window: None, scratch: None, notes: Vec::new() }
    }
}

/// Why a line, and with it an account, is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// The reason for refusing it.
    pub why: Why,
}

/// The reason for refusing a line. Never quotes the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// The key is not base32.
    #[error(transparent)]
    Base32(#[from] Base32Error),
    /// The key can't be one of ours.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The step size can't be one of ours.
    #[error("a step of {0} s is not supported: 15 to 120 are")]
    Period(u32),
    /// A counter instead of the time.
    #[error("it counts (HOTP), and only time-based keys (TOTP) can be imported; enrol the device anew")]
    Counter,
    /// A password of the other system.
    #[error(
        "it has a PIN, which this system does not ask for; enrol the device anew, or write - in its place"
    )]
    Pin,
    /// A clock further off than any device's may be.
    #[error(
        "the device's clock is {}, and at most {MAX_CLOCK_OFFSET} s are taken over; set it right, take this line out of \
         the file and import it again",
        clock_offset(*.0)
    )]
    Clock(i64),
    /// Not what the other system writes.
    #[error("{0}")]
    Form(&'static str),
}

impl Why {
    pub(crate) fn at(self, line: usize) -> LineError {
        LineError { line, why: self }
    }

    /// True if [`qrtotp_otp::Strength::AllowWeak`] would let it pass.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::Secret(error) if error.is_weak())
    }
}

/// A file without the byte order mark that some editors put before it.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

pub(crate) fn sha1(digits: u8, period: u32) -> Result<Params, Why> {
    Params::new(qrtotp_otp::Algorithm::Sha1, digits, period).map_err(|error| match error {
        ParamsError::Period { period } => Why::Period(period),
        ParamsError::Digits { .. } | ParamsError::Algorithm { .. } => {
            Why::Form("a number of digits that is not 6, 7 or 8")
        }
    })
}
