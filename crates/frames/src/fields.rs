//! The fields of a frame: numbers in big endian, texts with their length before them.

use super::{FrameError, MAX_FRAME};
use zeroize::Zeroize;

/// A frame that is being written. Wiped when dropped, but not the room behind it, where nothing was: to wipe
/// 16 KiB byte by byte takes longer than all else about a frame.
pub struct Writer {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

impl Writer {
    pub(super) fn new(header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(MAX_FRAME); // never grows, so no part is left behind
        bytes.extend_from_slice(header);
        Self { bytes, too_long: false }
    }

    pub(super) fn finish(&mut self) -> Result<&mut [u8], FrameError> {
        if self.too_long { Err(FrameError::TooLong) } else { Ok(&mut self.bytes) }
    }

    fn raw(&mut self, bytes: &[u8]) {
        if bytes.len() > MAX_FRAME - self.bytes.len() {
            self.too_long = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The bytes written so far; `None` if it is too long for a frame.
    pub(super) fn so_far(&self) -> Option<&[u8]> {
        (!self.too_long).then_some(&self.bytes)
    }

    /// A number.
    pub fn number(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// A byte.
    pub fn byte(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// A field of at most 65,535 bytes; a longer one makes the frame too long.
    pub fn bytes(&mut self, value: &[u8]) {
        match u16::try_from(value.len()) {
            Ok(length) => {
                self.raw(&length.to_be_bytes());
                self.raw(value);
            }
            Err(_) => self.too_long = true,
        }
    }

    /// A text for users, cut to `max` bytes.
    pub fn cut(&mut self, text: &str, max: usize) {
        let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.bytes(&text.as_bytes()[..end]);
    }

    /// Bytes of a fixed number, without their length.
    pub(super) fn fixed(&mut self, value: &[u8]) {
        self.raw(value);
    }

    /// A field that may be missing.
    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            put(self, value);
        }
    }
}

/// The fields of a received frame that are still to be read.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    fn raw(&mut self, length: usize, name: &'static str) -> Result<&'a [u8], FrameError> {
        let (value, rest) = self.0.split_at_checked(length).ok_or(FrameError::Field(name))?;
        self.0 = rest;
        Ok(value)
    }

    /// Bytes of a fixed number.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub(super) fn array<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], FrameError> {
        self.raw(N, name)?.try_into().map_err(|_| FrameError::Field(name))
    }

    /// A number.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn number(&mut self, name: &'static str) -> Result<u32, FrameError> {
        Ok(u32::from_be_bytes(self.array(name)?))
    }

    /// A byte.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn byte(&mut self, name: &'static str) -> Result<u8, FrameError> {
        let [byte] = self.array(name)?;
        Ok(byte)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn bool(&mut self, name: &'static str) -> Result<bool, FrameError> {
        match self.byte(name)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameError::Field(name)),
        }
    }

    /// Bytes, at most `max` of them.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn bytes(&mut self, max: usize, name: &'static str) -> Result<&'a [u8], FrameError> {
        let length = usize::from(u16::from_be_bytes(self.array(name)?));
        if length > max {
            return Err(FrameError::Field(name));
        }
        self.raw(length, name)
    }

    /// A text of several lines.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn text(&mut self, max: usize, name: &'static str) -> Result<&'a str, FrameError> {
        let text = std::str::from_utf8(self.bytes(max, name)?).map_err(|_| FrameError::Field(name))?;
        let wrong = text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        if wrong { Err(FrameError::Field(name)) } else { Ok(text) }
    }

    /// A text of one line.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn line(&mut self, max: usize, name: &'static str) -> Result<&'a str, FrameError> {
        let text = self.text(max, name)?;
        if text.contains(['\n', '\t']) { Err(FrameError::Field(name)) } else { Ok(text) }
    }

    /// A field that may be missing.
    ///
    /// # Errors
    /// It is truncated or malformed.
    pub fn option<T>(
        &mut self,
        name: &'static str,
        take: impl FnOnce(&mut Self) -> Result<T, FrameError>,
    ) -> Result<Option<T>, FrameError> {
        if self.bool(name)? { take(self).map(Some) } else { Ok(None) }
    }

    /// Refuses bytes after the last field.
    pub(super) fn end(&self) -> Result<(), FrameError> {
        if self.0.is_empty() { Ok(()) } else { Err(FrameError::Field("end")) }
    }
}
