//! Reading a key URI from another system.

use super::super::{Algorithm, Params, Secret, Strength, base32};
use super::{KeyUri, ReadUri, UriError, percent};

/// Longest URI in bytes. Real ones have about 100; this bounds the work for whatever is pasted.
const MAX_BYTES: usize = 2048;

impl KeyUri {
    /// Reads a key URI strictly. Scheme and type may have any case; parameters that only decorate (`image`,
    /// `color`, …) are ignored; whatever could make two readers see different keys is refused.
    ///
    /// # Errors
    /// [`UriError`], which never contains secret material.
    pub fn parse(uri: &str, strength: Strength) -> Result<KeyUri, UriError> {
        KeyUri::read(uri, strength).map(|read| read.key)
    }

    /// As [`KeyUri::parse`], and says what was changed.
    ///
    /// # Errors
    /// As [`KeyUri::parse`].
    pub fn read(uri: &str, strength: Strength) -> Result<ReadUri, UriError> {
        if uri.len() > MAX_BYTES {
            return Err(UriError::TooLong);
        }
        let rest = match uri.split_at_checked("otpauth://".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("otpauth://") => rest,
            _ => return Err(UriError::NotOtpauth),
        };
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, label) = path.split_once('/').unwrap_or((path, ""));
        if kind.eq_ignore_ascii_case("hotp") {
            return Err(UriError::Hotp);
        }
        if !kind.eq_ignore_ascii_case("totp") {
            return Err(UriError::NotTotp);
        }
        let query = Query::read(query)?;
        let (issuer, account) = names(label, query.issuer)?;
        let secret = percent::decode(
            query.secret.filter(|secret| !secret.is_empty()).ok_or(UriError::SecretMissing)?,
        )?;
        let typed = base32::decode_lenient(&secret)?;
        let secret = Secret::from_bytes(&typed.bytes, strength)?;
        let key = KeyUri { issuer, account, secret, params: query.params()? };
        Ok(ReadUri { key, dropped_bits: typed.dropped_bits })
    }
}

/// The known parameters, still percent-encoded.
#[derive(Default)]
struct Query<'a> {
    secret: Option<&'a str>,
    issuer: Option<&'a str>,
    algorithm: Option<&'a str>,
    digits: Option<&'a str>,
    period: Option<&'a str>,
}

impl<'a> Query<'a> {
    fn read(text: &'a str) -> Result<Self, UriError> {
        let mut query = Query::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, slot) = match percent::decode(name)?.as_str() {
                "secret" => ("secret", &mut query.secret),
                "issuer" => ("issuer", &mut query.issuer),
                "algorithm" => ("algorithm", &mut query.algorithm),
                "digits" => ("digits", &mut query.digits),
                "period" => ("period", &mut query.period),
                "counter" => return Err(UriError::Counter),
                _ => {
                    // Not used, but a URI that is damaged here may be damaged elsewhere.
                    percent::decode(value)?;
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(UriError::Duplicate { name });
            }
        }
        Ok(query)
    }

    fn params(&self) -> Result<Params, UriError> {
        let default = Params::default();
        let algorithm = match self.algorithm {
            Some(name) => percent::decode(name)?.parse::<Algorithm>()?,
            None => default.algorithm(),
        };
        let digits = number("digits", self.digits)?.unwrap_or(default.digits());
        let period = number("period", self.period)?.unwrap_or(default.period());
        Ok(Params::new(algorithm, digits, period)?)
    }
}

/// Decimal digits only: `str::parse` would also take a leading `+`.
fn number<T: std::str::FromStr>(name: &'static str, value: Option<&str>) -> Result<Option<T>, UriError> {
    let Some(value) = value else { return Ok(None) };
    let value = percent::decode(value)?;
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| digits).map(Some).ok_or(UriError::NotANumber { name })
}

/// Issuer and account from the label (`Issuer:account`, where the colon may be encoded and spaces may follow
/// it) and the `issuer` parameter.
fn names(label: &str, parameter: Option<&str>) -> Result<(String, String), UriError> {
    let (prefix, account) = split_label(label);
    let prefix = text("issuer", prefix.unwrap_or_default())?;
    let account = text("account", account)?.trim_start_matches(' ').to_owned();
    let parameter = text("issuer", parameter.unwrap_or_default())?;
    if !prefix.is_empty() && !parameter.is_empty() && prefix != parameter {
        return Err(UriError::IssuersDiffer);
    }
    Ok((if parameter.is_empty() { prefix } else { parameter }, account))
}

/// A plain colon separates if there is one, so that encoded ones can belong to the names.
fn split_label(label: &str) -> (Option<&str>, &str) {
    let separator =
        label.split_once(':').or_else(|| label.split_once("%3A")).or_else(|| label.split_once("%3a"));
    separator.map_or((None, label), |(issuer, account)| (Some(issuer), account))
}

fn text(part: &'static str, encoded: &str) -> Result<String, UriError> {
    let mut text = percent::decode(encoded)?;
    if text.chars().any(char::is_control) {
        return Err(UriError::ControlCharacter { part });
    }
    Ok(std::mem::take(&mut *text))
}
