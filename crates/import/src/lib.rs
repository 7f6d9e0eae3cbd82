//! Readers of what authenticator apps export and what vendors of hardware tokens deliver. Pure functions over
//! bytes: they open no file, know no account and import nothing. No error quotes a file, which holds keys.
//!
//! The JSON, CSV and XML parsers do not wipe their copies of the input: call the readers only in a
//! short-lived process. Begin with [`Entry`], and [`parse_uris`] as the simplest reader.
//!
//! ```
//! use qrtotp_import::parse_uris;
//! let export = b"otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example\n";
//! let entries = parse_uris(export, qrtotp_otp::Strength::Normal)?;
//! assert!(entries[0].found.is_ok());
//! assert_eq!(entries[0].place, "line 1");
//! # Ok::<(), qrtotp_import::FileError>(())
//! ```
#![forbid(unsafe_code)]

mod columns;
mod csv;
mod foreign;
mod google;
mod json;
mod migration;
mod oath;
mod pattern;
mod protobuf;
mod pskc;
mod uris;

pub use crate::csv::parse as parse_csv;
pub use foreign::{Foreign, LineError, MAX_GOOGLE, MAX_OATH, Note, Why};
pub use google::parse as parse_google;
pub use json::parse as parse_json;
pub use migration::parse as parse_migration;
pub use oath::{OathLine, parse as parse_oath};
pub use pattern::expand;
pub use pskc::parse as parse_pskc;
pub use qrtotp_otp::may_hold_key;
pub use uris::parse as parse_uris;

use qrtotp_otp::{
    Algorithm, Base32Error, KeyUri, Params, ParamsError, ReadUri, Secret, SecretError, Strength, UriError,
    base32_decode_lenient, is_separator,
};
use zeroize::Zeroizing;

/// Largest file that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Most entries of one file.
pub const MAX_ENTRIES: usize = 10_000;

/// One key of a file.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands, for people: `line 3`, `entry 2`.
    pub place: String,
    /// Its name in the file: issuer and account, or a serial number. Not cleaned, and not to be shown.
    pub name: String,
    /// The account as the app knows it, without its issuer. Not cleaned, and not to be shown.
    pub label: String,
    /// Whose it is, if the file has a column for that.
    pub user: Option<String>,
    /// Its content, or the reason for refusing it.
    pub found: Result<Foreign, Refusal>,
}

impl Entry {
    /// Its name, for people and for a device's label; empty if it may hold a key. Not cleaned.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        if may_hold_key(&self.name) { "" } else { &self.name }
    }
}

/// Why an entry can't be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is not base32.
    #[error(transparent)]
    Base32(#[from] Base32Error),
    /// The key can't be one of ours.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Algorithm, digits or period that we don't support.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A key URI that is wrong.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// A counter instead of the time.
    #[error("it counts (HOTP), and only time-based keys (TOTP) can be imported; enrol the device anew")]
    Counter,
    /// Neither TOTP nor HOTP.
    #[error("it is of a kind (Steam, Yandex, mOTP or another) that is not supported; enrol the device anew")]
    Kind,
    /// A column that may change the codes, by its number, and its name in brackets.
    #[error("column {number}{name} is not known here; if no code depends on it, take it out")]
    Column {
        /// Counted from 1.
        number: usize,
        /// Cleaned; empty if it may be a key.
        name: String,
    },
    /// A type that is not known: it, with its name in quotes unless that may be a key.
    #[error("{0} is not known; write totp or hotp")]
    Type(String),
    /// An element that may be there once only.
    #[error("it has two {0}, and only one can hold")]
    Twice(&'static str),
    /// Not what such a file has there.
    #[error("{0}")]
    Form(&'static str),
}

impl Refusal {
    /// True if [`Strength::AllowWeak`] would let it pass.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match self {
            Self::Secret(error) => error.is_weak(),
            Self::Uri(error) => error.is_weak(),
            Self::Base32(_)
            | Self::Params(_)
            | Self::Counter
            | Self::Kind
            | Self::Column { .. }
            | Self::Type(_)
            | Self::Twice(_)
            | Self::Form(_) => false,
        }
    }
}

/// Why nothing of a file can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FileError(pub String);

impl From<&str> for FileError {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The settings that a file gives for a key.
#[derive(Default)]
struct Settings<'a> {
    /// `totp`, `hotp` and the like, in any case; empty for `totp`.
    kind: &'a str,
    /// In any spelling; empty for the default.
    algorithm: &'a str,
    digits: Option<u64>,
    /// In seconds.
    period: Option<u64>,
}

/// The device of a key and its settings.
fn device(
    key: &[u8],
    notes: Vec<Note>,
    settings: &Settings<'_>,
    strength: Strength,
) -> Result<Foreign, Refusal> {
    let params = params(settings, Params::default())?;
    Ok(Foreign { notes, ..Foreign::new(Secret::from_bytes(key, strength)?, params) })
}

