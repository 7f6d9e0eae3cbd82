//! Settings in the binary form that a login reads. No login checks their bounds again: `apply` did, and only
//! root can write there.
//!
//! A setting is a byte, 0 if it has its default and else 1, and then its value. Little-endian: numbers as in
//! memory, text and lists after their length (u16), a boolean as a byte, a word as its place among all words
//! of its kind, a day as its first second (i64), a duration in seconds (u32), hours as in rules.

use super::FirstLogin;
use super::bytes::{Bytes, Damaged, put_text};
use super::config::{Require, StateDir, Unasked};
use super::rules::{FIRST_LOGINS, Hours};
use qrtotp_values::{ConfigDuration, Date};
use std::borrow::Cow;

/// A type that a setting can have.
pub(super) trait Stored: Sized {
    /// Appends a value.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads a value.
    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged>;
}

/// Appends a setting whose default is `usual`.
pub(super) fn put_setting<T: Stored + PartialEq>(setting: &T, usual: &T, out: &mut Vec<u8>) {
    out.push(u8::from(setting != usual));
    if setting != usual {
        setting.put(out);
    }
}

/// Reads a setting. One that is not there, because the file was written by an older version, keeps its
/// default.
pub(super) fn take_setting<T: Stored>(setting: &mut T, bytes: &mut Bytes<'_>) -> Result<(), Damaged> {
    if !bytes.is_empty() && bytes.boolean()? {
        *setting = T::take(bytes)?;
    }
    Ok(())
}

macro_rules! numbers {
    ($($number:ident)*) => {
        $(impl Stored for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
                bytes.$number()
            }
        })*
    };
}

numbers!(u8 u32 i64);

impl Stored for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        bytes.boolean()
    }
}

impl Stored for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        bytes.text().map(str::to_owned)
    }
}

impl Stored for Cow<'static, str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        String::take(bytes).map(Self::Owned)
    }
}

impl Stored for StateDir {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(&self.0.to_string_lossy(), out); // it came from text
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        bytes.text().map(|path| Self(path.into()))
    }
}

impl Stored for ConfigDuration {
    fn put(&self, out: &mut Vec<u8>) {
        u32::try_from(self.as_seconds()).unwrap_or(u32::MAX).put(out);
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        bytes.u32().map(Self::seconds)
    }
}

impl Stored for Date {
    fn put(&self, out: &mut Vec<u8>) {
        self.first_second().put(out);
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        bytes.i64().map(Self::of)
    }
}

impl Stored for Hours {
    fn put(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        Self::decode(bytes)
    }
}

/// Only ever written if there is a value: none is the default.
impl<T: Stored> Stored for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        T::take(bytes).map(Some)
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        // Below 64 Ki, as the whole file is.
        out.extend_from_slice(&u16::try_from(self.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.iter().for_each(|item| item.put(out));
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        (0..bytes.u16()?).map(|_| T::take(bytes)).collect()
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        Ok((A::take(bytes)?, B::take(bytes)?))
    }
}

macro_rules! words {
    ($($kind:ident: $all:expr;)*) => {
        $(impl Stored for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                let place = $all.iter().position(|word| word == self);
                out.push(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX));
            }

            fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
                $all.get(usize::from(bytes.u8()?)).copied().ok_or(Damaged)
            }
        })*
    };
}

words! {
    Require: [Self::Code, Self::Nothing];
    Unasked: [Self::Log, Self::Deny];
    FirstLogin: FIRST_LOGINS;
}
