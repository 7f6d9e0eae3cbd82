//! The changes of a file, in the format of `diff -u`.

use super::plan::Change;
use similar::TextDiff;

/// The change, with a header that `patch` takes.
pub fn unified(change: &Change) -> String {
    let file = change.file.display();
    let old = change.before.as_deref().unwrap_or_default();
    let from = if change.before.is_some() { format!("a{file}") } else { "/dev/null".into() };
    let diff = TextDiff::from_lines(old, &change.after);
    diff.unified_diff().header(&from, &format!("b{file}")).to_string()
}
