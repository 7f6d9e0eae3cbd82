//! The part of TOML 1.0 that records and markers are written in: one line each for `[table]`, `[[table]]` and
//! `key = value`, where a value is a basic string, an integer or `true`. Anything else is refused, and so is
//! a key that no reader asks for.
//!
//! A full TOML parser took most of a login's instructions and a fifth of the module's size.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text has not the form that we write.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct NotPlain;

/// A text under construction.
#[derive(Default)]
pub struct Writer(String);

impl Writer {
    /// Begins a table: `recovery`, or `[credential]` for one of many.
    pub fn table(&mut self, header: &str) {
        let _ = write!(self.0, "\n[{header}]\n"); // a String takes everything
    }

    /// Writes a string.
    pub fn text(&mut self, key: &str, text: &str) {
        let _ = write!(self.0, "{key} = \"");
        for c in text.chars() {
            let _ = match c {
                '"' | '\\' => write!(self.0, "\\{c}"),
                c if c.is_control() => write!(self.0, "\\u{:04X}", u32::from(c)),
                c => self.0.write_char(c),
            };
        }
        self.0.push_str("\"\n");
    }

    /// Writes an integer.
    pub fn number(&mut self, key: &str, number: impl Into<i64>) {
        let _ = writeln!(self.0, "{key} = {}", number.into());
    }

    /// Writes `key = true`.
    pub fn truth(&mut self, key: &str) {
        let _ = writeln!(self.0, "{key} = true");
    }

    /// The document.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A text as tables; the first has no header. Reading a table removes it.
pub struct Document<'t>(Vec<Table<'t>>);

/// The lines under one header. [`Table::finish`] refuses lines that were not read.
pub struct Table<'t> {
    header: &'t str,
    lines: Vec<(&'t str, &'t str)>,
}

impl<'t> Document<'t> {
    /// Reads a document.
    ///
    /// # Errors
    /// It is not of the subset.
    pub fn parse(text: &'t str) -> Result<Self, NotPlain> {
        let mut tables = vec![Table { header: "", lines: Vec::with_capacity(8) }];
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(header) = line.strip_prefix('[') {
                let header = header.strip_suffix(']').filter(|header| !header.is_empty()).ok_or(NotPlain)?;
                tables.push(Table { header, lines: Vec::with_capacity(8) });
            } else if let Some(table) = tables.last_mut() {
                let (key, value) = line.split_once('=').ok_or(NotPlain)?;
                let line = (key.strip_suffix(' ').ok_or(NotPlain)?, value.strip_prefix(' ').ok_or(NotPlain)?);
                table.lines.push(line);
            }
        }
        Ok(Self(tables))
    }

    /// The next table of that header; the one without is called by the empty text.
    pub fn table(&mut self, header: &str) -> Option<Table<'t>> {
        let place = self.0.iter().position(|table| table.header == header)?;
        Some(self.0.remove(place))
    }

    /// To be called last: refuses tables that were not asked for.
    pub fn finish(self) -> Result<(), NotPlain> {
        if self.0.is_empty() { Ok(()) } else { Err(NotPlain) }
    }
}

impl<'t> Table<'t> {
    fn take(&mut self, key: &str) -> Option<&'t str> {
        let place = self.lines.iter().position(|line| line.0 == key)?;
        Some(self.lines.remove(place).1)
    }

    /// A string.
    ///
    /// # Errors
    /// The key is missing, or of another type.
    pub fn text(&mut self, key: &str) -> Result<Cow<'t, str>, NotPlain> {
        string(self.take(key).ok_or(NotPlain)?)
    }

    /// A string that may be missing.
    ///
    /// # Errors
    /// It is of another type.
    pub fn optional_text(&mut self, key: &str) -> Result<Option<Cow<'t, str>>, NotPlain> {
        self.take(key).map(string).transpose()
    }

    /// An integer.
    ///
    /// # Errors
    /// The key is missing, of another type, or out of range.
    pub fn number<T: TryFrom<i64>>(&mut self, key: &str) -> Result<T, NotPlain> {
        integer(self.take(key).ok_or(NotPlain)?)
    }

    /// An integer that may be missing.
    ///
    /// # Errors
    /// It is of another type, or out of range.
    pub fn optional_number<T: TryFrom<i64>>(&mut self, key: &str) -> Result<Option<T>, NotPlain> {
        self.take(key).map(integer).transpose()
    }

    /// False if the key is missing.
    pub fn truth(&mut self, key: &str) -> Result<bool, NotPlain> {
        match self.take(key) {
            None => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(NotPlain),
        }
    }

    /// To be called last: refuses keys that were not asked for, and those that occur twice.
    pub fn finish(self) -> Result<(), NotPlain> {
        if self.lines.is_empty() { Ok(()) } else { Err(NotPlain) }
    }
}

