//! The values of a rule in TOML.

use super::decide::LONGEST;
use super::{Hours, MAX_ITEMS, OUTCOMES, Outcome, Pattern};
use crate::config::is_service;
use crate::document::{Fault, Value};
use crate::read::{Setting, parsed, word};
use qrtotp_values::Date;
use std::net::IpAddr;
use std::str::FromStr;

/// A list that is not empty.
pub(super) struct Items<T>(pub(super) Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Setting> Setting for Items<T> {
    fn read(value: &Value) -> Result<Self, Fault> {
        let items = Vec::<T>::read(value)?;
        match items.len() {
            0 => Err(Fault::new(value, "an empty list matches nobody; leave the key out".into())),
            1..=MAX_ITEMS => Ok(Self(items)),
            _ => Err(Fault::new(value, format!("more than {MAX_ITEMS} items"))),
        }
    }
}

/// A value and its place.
pub(super) struct At<T> {
    pub(super) at: usize,
    pub(super) value: T,
}

impl<T: Setting> Setting for At<T> {
    fn read(value: &Value) -> Result<Self, Fault> {
        Ok(Self { at: value.at, value: T::read(value)? })
    }
}

/// `key` of a rule or test: `false`, `true` or `"hardware"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    None,
    Any,
    Hardware,
}

impl Setting for Key {
    fn read(value: &Value) -> Result<Self, Fault> {
        match String::read(value).as_deref() {
            Ok("hardware") => Ok(Self::Hardware),
            Ok(_) => Err(Fault::new(value, "expected true, false or \"hardware\"".into())),
            Err(_) => Ok(if bool::read(value)? { Self::Any } else { Self::None }),
        }
    }
}

/// `place` of a rule or test: `"familiar"` or `"new"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Familiarity {
    Familiar,
    New,
}

impl Setting for Familiarity {
    fn read(value: &Value) -> Result<Self, Fault> {
        word(value, &[("familiar", Self::Familiar), ("new", Self::New)])
    }
}

/// The name of a PAM service.
pub(super) struct Service(pub(super) String);

impl Setting for Service {
    fn read(value: &Value) -> Result<Self, Fault> {
        let name = String::read(value)?;
        if is_service(&name) && name.len() <= LONGEST {
            return Ok(Self(name));
        }
        let message = "write the name of a file of /etc/pam.d, but `other`: small letters, digits, dots, dashes and underscores, at most 64 bytes";
        Err(Fault::new(value, message.into()))
    }
}

/// The caller of su or sudo: a whole name.
pub(super) struct Caller(pub(super) String);

impl Setting for Caller {
    fn read(value: &Value) -> Result<Self, Fault> {
        let name = String::read(value)?;
        let message = match name.as_str() {
            "" => "write a name",
            text if text.contains('*') => "write whole names; `*` does not stand for anything here",
            text if text.len() > LONGEST => "a name has at most 64 bytes",
            text if !is_plain(text) => {
                "write whole names; there are no patterns, no lists and no \"not\" here"
            }
            _ => return Ok(Self(name)),
        };
        Err(Fault::new(value, message.into()))
    }
}

impl Setting for Hours {
    fn read(value: &Value) -> Result<Self, Fault> {
        parsed(value)
    }
}

impl Setting for Outcome {
    fn read(value: &Value) -> Result<Self, Fault> {
        word(value, &OUTCOMES)
    }
}

impl Setting for Pattern {
    fn read(value: &Value) -> Result<Self, Fault> {
        let text = String::read(value)?;
        let (text, open) =
            text.strip_suffix('*').map_or((text.clone(), false), |text| (text.to_owned(), true));
        let whole = (open || !text.is_empty()) && text.len() <= LONGEST && !text.contains('*');
        if whole && !text.starts_with("/dev/") {
            return Ok(Self { text, open });
        }
        let message = "write a name, without /dev/ and of at most 64 bytes; one `*` may stand at its end";
        Err(Fault::new(value, message.into()))
    }
}

/// The name of a user, or the beginning of one. sshd_config and other programs read more signs as patterns;
/// here they would only match themselves.
pub(super) struct UserPattern(pub(super) Pattern);

impl Setting for UserPattern {
    fn read(value: &Value) -> Result<Self, Fault> {
        if let Some(pattern) = Pattern::read(value).ok().filter(|pattern| is_plain(&pattern.text)) {
            return Ok(Self(pattern));
        }
        let message = "write a user's name, or its beginning with one `*` at the end; there is no other pattern and no \"not\": \
                       put the exception in a rule above. Groups go into `group`";
        Err(Fault::new(value, message.into()))
    }
}

/// Whether a name, or the beginning of one, has nothing that is taken for a pattern or a list elsewhere: here
/// it would match nobody. Directories have accounts such as `o'brien`.
fn is_plain(text: &str) -> bool {
    let odd = |c: char| c.is_control() || "?*,\"[]".contains(c);
    !text.starts_with(['%', '@', '+', '!', '#']) && !text.contains(odd) && text.trim() == text
}

/// Where the login of a test comes from: an address, a host's name, or `local`.
pub(super) struct RemoteHost(pub(super) String);

impl Setting for RemoteHost {
    fn read(value: &Value) -> Result<Self, Fault> {
        let text = String::read(value)?;
        let address = text.split('%').next().unwrap_or_default().parse::<IpAddr>().is_ok();
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if address || text.bytes().all(name) {
            return Ok(Self(text));
        }
        Err(Fault::new(
            value,
            "write an address, a host's name or \"local\", without a port and without bits".into(),
        ))
    }
}

/// The name of a terminal, or the beginning of one.
pub(super) struct Terminal(pub(super) Pattern);

impl Setting for Terminal {
    fn read(value: &Value) -> Result<Self, Fault> {
        let pattern = Pattern::read(value)?;
        let message = match pattern.text.as_str() {
            "tty" if !pattern.open => {
                "`tty` names no terminal, because anyone can open /dev/tty; write tty1, or tty* for all consoles"
            }
            text if !is_plain(text) => {
                "write a terminal's name, or its beginning with one `*` at the end; there is no other pattern and no \"not\""
            }
            _ => return Ok(Self(pattern)),
        };
        Err(Fault::new(value, message.into()))
    }
}

/// `2026-12-01T09:00`, in the policy's zone: seconds.
pub(super) struct LocalTime(pub(super) i64);

impl FromStr for LocalTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "not a time; write \"2026-12-01T09:00\"";
        let (date, time) = text.split_once('T').ok_or(FORM)?;
        let date: Date = date.parse().map_err(|_| FORM)?;
        let (hour, minute) = time.split_once(':').ok_or(FORM)?;
        let two = |part: &str, most: i64| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<i64>().ok().filter(|number| digits && *number <= most).ok_or(FORM)
        };
        Ok(Self(date.first_second() + two(hour, 23)? * 3600 + two(minute, 59)? * 60))
    }
}

/// The seconds of local time of `2026-12-01T09:00`.
///
/// # Errors
/// Not such a time; the error says why.
pub fn local_time(text: &str) -> Result<i64, &'static str> {
    text.parse::<LocalTime>().map(|time| time.0)
}

impl Setting for LocalTime {
    fn read(value: &Value) -> Result<Self, Fault> {
        parsed(value)
    }
}

pub(super) fn is_word(name: &str, most: usize) -> bool {
    (1..=most).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
