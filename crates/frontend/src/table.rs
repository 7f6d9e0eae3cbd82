//! Tables for people: a header, and columns as wide as their widest cell on a terminal. Programs get JSON.

use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Rows from which the widths are taken. Later rows are written at once, so that a long table needs no more
/// memory than a short one.
const MEASURED: usize = 200;

/// A table of so many columns. Without a row it has no header either.
pub struct Table<const COLUMNS: usize> {
    waiting: Vec<[String; COLUMNS]>,
    widths: Option<[usize; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with this header.
    #[must_use]
    pub fn new(header: [&str; COLUMNS]) -> Self {
        Self { waiting: vec![header.map(str::to_owned)], widths: None }
    }

    /// Adds a row; an empty cell is shown as `-`.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn row(&mut self, out: &mut impl Write, cells: [String; COLUMNS]) -> io::Result<()> {
        let cells = cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell });
        if let Some(widths) = &self.widths {
            return put(out, &cells, widths);
        }
        self.waiting.push(cells);
        if self.waiting.len() > MEASURED { self.flush(out) } else { Ok(()) }
    }

    /// Writes what is left. True: there was a row.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn end(mut self, out: &mut impl Write) -> io::Result<bool> {
        let any = self.widths.is_some() || self.waiting.len() > 1;
        if any {
            self.flush(out)?;
        }
        Ok(any)
    }

    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let widest = |column: usize| waiting.iter().map(|cells| cells[column].width()).max().unwrap_or(0);
        let widths = *self.widths.get_or_insert_with(|| std::array::from_fn(widest));
        waiting.iter().try_for_each(|cells| put(out, cells, &widths))
    }
}

/// Two blanks between columns, none at the end of a line.
fn put<const COLUMNS: usize>(
    out: &mut impl Write,
    cells: &[String; COLUMNS],
    widths: &[usize; COLUMNS],
) -> io::Result<()> {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written<const COLUMNS: usize>(header: [&str; COLUMNS], rows: &[[&str; COLUMNS]]) -> String {
        let (mut out, mut table) = (Vec::new(), Table::new(header));
        for row in rows {
            table.row(&mut out, row.map(str::to_owned)).unwrap();
        }
        assert_eq!(table.end(&mut out).unwrap(), !rows.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_by_their_width_on_a_terminal_and_not_by_bytes_or_characters() {
        let shown = written(
            ["USER", "LABEL", "USED"],
            &[["zoë", "手机", "never"], ["al", "e\u{301}té", ""], ["bartholomew", "x", "now"]],
        );
        let expected = "USER         LABEL  USED\n\
                        zoë          手机   never\n\
                        al           e\u{301}té    -\n\
                        bartholomew  x      now\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_table_without_rows_is_empty() {
        assert_eq!(written(["USER"], &[]), "");
    }

    #[test]
    fn a_long_table_is_written_row_by_row_once_its_widths_are_known() {
        let (mut out, mut table) = (Vec::new(), Table::new(["A", "B"]));
        for number in 0..MEASURED {
            table.row(&mut out, [number.to_string(), "x".into()]).unwrap();
        }
        let lines = |out: &[u8]| out.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines(&out), MEASURED + 1);
        table.row(&mut out, ["wider".into(), "x".into()]).unwrap();
        assert!(out.ends_with(b"wider  x\n") && table.end(&mut out).unwrap());
        assert_eq!(lines(&out), MEASURED + 2);
    }
}
