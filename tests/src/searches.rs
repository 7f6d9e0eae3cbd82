//! Searches of a process's memory: for which patterns, where and when.

use std::{collections::BTreeSet, path::Path};

use crate::{
    figures,
    memory::{Found, Patterns, search},
};

/// The searches in one process, moment by moment.
pub struct Searches {
    process: &'static str,
    moments: Vec<Moment>,
}

#[derive(Default)]
struct Moment {
    name: &'static str,
    times: u32,
    mappings: usize,
    bytes: usize,
    patterns: usize,
    shielded: usize,
    elsewhere: usize,
}

impl Searches {
    #[must_use]
    pub fn of(process: &'static str) -> Self {
        Self { process, moments: Vec::new() }
    }

    /// Searches the process of this directory in /proc for all of these; returns the hits.
    pub fn look(&mut self, name: &'static str, place: &Path, patterns: &Patterns) -> Vec<Found> {
        let searched = search(place, patterns);
        let index = self.moments.iter().position(|moment| moment.name == name).unwrap_or_else(|| {
            self.moments.push(Moment { name, ..Moment::default() });
            self.moments.len() - 1
        });
        let moment = &mut self.moments[index];
        moment.times += 1;
        moment.mappings += searched.mappings;
        moment.bytes += searched.bytes;
        moment.patterns = moment.patterns.max(patterns.len());
        let shielded = searched.found.iter().filter(|found| found.is_shielded()).count();
        moment.shielded += shielded;
        moment.elsewhere += searched.found.len() - shielded;
        searched.found
    }

    /// Prints a row for each moment, and one for each kind of secret of `patterns` with its forms.
    pub fn tell(&self, patterns: &Patterns) {
        for moment in &self.moments {
            let counts = [
                moment.times as usize,
                moment.mappings,
                moment.bytes >> 10,
                moment.patterns,
                moment.shielded,
                moment.elsewhere,
            ];
            let cells = [self.process.to_owned(), moment.name.to_owned()];
            figures::print("searches", &[&cells[..], &counts.map(|count| count.to_string())].concat());
        }
        let kinds: BTreeSet<&str> = patterns.iter().map(|(name, _)| split(name).0).collect();
        for kind in kinds {
            let forms: BTreeSet<&str> = patterns
                .iter()
                .filter_map(|(name, _)| (split(name).0 == kind).then_some(split(name).1))
                .collect();
            let forms: Vec<&str> = forms.into_iter().collect();
            figures::print("forms", &[kind.to_owned(), forms.join(", ")]);
        }
    }
}

/// The secret, and its form.
fn split(name: &str) -> (&str, &str) {
    name.split_once(", ").unwrap_or((name, ""))
}

/// The hits other than `held`.
#[must_use]
pub fn besides(held: &[&str], found: Vec<Found>) -> Vec<Found> {
    found.into_iter().filter(|found| !held.contains(&found.what.as_str())).collect()
}
