//! Measurements and their limits: for the terminal, for docs/PERFORMANCE.md, and as JSON.

use serde_json::{Map, Value, json};

#[derive(Default)]
pub struct Report {
    pub tables: Vec<Table>,
    pub bars: Vec<Bar>,
    /// The circumstances of the run.
    pub notes: Vec<String>,
}

pub struct Table {
    pub title: &'static str,
    /// The first column is the rows' name.
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

pub struct Bar {
    pub what: &'static str,
    pub measured: f64,
    pub limit: Limit,
}

impl Bar {
    pub fn at_most(what: &'static str, limit: f64, measured: f64) -> Self {
        Self { what, measured, limit: Limit::AtMost(limit) }
    }

    pub fn at_least(what: &'static str, limit: f64, measured: f64) -> Self {
        Self { what, measured, limit: Limit::AtLeast(limit) }
    }

    /// False for a failed measurement (NaN).
    pub fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.measured <= limit,
            Limit::AtLeast(limit) => self.measured >= limit,
        }
    }

    fn verdict(&self) -> String {
        let limit = self.limit();
        match (self.is_met(), limit == 0.0) {
            (true, _) => "met".into(),
            (false, true) => format!("missed by {}", number((self.measured - limit).abs())),
            (false, false) => {
                format!("missed by {} %", number((self.measured / limit - 1.0).abs() * 100.0))
            }
        }
    }

    fn limit(&self) -> f64 {
        let (Limit::AtMost(limit) | Limit::AtLeast(limit)) = self.limit;
        limit
    }

    fn bound(&self) -> String {
        let sign = if matches!(self.limit, Limit::AtMost(_)) { "≤" } else { "≥" };
        format!("{sign} {}", number(self.limit()))
    }
}

/// Formats a number with only its significant digits.
pub fn number(value: f64) -> String {
    // Not "-0".
    let value = value + 0.0;
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Report {
    pub fn missed(&self) -> usize {
        self.bars.iter().filter(|bar| !bar.is_met()).count()
    }

    fn all_tables(&self) -> impl Iterator<Item = (&str, Vec<Vec<String>>)> {
        let tables = self.tables.iter().map(|table| {
            let head = table.head.iter().map(|name| (*name).to_owned()).collect();
            (table.title, [vec![head], table.rows.clone()].concat())
        });
        let bars = self
            .bars
            .iter()
            .map(|bar| vec![bar.what.to_owned(), number(bar.measured), bar.bound(), bar.verdict()]);
        let head = ["bar", "measured", "limit", ""].map(str::to_owned).to_vec();
        tables.chain([("What was to be reached", std::iter::once(head).chain(bars).collect())])
    }

    /// Markdown, which a terminal shows as well: the columns are aligned.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for note in &self.notes {
            out.push_str(&format!("- {note}\n"));
        }
        for (title, rows) in self.all_tables() {
            out.push_str(&format!("\n## {title}\n\n{}", aligned(&rows)));
        }
        out
    }

    pub fn json(&self) -> Value {
        let table = |table: &Table| {
            let rows = table.rows.iter().map(|row| {
                let cells = table.head.iter().zip(row);
                let cells = cells.map(|(name, cell)| ((*name).to_owned(), value(cell)));
                Value::Object(cells.collect::<Map<_, _>>())
            });
            json!({ "title": table.title, "rows": rows.collect::<Vec<_>>() })
        };
        let bar = |bar: &Bar| json!({ "what": bar.what, "measured": bar.measured, "limit": bar.bound(), "met": bar.is_met() });
        json!({
            "notes": self.notes,
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
            "bars": self.bars.iter().map(bar).collect::<Vec<_>>(),
        })
    }
}

fn value(cell: &str) -> Value {
    cell.parse::<f64>().map_or_else(|_| json!(cell), |number| json!(number))
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0).max(3)).collect();
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            out.push_str(&format!("| {cell} "));
        }
        out.push_str("|\n");
        if at == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { "-" } else { ":" };
                out.push_str(&format!("|-{}{end}", "-".repeat(*width)));
            }
            out.push_str("|\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_by_how_much_it_was_missed() {
        let verdict = |bar: Bar| (bar.is_met(), bar.verdict());
        assert_eq!(verdict(Bar::at_most("", 1.25, 1.25)), (true, "met".into()));
        assert_eq!(verdict(Bar::at_most("", 1.0, 1.5)), (false, "missed by 50 %".into()));
        assert_eq!(verdict(Bar::at_least("", 0.8, 0.4)), (false, "missed by 50 %".into()));
        assert_eq!(verdict(Bar::at_least("", 0.8, 0.9)), (true, "met".into()));
        assert_eq!(verdict(Bar::at_most("", 0.0, 2.0)), (false, "missed by 2".into()));
        assert!(!Bar::at_most("", 1.0, f64::NAN).is_met());
    }

    #[test]
    fn every_figure_is_in_the_text_and_in_the_json() {
        let rows = vec![vec!["ours".into(), "12.5".into()]];
        let table = Table { title: "Time", head: vec!["module", "µs"], rows };
        let bars = vec![Bar::at_most("cost", 1.0, 3.0)];
        let report = Report { tables: vec![table], bars, notes: vec!["idle".into()] };
        let text = report.text();
        for part in [
            "- idle\n",
            "## Time\n\n| module |   µs |\n|--------|-----:|\n| ours   | 12.5 |",
            "|   ≤ 1 | missed by 200 % |",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let json = report.json();
        assert_eq!(json["tables"][0]["rows"][0]["µs"], 12.5);
        assert_eq!(json["bars"][0]["met"], false);
        assert_eq!(report.missed(), 1);
    }
}
