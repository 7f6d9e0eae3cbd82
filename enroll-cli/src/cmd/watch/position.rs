//! How far the log was read, and how many anomalies were found, for the next run and for `qrtotp metrics`.

use qrtotp_audit_log::rules_of_watch;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How many anomalies each rule found that no line of the log names.
pub type Counts = BTreeMap<&'static str, u64>;

/// A file that keeps it.
pub struct Position {
    file: Option<PathBuf>,
    reached: i64,
}

impl Position {
    /// The file, and up to when the log was read, in microseconds since 1970: what is not newer was reported.
    /// Without a file, or with a new one, the log counts from `now` on.
    pub fn load(file: Option<&Path>, now: i64) -> (Self, i64, Counts) {
        let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let read = text.lines().next().and_then(|line| line.trim().parse().ok());
        let read = read.map_or(now, |read: i64| read.min(now));
        (Self { file: file.map(Path::to_owned), reached: read }, read, counts(&text))
    }

    /// Keeps the position and the counts.
    pub fn keep(&mut self, time: i64, counts: &Counts) {
        let Some(file) = self.file.as_ref().filter(|_| time > self.reached) else { return };
        self.reached = time;
        let mut next = file.as_os_str().to_owned();
        next.push(".new");
        let mut text = format!("{time}\n");
        for (rule, count) in counts {
            let _ = writeln!(text, "{rule} {count}");
        }
        // `qrtotp metrics` reads it without a capability.
        let written = std::fs::write(&next, text)
            .and_then(|()| std::fs::set_permissions(&next, Permissions::from_mode(0o644)))
            .and_then(|()| std::fs::rename(&next, file));
        if let Err(error) = written {
            let _ = writeln!(std::io::stderr(), "qrtotp: cannot write {}: {error}", file.display());
        }
    }
}

/// The counts in the text of such a file, 0 for a rule that it does not have.
pub fn counts(text: &str) -> Counts {
    let counted = |rule: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(rule)?.strip_prefix(' '));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    rules_of_watch().map(|rule| (rule, counted(rule))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_later_run_goes_on_where_the_earlier_one_was_and_counts_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("place");
        let (mut position, read, mut counts) = Position::load(Some(&file), 1000);
        assert_eq!((read, counts["spray"]), (1000, 0));
        counts.insert("spray", 7);
        position.keep(2000, &counts);
        position.keep(1500, &Counts::new());
        let of = |now| {
            let (_, read, counts) = Position::load(Some(&file), now);
            (read, counts["spray"])
        };
        assert_eq!(of(9000), (2000, 7));
        assert_eq!(of(1500), (1500, 7), "the clock was set back");
        let (_, read, none) = Position::load(None, 9000);
        assert_eq!((read, none["spray"]), (9000, 0));
        std::fs::write(&file, "2000\n").unwrap();
        assert_eq!(of(9000), (2000, 0), "of an older version");
    }
}
