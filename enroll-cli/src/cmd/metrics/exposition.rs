//! Numbers in the two forms that Prometheus reads.

use std::fmt::{Display, Write as _};

/// A form of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' text form 0.0.4: node_exporter reads no other one from a file.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Families of numbers, as text.
pub struct Exposition {
    form: Form,
    text: String,
}

impl Exposition {
    pub fn new(form: Form) -> Self {
        Self { form, text: String::new() }
    }

    /// Adds a gauge; each sample has labels, or none, and a value.
    pub fn gauge<L: Display, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }

    /// Adds a counter. `family`: its name without `_total`; each sample is a name with labels, and a value.
    pub fn counter<'s>(
        &mut self,
        family: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'s String, &'s u64)>,
    ) {
        // In OpenMetrics the name of a counter is that of its samples without `_total`.
        let total = if self.form == Form::Text { "_total" } else { "" };
        let _ = writeln!(self.text, "# HELP {family}{total} {help}\n# TYPE {family}{total} counter");
        for (series, value) in samples {
            let _ = writeln!(self.text, "{series} {value}");
        }
    }

    /// The whole text.
    pub fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}
