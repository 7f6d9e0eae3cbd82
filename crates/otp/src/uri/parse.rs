//! Reading a key URI from another system.

use super::super::{Algorithm, Params, Secret, Strength, base32, may_hold_key};
use super::{KeyUri, ReadUri, UriError, percent};
use zeroize::Zeroizing;

/// Longest URI in bytes. Real ones have about 100; this bounds the work for anything that is pasted.
const MAX_BYTES: usize = 2048;

/// Parameters that change only what an app shows.
const DECORATIONS: [&str; 12] = [
    "image",
    "color",
    "icon",
    "lock",
    "codedisplay",
    "logo",
    "iconurl",
    "thumbnail",
    "tags",
    "group",
    "note",
    "name",
];

/// Other names that apps and scripts give to our parameters, with ours. Not accepted as synonyms: a URI could
/// hold both with different values.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("algo", "algorithm"),
    ("alg", "algorithm"),
    ("digest", "algorithm"),
    ("hash", "algorithm"),
    ("interval", "period"),
    ("step", "period"),
    ("timestep", "period"),
    ("timer", "period"),
    ("digit", "digits"),
    ("length", "digits"),
    ("size", "digits"),
    ("key", "secret"),
];

impl KeyUri {
    /// Reads a key URI: strictly where its codes depend on it, like apps otherwise. Scheme, type and names
    /// may have any case. Parameters that only decorate are ignored; an unknown parameter is refused, because
    /// codes may depend on it.
    ///
    /// # Errors
    /// [`UriError`], which never contains secret material.
    pub fn parse(uri: &str, strength: Strength) -> Result<KeyUri, UriError> {
        KeyUri::read(uri, strength).map(|read| read.key)
    }

    /// Like [`KeyUri::parse`], and reports whether bits were dropped.
    ///
    /// # Errors
    /// As [`KeyUri::parse`].
    pub fn read(uri: &str, strength: Strength) -> Result<ReadUri, UriError> {
        if uri.len() > MAX_BYTES {
            return Err(UriError::TooLong);
        }
        let uri = without_wrapping(uri);
        if uri.get(..18).is_some_and(|scheme| scheme.eq_ignore_ascii_case("otpauth-migration:")) {
            return Err(UriError::Migration);
        }
        let (kind, label, query) = parts(uri).ok_or(UriError::NotOtpauth)?;
        // A key must never become a part of another one's name, which is displayed and stored in the clear.
        let decoded = Zeroizing::new(percent::decode(&uri["otpauth".len()..]).to_ascii_lowercase());
        if decoded.contains("otpauth:") || decoded.contains("otpauth-migration:") {
            return Err(UriError::Several);
        }
        if kind.eq_ignore_ascii_case("hotp") {
            return Err(UriError::Hotp);
        }
        if !kind.eq_ignore_ascii_case("totp") {
            return Err(UriError::NotTotp);
        }
        let query = Query::read(&without_entities(query))?;
        let (issuer, account) = names(label, &query.issuer);
        if issuer.eq_ignore_ascii_case("steam") {
            return Err(UriError::Steam);
        }
        let secret = query.secret.as_ref().ok_or(UriError::SecretMissing)?;
        let typed = base32::decode_lenient(secret)?;
        let secret = Secret::from_bytes(&typed.bytes, strength)?;
        let key = KeyUri { issuer, account, secret, params: query.params()? };
        Ok(ReadUri { key, dropped_bits: typed.dropped_bits })
    }
}

impl KeyUri {
    /// The account that a URI names, even if the rest of the URI is broken; empty if it names none. A damaged
    /// URI may hold the secret in this place: compare the result, never show it.
    #[must_use]
    pub fn account_named_in(uri: &str) -> Zeroizing<String> {
        let label = parts(without_wrapping(uri)).map_or("", |(_, label, _)| label);
        Zeroizing::new(names(label, "").1)
    }
}

/// Type, label and query.
fn parts(uri: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = uri.split_at_checked("otpauth://".len())?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (kind, label) = path.split_once('/').unwrap_or((path, ""));
    scheme.eq_ignore_ascii_case("otpauth://").then_some((kind, label, query))
}

/// The URI without the wrapping that is often copied with it: blanks, a byte order mark, quotes, zbarimg's
/// prefix.
fn without_wrapping(text: &str) -> &str {
    let wrapping = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || base32::is_invisible(c)
            || matches!(c, '"' | '\'' | '`' | '<' | '>' | '\u{2018}'..='\u{201f}')
    };
    let text = text.trim_matches(wrapping);
    match text.split_at_checked("QR-Code:".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("QR-Code:") => rest.trim_matches(wrapping),
        _ => text,
    }
}

/// The known parameters, decoded. An empty one is the default, as if it were not there.
#[derive(Default)]
struct Query {
    secret: Option<Zeroizing<String>>,
    issuer: String,
    algorithm: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
}