fn integer<T: TryFrom<i64>>(value: &str) -> Result<T, NotPlain> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.starts_with(['0', '+', '-']) && digits != "0" {
        return Err(NotPlain); // no TOML, or another way to write the same
    }
    T::try_from(value.parse().map_err(|_| NotPlain)?).map_err(|_| NotPlain)
}

/// A string in the form in which [`Writer::text`] writes it.
fn string(value: &str) -> Result<Cow<'_, str>, NotPlain> {
    let text = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(NotPlain)?;
    // One look at each byte: a login reads a dozen strings.
    let mut is_escaped = false;
    for byte in text.bytes() {
        if byte.is_ascii_control() {
            return Err(NotPlain);
        }
        is_escaped |= matches!(byte, b'"' | b'\\');
    }
    if is_escaped { unescape(text).map(Cow::Owned) } else { Ok(text.into()) }
}

fn unescape(text: &str) -> Result<String, NotPlain> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        out.push(match c {
            '"' => return Err(NotPlain),
            '\\' => match rest.next() {
                Some(c @ ('"' | '\\')) => c,
                Some('u') => {
                    let digits = rest.as_str().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                    let number = u32::from_str_radix(digits.ok_or(NotPlain)?, 16).map_err(|_| NotPlain)?;
                    rest = rest.as_str()[4..].chars();
                    char::from_u32(number).ok_or(NotPlain)?
                }
                _ => return Err(NotPlain),
            },
            c => c,
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn only(line: &str) -> Table<'_> {
        Document::parse(line).unwrap().table("").unwrap()
    }

    #[test]
    fn strings_that_are_not_whole_or_of_another_kind_are_refused() {
        for value in [
            "",
            "x",
            "\"",
            "\"a",
            "a\"",
            "\"a\" ",
            " \"a\"",
            "\"a\"b\"",
            r#""\""#,
            r#""\x""#,
            r#""\n""#,
            r#""\u12""#,
            r#""\u+123""#,
            r#""\ud800""#,
            "'a'",
            "'''a'''",
            "\"\"\"a\"\"\"",
            "\"a\tb\"",
            "\"a\" # b",
            "[\"a\"]",
            "1",
        ] {
            assert_eq!(only(&format!("k = {value}")).text("k"), Err(NotPlain), "{value}");
        }
    }

    #[test]
    fn integers_have_one_form_and_must_fit() {
        for (value, number) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
            assert_eq!(only(&format!("k = {value}")).number("k"), Ok(number));
        }
        for value in
            ["", "-", "00", "01", "-01", "+1", "--1", "1_0", "0x1", "1.0", "9223372036854775808", "\"1\""]
        {
            assert_eq!(only(&format!("k = {value}")).number::<i64>("k"), Err(NotPlain), "{value}");
        }
        for value in ["-1", "256"] {
            assert_eq!(only(&format!("k = {value}")).number::<u8>("k"), Err(NotPlain), "{value}");
        }
    }

    #[test]
    fn what_is_repeated_or_not_asked_for_is_refused() {
        let mut table = only("k = 1\nk = 1");
        assert_eq!(table.number("k"), Ok(1));
        assert_eq!(table.finish(), Err(NotPlain));
        let mut document = Document::parse("[a]\n[a]").unwrap();
        assert!(document.table("").is_some() && document.table("a").is_some());
        assert_eq!(document.finish(), Err(NotPlain));
    }

    #[test]
    fn lines_of_another_form_are_refused() {
        for text in ["k=1", "k", "# a remark", "[a", "[]", " k = 1", "k  = 1"] {
            let read =
                Document::parse(text).map(|mut document| document.table("").unwrap().number::<u8>("k"));
            assert!(!matches!(read, Ok(Ok(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_written_here_and_by_a_reader_of_all_of_toml(text in any::<String>(), number: i64) {
            let mut out = Writer::default();
            out.number("number", number);
            out.table("[a]");
            out.text("text", &text);
            let written = out.finish();
            let mut document = Document::parse(&written).unwrap();
            prop_assert_eq!(document.table("").unwrap().number("number"), Ok(number));
            prop_assert_eq!(document.table("[a]").unwrap().text("text").unwrap(), text.as_str());
            let all: toml::Table = written.parse().unwrap();
            prop_assert_eq!(all["number"].as_integer(), Some(number));
            prop_assert_eq!(all["a"][0]["text"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn whatever_is_read_as_text_says_the_same_to_a_reader_of_all_of_toml(value in "[\"']{0,4}[a'\"\\\\ub0-9]{0,8}[\"']{0,4}") {
            let line = format!("k = {value}");
            if let Ok(text) = only(&line).text("k") {
                let all: toml::Table = line.parse().unwrap();
                prop_assert_eq!(all["k"].as_str(), Some(&*text));
            }
        }
    }
}
