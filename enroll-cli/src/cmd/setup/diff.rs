//! What changes in a file, as `diff -u` shows it.

use super::plan::Change;

/// Lines around a change.
const CONTEXT: usize = 3;

/// A line of both, of the old file, or of the new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Both(&'t str),
    Old(&'t str),
    New(&'t str),
}

/// The change, with a header that `patch` takes.
pub fn unified(change: &Change) -> String {
    let file = change.file.display();
    let old = change.before.as_deref().unwrap_or_default();
    let from = if change.before.is_some() { format!("a{file}") } else { "/dev/null".into() };
    let lines = lines(&old.lines().collect::<Vec<_>>(), &change.after.lines().collect::<Vec<_>>());
    let mut text = format!("--- {from}\n+++ b{file}\n");
    let changed: Vec<usize> = (0..lines.len()).filter(|at| !matches!(lines[*at], Line::Both(_))).collect();
    let mut at = 0;
    while at < changed.len() {
        let mut last = at;
        while changed.get(last + 1).is_some_and(|next| next - changed[last] <= 2 * CONTEXT) {
            last += 1;
        }
        let (start, end) =
            (changed[at].saturating_sub(CONTEXT), (changed[last] + CONTEXT + 1).min(lines.len()));
        text.push_str(&hunk(&lines, start, end));
        at = last + 1;
    }
    text
}

fn hunk(lines: &[Line<'_>], start: usize, end: usize) -> String {
    let old = |part: &[Line<'_>]| part.iter().filter(|line| !matches!(line, Line::New(_))).count();
    let new = |part: &[Line<'_>]| part.iter().filter(|line| !matches!(line, Line::Old(_))).count();
    let range =
        |before: usize, count: usize| format!("{},{count}", if count == 0 { before } else { before + 1 });
    let part = &lines[start..end];
    let mut text = format!(
        "@@ -{} +{} @@\n",
        range(old(&lines[..start]), old(part)),
        range(new(&lines[..start]), new(part))
    );
    for line in part {
        let (sign, content) = match line {
            Line::Both(content) => (' ', content),
            Line::Old(content) => ('-', content),
            Line::New(content) => ('+', content),
        };
        text.push_str(&format!("{sign}{content}\n"));
    }
    text
}

/// By the longest common subsequence.
fn lines<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            found.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            found.push(Line::Old(old[i]));
            i += 1;
        } else {
            found.push(Line::New(new[j]));
            j += 1;
        }
    }
    found
}
