//! A configuration as a tree of keys and values, with two spellings: TOML, for admins, and the short binary
//! form that a login reads.
//!
//! Binary: a tag (u8) and its value. 0: text (u16 length, UTF-8). 1: integer (i64). 2: boolean (u8, 0 or 1).
//! 3: list (u16 count, values). 4: table (u16 count, each a key as text without its tag, and a value).
//! Little-endian.

use super::bytes::{Bytes, Damaged, put_text};
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Deepest nesting of values. Ours need five: the document, `[broker]`, `services`, a list of it, and an
/// item.
const DEPTH: u8 = 5;

/// A fault, and its byte offset in the TOML text.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(value: &Value, message: String) -> Self {
        Self { at: value.at, message }
    }
}

/// A value and its place in the TOML text, in bytes; 0 if it was read from the binary form.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) is: Is,
}

/// A value by its kind.
#[derive(Debug)]
pub(super) enum Is {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value>),
    Table(Table),
    /// A type of TOML that no setting has, by its name.
    Other(&'static str),
}

/// Keys and values, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// A key, its place and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: usize,
    pub(super) value: Value,
}

impl Value {
    /// The kind's name in messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.is {
            Is::Text(_) => "string",
            Is::Integer(_) => "integer",
            Is::Boolean(_) => "boolean",
            Is::List(_) => "array",
            Is::Table(_) => "table",
            Is::Other(kind) => kind,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.is {
            Is::Text(text) => write!(f, "{text:?}"),
            Is::Integer(number) => number.fmt(f),
            Is::Boolean(yes) => yes.fmt(f),
            Is::List(values) => {
                let texts: Vec<String> = values.iter().map(Self::to_string).collect();
                write!(f, "[{}]", texts.join(", "))
            }
            Is::Table(_) | Is::Other(_) => f.write_str(self.kind()),
        }
    }
}

impl Table {
    /// Parses TOML.
    pub(super) fn from_toml(text: &str) -> Result<Self, Fault> {
        let document = DeTable::parse(text).map_err(|error| Fault {
            at: error.span().map_or(0, |span| span.start),
            message: error.message().to_owned(),
        })?;
        table(document.get_ref())
    }

    /// The entry called `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The place of a key with its tables' names before it, or of the last of the tables that is there.
    pub(super) fn place(&self, key: &str) -> usize {
        let (mut table, mut at) = (self, 0);
        for part in key.split('.') {
            let Some(entry) = table.0.iter().find(|entry| entry.key == part) else { break };
            at = entry.at;
            let Is::Table(inner) = &entry.value.is else { break };
            table = inner;
        }
        at
    }

    /// Takes out the entry called `key`.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let place = self.0.iter().position(|entry| entry.key == key)?;
        Some(self.0.remove(place).value)
    }

    /// The keys with their tables' names before them, and the values as TOML.
    pub(super) fn flat(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for Entry { key, value, .. } in &self.0 {
            match &value.is {
                Is::Table(table) => {
                    found.extend(
                        table.flat().into_iter().map(|(inner, text)| (format!("{key}.{inner}"), text)),
                    );
                }
                _ => found.push((key.clone(), value.to_string())),
            }
        }
        found
    }

    /// Appends the binary form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        encode_table(self, out);
    }

    /// Reads the binary form.
    pub(super) fn decode(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        match decode(bytes, DEPTH)?.is {
            Is::Table(table) => Ok(table),
            _ => Err(Damaged),
        }
    }
}

fn table(table: &DeTable<'_>) -> Result<Table, Fault> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, read) in table {
        entries.push(Entry { key: key.get_ref().to_string(), at: key.span().start, value: value(read)? });
    }
    entries.sort_by_key(|entry| entry.at);
    Ok(Table(entries))
}

fn value(read: &Spanned<DeValue<'_>>) -> Result<Value, Fault> {
    let at = read.span().start;
    let is = match read.get_ref() {
        DeValue::String(text) => Is::Text(text.to_string()),
        DeValue::Boolean(is) => Is::Boolean(*is),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Is::Integer(number),
            Err(_) => {
                let message =
                    format!("invalid value: integer `{}`, expected 0 to {}", number.as_str(), u32::MAX);
                return Err(Fault { at, message });
            }
        },
        DeValue::Array(list) => Is::List(list.iter().map(value).collect::<Result<_, _>>()?),
        DeValue::Table(entries) => Is::Table(table(entries)?),
        other => Is::Other(other.type_str()),
    };
    Ok(Value { at, is })
}

/// Counts and lengths are bounded by the file's 64 KiB.
fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

fn encode_table(table: &Table, out: &mut Vec<u8>) {
    out.push(4);
    put_count(table.0.len(), out);
    for entry in &table.0 {
        put_text(&entry.key, out);
        encode(&entry.value, out);
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match &value.is {
        Is::Text(text) => {
            out.push(0);
            put_text(text, out);
        }
        Is::Integer(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Is::Boolean(is) => out.extend_from_slice(&[2, u8::from(*is)]),
        Is::List(list) => {
            out.push(3);
            put_count(list.len(), out);
            list.iter().for_each(|value| encode(value, out));
        }
        Is::Table(table) => encode_table(table, out),
        // No setting has this type, so none reaches this.
        Is::Other(_) => out.push(u8::MAX),
    }
}

fn decode(bytes: &mut Bytes<'_>, depth: u8) -> Result<Value, Damaged> {
    let depth = depth.checked_sub(1).ok_or(Damaged)?;
    let is = match bytes.u8()? {
        0 => Is::Text(bytes.text()?.to_owned()),
        1 => Is::Integer(bytes.i64()?),
        2 => Is::Boolean(bytes.boolean()?),
        3 => Is::List((0..bytes.u16()?).map(|_| decode(bytes, depth)).collect::<Result<_, _>>()?),
        4 => {
            let count = bytes.u16()?;
            let entry = |_| {
                let key = bytes.text()?.to_owned();
                Ok(Entry { key, at: 0, value: decode(bytes, depth)? })
            };
            Is::Table(Table((0..count).map(entry).collect::<Result<_, _>>()?))
        }
        _ => return Err(Damaged),
    };
    Ok(Value { at: 0, is })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Table::from_toml(text).ok().unwrap().encode(&mut out);
        out
    }

    #[test]
    fn a_document_is_the_same_after_its_binary_form() {
        for text in ["", "a = 'b'\nc = -3\n[d]\ne = [true, 'ü', 0x10]\n[d.f]\ng = 9"] {
            let bytes = encoded(text);
            let mut read = Bytes::new(&bytes);
            let table = Table::decode(&mut read).unwrap();
            let mut again = Vec::new();
            table.encode(&mut again);
            assert_eq!((again, read.is_empty()), (bytes, true), "{text}");
        }
    }

    #[test]
    fn a_binary_form_that_is_cut_or_too_deep_is_damaged() {
        let whole = encoded("a = 'b'\n[d]\ne = [true, 'ü']");
        for length in 0..whole.len() {
            assert!(Table::decode(&mut Bytes::new(&whole[..length])).is_err(), "{length}");
        }
        assert!(Table::decode(&mut Bytes::new(&encoded("a.b.c.d.e = 1"))).is_err());
        assert!(Table::decode(&mut Bytes::new(&encoded("a.b.c = 1"))).is_ok());
    }
}
