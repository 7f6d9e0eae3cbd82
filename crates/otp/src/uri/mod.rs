//! The key URI that authenticator apps scan: `otpauth://totp/Issuer:account?secret=…&issuer=…`
//! (Google's Key URI format, percent-encoding of RFC 3986 §2.1).
//!
//! Writing keeps it short, because every byte makes the QR code larger. Reading is strict where codes depend
//! on it. No error ever quotes the URI, because the secret may be anywhere in a damaged one.

mod parse;
pub(super) mod percent;
#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use super::{Base32Error, Params, ParamsError, Secret, SecretError};

/// A secret with the names that the app shows next to its codes.
#[derive(PartialEq, Eq, Debug)]
pub struct KeyUri {
    /// The issuer of the code: the host or the organisation. May be empty.
    pub issuer: String,
    /// The account, e.g. `alice@web1`.
    pub account: String,
    /// The shared secret.
    pub secret: Secret,
    /// Algorithm, digits and period.
    pub params: Params,
}

/// A key URI as it was read.
#[derive(PartialEq, Eq, Debug)]
pub struct ReadUri {
    /// The key that it describes.
    pub key: KeyUri,
    /// Whether bits after the secret's last whole byte were dropped.
    pub dropped_bits: bool,
}

impl KeyUri {
    /// The URI. Default parameters are left out, since apps assume them.
    ///
    /// Reads back as the same value, with two exceptions: blanks around the names are dropped, and if
    /// `issuer` is empty, text before a colon in the account becomes the issuer.
    pub fn to_uri(&self) -> Zeroizing<String> {
        self.write(true)
    }

    /// The URI without its `issuer` parameter, for a smaller QR code: apps take the issuer from the label.
    pub fn to_short_uri(&self) -> Zeroizing<String> {
        self.write(false)
    }

    fn write(&self, issuer_parameter: bool) -> Zeroizing<String> {
        let secret = self.secret.to_base32();
        // Enough for three bytes per encoded byte and all parameters: a growing buffer would move and leave a
        // part of the text in freed memory.
        let capacity = 96 + 3 * (2 * self.issuer.len() + self.account.len()) + secret.len();
        let mut uri = Zeroizing::new(String::with_capacity(capacity));
        uri.push_str("otpauth://totp/");
        if !self.issuer.is_empty() {
            percent::encode(&mut uri, &self.issuer, b"@");
            uri.push(':');
        }
        percent::encode(&mut uri, &self.account, b"@");
        uri.push_str("?secret=");
        uri.push_str(&secret);
        if issuer_parameter && !self.issuer.is_empty() {
            uri.push_str("&issuer=");
            percent::encode(&mut uri, &self.issuer, b"");
        }
        let (params, default) = (self.params, Params::default());
        if params.algorithm() != default.algorithm() {
            uri.push_str("&algorithm=");
            uri.push_str(params.algorithm().as_str());
        }
        if params.digits() != default.digits() {
            uri.push_str("&digits=");
            uri.push_str(&params.digits().to_string());
        }
        if params.period() != default.period() {
            uri.push_str("&period=");
            uri.push_str(&params.period().to_string());
        }
        uri
    }
}

/// Why a key URI is refused. Names the part that is wrong, never its content.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UriError {
    /// Over 2048 bytes.
    #[error("the URI is longer than 2048 bytes: check that nothing else was pasted with it")]
    TooLong,
    /// Another scheme, or no URI at all.
    #[error("this is not a key URI: it must start with otpauth://totp/")]
    NotOtpauth,
    /// `otpauth://hotp/…`.
    #[error("this is a counter-based key (hotp): have a time-based one (totp) issued")]
    Hotp,
    /// `otpauth://` with another type.
    #[error("this key URI is of an unknown type: only otpauth://totp/ is supported")]
    NotTotp,
    /// Another key URI after it, or inside it.
    #[error("there is more than one key URI in it: give each on a separate line")]
    Several,
    /// A known parameter twice, with different values.
    #[error("the parameter \"{name}\" is given twice: remove the wrong one")]
    Duplicate {
        /// The parameter's name.
        name: &'static str,
    },
    /// `counter`, which only hotp has.
    #[error("the URI has a \"counter\", so it is a counter-based key: have a time-based one (totp) issued")]
    Counter,
    /// No `secret`, or an empty one.
    #[error("the URI has no \"secret\": export the key again")]
    SecretMissing,
    /// `secret` is not base32.
    #[error("in the URI's secret, {0}")]
    Base32(#[from] Base32Error),
    /// `secret` is too short, too long or a placeholder.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// `digits` or `period` is no number.
    #[error("the parameter \"{name}\" is not a number: export the key again")]
    NotANumber {
        /// The parameter's name.
        name: &'static str,
    },
    /// Algorithm, digits or period that we don't support.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A known parameter by another name.
    #[error("the parameter \"{given}\" is not known here: write it as \"{write}\"")]
    OtherName {
        /// The name found.
        given: &'static str,
        /// The name to write.
        write: &'static str,
    },
    /// A parameter that may change the codes.
    #[error("the parameter {shown} is not known here: remove it if the codes do not depend on it")]
    Unknown {
        /// Its name in quotes, harmless to print, or its number if the name may be a part of a key.
        shown: String,
    },
    /// A parameter that is not known and has no value: perhaps a part of the one before it.
    #[error("the parameter {shown} has no value, so the URI may be damaged: copy the whole URI again")]
    NoValue {
        /// As for [`UriError::Unknown`].
        shown: String,
    },
    /// The issuer is Steam.
    #[error("its issuer is Steam, whose codes are not digits: have a usual key issued")]
    Steam,
    /// `encoder`, for codes that are not digits.
    #[error("the URI has an \"encoder\", so its codes are not digits (Steam): have a usual key issued")]
    Encoder,
    /// Google Authenticator's export.
    #[error("this is an export of Google Authenticator: give it to `qrtotp import otpauth-migration`")]
    Migration,
}

impl UriError {
    /// True if [`super::Strength::AllowWeak`] would accept it.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::Secret(error) if error.is_weak())
    }
}