impl Query {
    fn read(text: &str) -> Result<Self, UriError> {
        let mut query = Query::default();
        for (number, pair) in (1_usize..).zip(text.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent::decode(name).trim().to_ascii_lowercase();
            if name == "issuer" {
                if query.issuer.is_empty() {
                    query.issuer = plain(&value.replace('+', " "));
                }
                continue;
            }
            // A `+` is a blank in a form, and no character of a key.
            let value = if name == "secret" { value.replace('+', " ") } else { value.to_owned() };
            let value = Zeroizing::new(percent::decode(&Zeroizing::new(value)).trim().to_owned());
            let (name, slot) = match name.as_str() {
                "secret" => ("secret", &mut query.secret),
                "algorithm" => ("algorithm", &mut query.algorithm),
                "digits" => ("digits", &mut query.digits),
                "period" => ("period", &mut query.period),
                "counter" if value.bytes().all(|digit| digit == b'0') => continue,
                "counter" => return Err(UriError::Counter),
                "encoder" if value.is_empty() => continue,
                "encoder" => return Err(UriError::Encoder),
                other => {
                    unknown(other, &value, number)?;
                    continue;
                }
            };
            if value.is_empty() {
                continue;
            }
            if slot.as_ref().is_some_and(|known| !known.eq_ignore_ascii_case(&value)) {
                return Err(UriError::Duplicate { name });
            }
            *slot = Some(value);
        }
        Ok(query)
    }

    fn params(&self) -> Result<Params, UriError> {
        let default = Params::default();
        let algorithm = self.algorithm.as_deref().map(|name| Algorithm::from_spelling(name)).transpose()?;
        let digits = number("digits", self.digits.as_deref())?.unwrap_or(default.digits());
        let period = number("period", self.period.as_deref())?.unwrap_or(default.period());
        Ok(Params::new(algorithm.unwrap_or_default(), digits, period)?)
    }
}

/// A query copied from the source of a web page, perhaps escaped twice: its character references resolved,
/// and without invisible characters. A reference that is not known makes a parameter that is refused.
fn without_entities(query: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(query.to_owned());
    loop {
        let mut plain = Zeroizing::new(String::with_capacity(text.len())); // never grows, so nothing is left behind
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let (c, length) = entity(rest).unwrap_or((first, first.len_utf8()));
            if !base32::is_invisible(c) {
                plain.push(c);
            }
            rest = &rest[length..];
        }
        if plain == text {
            return plain;
        }
        text = plain;
    }
}

/// The character reference at the beginning of a text, and its length there.
fn entity(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.strip_prefix('&')?.split_once(';').filter(|(name, _)| name.len() <= 8)?;
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let c = match (name.strip_prefix('#'), name) {
        (Some(digits), _) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => number(digits, 16)?,
            None => number(digits, 10)?,
        },
        (None, "amp") => '&',
        (None, "nbsp") => ' ',
        (None, "shy") => '\u{ad}',
        _ => return None,
    };
    (!c.is_control()).then_some((c, name.len() + 2))
}

/// Refuses a parameter that may change the codes; without a value, one that may be a part of the secret.
fn unknown(name: &str, value: &str, number: usize) -> Result<(), UriError> {
    if DECORATIONS.contains(&name) || (name.is_empty() && value.is_empty()) {
        return Ok(());
    }
    if let Some((given, write)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        return Err(UriError::OtherName { given, write });
    }
    let shown = if name.is_empty() || may_hold_key(name) {
        format!("number {number}")
    } else {
        let clean = name.chars().take(40).map(|c| if matches!(c, ' '..='~') { c } else { '?' });
        format!("\"{}\"", clean.collect::<String>())
    };
    Err(if value.is_empty() { UriError::NoValue { shown } } else { UriError::Unknown { shown } })
}

/// Decimal digits only: `str::parse` would also take a leading `+`.
fn number<T: std::str::FromStr>(name: &'static str, value: Option<&String>) -> Result<Option<T>, UriError> {
    let Some(value) = value else { return Ok(None) };
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| digits).map(Some).ok_or(UriError::NotANumber { name })
}

/// Issuer and account from the label (`Issuer:account`, where the colon may be encoded and blanks may follow
/// it) and the `issuer` parameter, which wins if they differ.
fn names(label: &str, parameter: &str) -> (String, String) {
    let whole = plain(label);
    // An issuer may hold a colon itself.
    if let Some(account) = whole.strip_prefix(parameter).and_then(|rest| rest.strip_prefix(':'))
        && !parameter.is_empty()
    {
        return (parameter.to_owned(), account.trim().to_owned());
    }
    let (prefix, account) = split_label(label);
    let prefix = plain(&prefix.unwrap_or_default().replace('+', " "));
    (if parameter.is_empty() { prefix } else { parameter.to_owned() }, plain(account))
}

/// A plain colon separates if there is one, so that encoded ones can belong to the names.
fn split_label(label: &str) -> (Option<&str>, &str) {
    let separator =
        label.split_once(':').or_else(|| label.split_once("%3A")).or_else(|| label.split_once("%3a"));
    separator.map_or((None, label), |(issuer, account)| (Some(issuer), account))
}

/// A name, decoded, without blanks around it. U+FFFD replaces control characters, which could write on the
/// reader's terminal; dropping them could turn the name into another account's.
fn plain(encoded: &str) -> String {
    let text = percent::decode(encoded);
    text.trim().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