/// Algorithm, digits and period of codes. Empty values and 0 are the defaults.
fn params(settings: &Settings<'_>, default: Params) -> Result<Params, Refusal> {
    match settings.kind.to_ascii_lowercase().as_str() {
        "" | "totp" => {}
        "hotp" | "hmac" => return Err(Refusal::Counter),
        _ => return Err(Refusal::Kind),
    }
    let algorithm = settings.algorithm.trim();
    let algorithm =
        if algorithm.is_empty() { default.algorithm() } else { Algorithm::from_spelling(algorithm)? };
    let digits =
        settings.digits.filter(|digits| *digits != 0).map_or(default.digits().into(), |digits| digits);
    let digits = u8::try_from(digits).unwrap_or(u8::MAX);
    let period =
        settings.period.filter(|period| *period != 0).map_or(default.period().into(), |period| period);
    Ok(Params::new(algorithm, digits, u32::try_from(period).unwrap_or(u32::MAX))?)
}

/// As [`device`], of a key in base32.
fn device_of_text(text: &str, settings: &Settings<'_>, strength: Strength) -> Result<Foreign, Refusal> {
    let key = base32_decode_lenient(text)?;
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let length = text.chars().filter(|c| *c != '=' && !is_separator(*c)).count();
    if has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && matches!(length % 8, 1 | 3 | 6) {
        return Err(Refusal::Form(
            "a key that may be base64, which can't be imported: write it in hexadecimal",
        ));
    }
    let notes = key.dropped_bits.then_some(Note::DroppedBits).into_iter().collect();
    device(&key.bytes, notes, settings, strength)
}

/// The bytes of a key if it is hexadecimal, not base32: base32 has no 0, 1, 8 and 9, and a long base32 key
/// always has letters from G to Z.
fn hexadecimal(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    for byte in text.bytes().filter(|byte| !b" -:".contains(byte)) {
        digits.push(digit(byte)?);
    }
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() < 10 || !rest.is_empty() {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    bytes.extend(pairs.iter().map(|[high, low]| high << 4 | low));
    Some(bytes)
}

/// An entry of a key URI.
fn entry_of_uri(place: String, uri: &str, strength: Strength) -> Entry {
    match KeyUri::read(uri, strength) {
        Ok(ReadUri { key: KeyUri { issuer, account, secret, params }, dropped_bits }) => {
            let notes = dropped_bits.then_some(Note::DroppedBits).into_iter().collect();
            let found = Ok(Foreign { notes, ..Foreign::new(secret, params) });
            Entry { place, name: full_name(&issuer, &account), label: account, user: None, found }
        }
        Err(error) => {
            // Whose it is, but no name to show: in a damaged URI the secret may stand there.
            let label = KeyUri::account_named_in(uri).to_string();
            Entry { place, name: String::new(), label, user: None, found: Err(error.into()) }
        }
    }
}

/// Steam's codes are not digits, and some apps' exports tell its keys by their issuer alone.
fn is_steam(issuer: &str) -> bool {
    issuer.trim().eq_ignore_ascii_case("steam")
}

/// Issuer and account, as apps show them.
fn full_name(issuer: &str, account: &str) -> String {
    match (issuer, account) {
        ("", name) | (name, "") => name.to_owned(),
        (issuer, account) if account.starts_with(&format!("{issuer}:")) => account.to_owned(),
        (issuer, account) => format!("{issuer}:{account}"),
    }
}

/// The account in a label that may have the issuer in front.
fn account_of<'a>(issuer: &str, label: &'a str) -> &'a str {
    match label.split_once(':') {
        Some((before, account)) if issuer.is_empty() || before.trim() == issuer.trim() => account.trim(),
        _ => label.trim(),
    }
}

/// The text of a file in UTF-8, or in UTF-16 as Windows saves it. Its lines end in a line feed, whatever they
/// ended in.
fn text(bytes: &[u8]) -> Result<Zeroizing<String>, FileError> {
    let wide = |units: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = units.as_chunks::<2>();
        let text =
            char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>().ok();
        text.filter(|_| rest.is_empty())
    };
    let text = match bytes {
        [0xff, 0xfe, units @ ..] => wide(units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => wide(units, u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    let text = text.map(Zeroizing::new).ok_or("the file is not UTF-8 text: save it as UTF-8")?;
    let text = Zeroizing::new(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"));
    Ok(Zeroizing::new(text.replace('\r', "\n")))
}

fn bounded(entries: Vec<Entry>) -> Result<Vec<Entry>, FileError> {
    match entries.len() {
        0 => Err("there is no key in the file".into()),
        1..=MAX_ENTRIES => Ok(entries),
        _ => Err(FileError(format!("the file has more than {MAX_ENTRIES} entries; split it"))),
    }
}
