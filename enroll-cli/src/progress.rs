//! One line on a terminal's standard error while a command works for more than a second and has printed
//! nothing yet. It is taken away before anything else is shown.

use qrtotp_clock::Deadline;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// From when on it is shown.
const FIRST: Duration = Duration::from_secs(1);
/// How often it changes then.
const NEXT: Duration = Duration::from_millis(200);
/// Lines or accounts between two looks at the clock.
const MANY: u64 = 256;

#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    done: u64,
    /// `None`: there is no terminal.
    quiet: Option<Deadline>,
    shown: bool,
}

impl Progress {
    /// `what`: up to 60 characters.
    pub fn of(what: &'static str) -> Self {
        let quiet = std::io::stderr().is_terminal().then(|| Deadline::after(FIRST));
        Self { what, done: 0, quiet, shown: false }
    }

    /// One more is done.
    pub fn one_more(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(MANY) {
            self.show();
        }
    }

    /// One more of a few is done.
    pub fn one_more_of_few(&mut self) {
        self.done += 1;
        self.show();
    }

    fn show(&mut self) {
        if self.quiet.as_ref().is_none_or(|quiet| !quiet.left().is_zero()) {
            return;
        }
        // If it can't be shown, nothing is lost.
        let _ = write!(std::io::stderr(), "\r\x1b[K{} … {}", self.what, self.done);
        self.shown = true;
        self.quiet = Some(Deadline::after(NEXT));
    }

    /// Takes the line away.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        self.quiet = None;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
