//! A compiled catalogue of GNU gettext (`.mo`): "The Format of GNU MO Files" in its manual.

use crate::Message;
use std::borrow::Cow;

/// The first bytes of a file in this byte order. msgfmt writes this one on every machine.
const MAGIC: u32 = 0x9504_12de;
/// Where the header has the number of messages, and the offsets of the tables of originals and translations.
const COUNT: usize = 8;
const ORIGINALS: usize = 12;
const TRANSLATIONS: usize = 16;
/// Bytes of a table's entry: length and offset of a text.
const ENTRY: usize = 8;
/// More messages than any catalogue of ours has.
const MOST: usize = 4096;

/// The translations of one language. The default is English, which needs none.
///
/// The file may hold anything: what can't be read, or does not have the placeholders of its message, is shown
/// in English.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    language: String,
    bytes: Vec<u8>,
}

impl Catalogue {
    /// English.
    pub const ENGLISH: &'static Self = &Self { language: String::new(), bytes: Vec::new() };

    /// The content of a file for `language`, such as `nl`. `None` if it is no catalogue.
    #[must_use]
    pub fn new(language: &str, bytes: Vec<u8>) -> Option<Self> {
        let catalogue = Self { language: language.to_owned(), bytes };
        (catalogue.number(0) == Some(MAGIC as usize)).then_some(catalogue)
    }

    /// Its language; empty: English.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The message in this language, or in English.
    #[must_use]
    pub fn text(&self, message: &Message) -> Cow<'static, str> {
        let translated = self.translation(message.id()).and_then(|template| message.fill(template));
        translated.map_or_else(|| message.english(), Cow::Owned)
    }

    /// How many translations there are, the header's included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.number(COUNT).unwrap_or(0).min(MOST)
    }

    /// Whether nothing is translated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The translation of an English template. (All are compared: there are few, and no order to rely on.)
    #[must_use]
    pub fn translation(&self, english: &str) -> Option<&str> {
        if english.is_empty() {
            return None; // the header's key
        }
        let is_it = |at: &usize| self.entry(ORIGINALS, *at) == Some(english.as_bytes());
        let at = (0..self.len()).find(is_it)?;
        let text = std::str::from_utf8(self.entry(TRANSLATIONS, at)?).ok()?;
        (!text.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n')).then_some(text)
    }

    fn entry(&self, table: usize, at: usize) -> Option<&[u8]> {
        let entry = self.number(table)?.checked_add(at.checked_mul(ENTRY)?)?;
        let (length, start) = (self.number(entry)?, self.number(entry.checked_add(4)?)?);
        self.bytes.get(start..start.checked_add(length)?)
    }

    fn number(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    }
}

#[cfg(test)]
mod tests;
