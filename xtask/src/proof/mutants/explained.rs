//! Known survivors, each with the reason why no test can notice it.

use anyhow::{Result, ensure};

const TEXT: &str = include_str!("explained.txt");

/// Paragraphs: lines with `#` give the reason, the others name changes, as `FILE: CHANGE`.
#[derive(Default)]
pub struct Explained(Vec<(String, String)>);

impl Explained {
    /// # Errors
    /// A change without a reason.
    pub fn read() -> Result<Self> {
        parse(TEXT)
    }

    /// The explained changes to a file.
    fn of(&self, file: &str) -> Vec<String> {
        self.0.iter().filter(|(of, _)| of == file).map(|(_, name)| name.clone()).collect()
    }

    /// The survivors of a file without an explanation, and the explanations without a survivor. A change of
    /// one name may be possible at several places: each is explained once.
    pub fn compare(&self, file: &str, survivors: &[String]) -> (Vec<String>, Vec<String>) {
        let mut stale = self.of(file);
        let mut unexplained = Vec::new();
        for survivor in survivors {
            match stale.iter().position(|name| name == survivor) {
                Some(index) => {
                    stale.swap_remove(index);
                }
                None => unexplained.push(survivor.clone()),
            }
        }
        (unexplained, stale)
    }
}

fn parse(text: &str) -> Result<Explained> {
    let mut known = Vec::new();
    for paragraph in text.split("\n\n") {
        let (reasons, changes): (Vec<&str>, Vec<&str>) =
            paragraph.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('#'));
        ensure!(changes.is_empty() || !reasons.is_empty(), "explained.txt gives no reason for {changes:?}");
        for change in changes {
            let Some((file, name)) = change.split_once(": ") else {
                anyhow::bail!("explained.txt names no file: {change}");
            };
            known.push((file.to_owned(), name.to_owned()));
        }
    }
    Ok(Explained(known))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_survivor_without_a_reason_and_a_reason_without_a_survivor_are_named() {
        let explained = parse("# Why.\na.rs: one\na.rs: one\n\n# Why.\na.rs: two\nb.rs: three\n").unwrap();
        let survivors = ["one", "four"].map(str::to_owned);
        let (unexplained, stale) = explained.compare("a.rs", &survivors);
        assert_eq!((unexplained, stale.len()), (vec!["four".to_owned()], 2));
        assert!(stale.contains(&"one".to_owned()) && stale.contains(&"two".to_owned()));
    }

    #[test]
    fn a_change_without_a_reason_is_refused() {
        assert!(parse("# Why.\na.rs: one\n\na.rs: two\n").is_err());
        assert!(parse("").is_ok());
    }
}
