//! How a program in a sandbox ended.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// A program's exit status and output.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Panics unless the exit code is 0.
    pub fn success(self) -> Self {
        self.exited(0)
    }

    /// Panics unless the exit code is `code`.
    pub fn exited(self, code: i32) -> Self {
        assert!(self.status.code() == Some(code), "expected exit code {code}: {self:#?}");
        self
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}
