//! Several tokens as JSON.

use serde::Serialize;
use std::io::Write;

/// A JSON array that is written item by item.
pub struct JsonList {
    on: bool,
    opened: bool,
}

impl JsonList {
    pub fn new(on: bool) -> Self {
        Self { on, opened: false }
    }

    pub fn item(&mut self, out: &mut impl Write, item: &impl Serialize) -> std::io::Result<()> {
        out.write_all(if self.opened { b",\n" } else { b"[\n" })?;
        serde_json::to_writer(out, item)?;
        self.opened = true;
        Ok(())
    }

    pub fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.on, self.opened) {
            (false, _) => Ok(()),
            (true, true) => writeln!(out, "\n]"),
            (true, false) => writeln!(out, "[]"),
        }
    }
}
