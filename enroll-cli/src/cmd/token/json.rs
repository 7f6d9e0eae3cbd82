//! Several things as JSON.

use serde::Serialize;
use std::fs::File;
use std::io::Write;
use zeroize::Zeroizing;

/// A JSON array that is written item by item.
pub struct JsonList {
    on: bool,
    opened: bool,
    head: &'static str,
    tail: &'static str,
}

impl JsonList {
    /// An object of tokens, of its own.
    pub fn of_tokens(on: bool) -> Self {
        Self { on, opened: false, head: "{\"version\":1,\"tokens\":[", tail: "]}\n" }
    }

    /// A part of an object.
    pub fn part() -> Self {
        Self { on: true, opened: false, head: "[", tail: "]" }
    }

    pub fn item(&mut self, out: &mut impl Write, item: &impl Serialize) -> std::io::Result<()> {
        let begin = if self.opened { "," } else { self.head };
        writeln!(out, "{begin}")?;
        serde_json::to_writer(out, item)?;
        self.opened = true;
        Ok(())
    }

    pub fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.on, self.opened) {
            (false, _) => Ok(()),
            (true, true) => write!(out, "\n{}", self.tail),
            (true, false) => write!(out, "{}{}", self.head, self.tail),
        }
    }
}

/// Writes JSON through memory that is wiped.
pub fn put_json(
    out: &mut File,
    json: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut text = Zeroizing::new(Vec::with_capacity(128 * 1024)); // never grows, so no part is left behind
    json(&mut text)?;
    out.write_all(&text)
}
