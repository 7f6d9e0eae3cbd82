//! A reader of little-endian bytes that refuses truncated input, and a writer of text.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The bytes are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// The rest to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Damaged> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Damaged> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damaged),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, Damaged> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Damaged> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Damaged> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn v4(&mut self) -> Result<Ipv4Addr, Damaged> {
        self.array::<4>().map(Ipv4Addr::from)
    }

    pub(super) fn v6(&mut self) -> Result<Ipv6Addr, Damaged> {
        self.array::<16>().map(Ipv6Addr::from)
    }

    /// A part after its length (u16).
    pub(super) fn part(&mut self) -> Result<Bytes<'a>, Damaged> {
        let length = self.u16()?;
        self.take(length.into()).map(Bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Damaged> {
        self.part()?.as_text()
    }

    pub(super) fn as_text(self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.0).map_err(|_| Damaged)
    }
}

/// Appends a part after its length. Parts are far below 64 KiB, because the whole file is.
pub(super) fn put_part(part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(part);
}

pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_part(text.as_bytes(), out);
}

/// 1 to `max` characters, none of which moves a cursor or hides.
pub(super) fn printable(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.chars().count()) && qrtotp_values::text::clean(text, max) == text
}
