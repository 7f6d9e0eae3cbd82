//! The guard of enrolment at login: an account without a credential passes the auth part only where the account and
//! the session part of this module are certain to follow. Reads the PAM file of the service as libpam does, but
//! understands little on purpose: what it does not understand is a refusal.

use super::evidence::{Files, Ways};
use super::pam_file::{DIRECTORIES, Entry, LIMIT, Line, MODULE, find, included, read_line};
use crate::store::{TrustError, read_all};
use rustix::fs::fstat;
use std::borrow::Cow;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The line that the auth part was called from.
#[derive(Clone, Copy, Debug)]
pub struct OurLine<'a> {
    /// PAM_SERVICE.
    pub service: &'a str,
    /// Its `config=`, or the default.
    pub config: &'a Path,
    /// The only sign of a primary factor is a password that an earlier module took.
    pub password_only: bool,
    /// When libpam read the service's file, in nanoseconds of Unix time: what it goes by is the file of then.
    pub read_at: i64,
}

/// The clock of a filesystem's times lags behind by some milliseconds, in nanoseconds.
const COARSE: i64 = 20_000_000;
/// And by up to two seconds where it keeps whole ones.
const COARSEST: i64 = 2_000_000_000;

/// Refuses what was changed since libpam looked at it: it may have been otherwise. To be asked when it has been read.
fn unchanged_since(read_at: i64, fd: impl AsFd) -> Result<(), ()> {
    let stat = fstat(fd).map_err(|_| ())?;
    let changed = known_by(stat.st_ctime, stat.st_ctime_nsec.cast_signed());
    if changed < read_at { Ok(()) } else { Err(()) }
}

/// When at the latest a file was changed that says so, in nanoseconds.
fn known_by(seconds: i64, nanoseconds: i64) -> i64 {
    let lag = if nanoseconds == 0 { COARSEST } else { COARSE };
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds).saturating_add(lag)
}

/// Why nobody may enrol at this service. For the admin, with what to do; `lines` are the lines to add, with their
/// arguments.
#[derive(Debug, Error)]
pub enum StackError {
    /// Not in the configuration's list.
    #[error(
        "the service {service} is not in enroll.services; add it there, and put these two lines first in its PAM \
         file: `{lines}`"
    )]
    NotListed {
        /// The service.
        service: String,
        /// The lines.
        lines: String,
    },
    /// No file of its own.
    #[error(
        "{service} has no file in /etc/pam.d or /usr/lib/pam.d; make one, with these two lines first: `{lines}`"
    )]
    NoFile {
        /// The service.
        service: String,
        /// The lines.
        lines: String,
    },
    /// The file can't be trusted or read.
    #[error(
        "{error}; enrolment at login reads the service's PAM file, and these two lines first in it: `{lines}`"
    )]
    Unreadable {
        /// What is wrong.
        error: TrustError,
        /// The lines.
        lines: String,
    },
    /// Read by libpam before it was as it is now.
    #[error(
        "{path} was changed after this login began; the next login goes by what it says now, that of a program which \
         keeps its modules loaded when it was started anew"
    )]
    Changed {
        /// The file, or the directory in which it may have been.
        path: PathBuf,
    },
    /// Something in the file.
    #[error("{path}: {problem}; put these two lines first in it: `{lines}`")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// The lines.
        lines: String,
    },
}

/// Checks that the parts that finish or refuse an enrolment are certain to follow.
///
/// # Errors
/// They are not, or we can't tell.
pub fn guard(line: &OurLine<'_>, services: &[Cow<'_, str>]) -> Result<(), StackError> {
    guard_in(line, services, &DIRECTORIES)
}

fn guard_in(line: &OurLine<'_>, services: &[Cow<'_, str>], directories: &[&str]) -> Result<(), StackError> {
    let service = line.service;
    if !services.iter().any(|known| known == service) {
        return Err(StackError::NotListed { service: crate::text::clean(service, 64), lines: lines(line) });
    }
    let unreadable = |error| StackError::Unreadable { error, lines: lines(line) };
    let changed: Cell<Option<PathBuf>> = Cell::default();
    let look_at = |path: &Path, fd: BorrowedFd<'_>| {
        if unchanged_since(line.read_at, fd).is_err() {
            // A file rather than the directory that is changed when it is replaced.
            let known = changed.take().filter(|known| !path.starts_with(known));
            changed.set(known.or_else(|| Some(path.to_owned())));
        }
    };
    let found = find(service, directories, look_at);
    let (path, file) = found.map_err(|error| match error {
        TrustError::Missing(_) => StackError::NoFile { service: service.to_owned(), lines: lines(line) },
        error => unreadable(error),
    })?;
    let bytes = read_all(&file, &path, LIMIT).map_err(unreadable)?;
    look_at(&path, file.as_fd());
    let mut files = |name: &str| included(name, directories, look_at).map_err(|error| error.to_string());
    match check(&bytes, line, &mut files) {
        Err(problem) => Err(StackError::File { path, problem, lines: lines(line) }),
        Ok(()) => changed.take().map_or(Ok(()), |path| Err(StackError::Changed { path })),
    }
}

fn lines(line: &OurLine<'_>) -> String {
    let argument = match line.config {
        path if path == Path::new(super::DEFAULT_PATH) => String::new(),
        path => format!(" config={}", path.display()),
    };
    format!("account requisite {MODULE}{argument}` and `session requisite {MODULE}{argument}")
}

impl Entry<'_> {
    /// A denial of this entry is final, it can't be left out, and it works on the same records as we do.
    fn holds(&self, config: &Path) -> bool {
        let plain = self.arguments.iter().all(|argument| !argument.starts_with('['));
        let theirs = self.arguments.iter().find_map(|argument| argument.strip_prefix("config="));
        self.is_ours()
            && !self.optional_module
            && self.control.eq_ignore_ascii_case("requisite")
            && plain
            && Path::new(theirs.unwrap_or(super::DEFAULT_PATH)) == config
    }
}

/// Pure part of [`guard`].
pub(super) fn check(bytes: &[u8], line: &OurLine<'_>, files: &mut Files<'_>) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes); // what is not UTF-8 is not ASCII either, and refused where it matters
    let mut included = false;
    let mut found = [false; 2];
    for (number, raw) in (1..).zip(text.split('\n')) {
        let entry = match read_line(raw).map_err(|problem| format!("line {number} {problem}"))? {
            Line::Entry(entry) => entry,
            Line::Empty => continue,
            Line::Include(_) => {
                included = true;
                continue;
            }
        };
        for (kind, found) in ["account", "session"].into_iter().zip(&mut found) {
            if entry.kind != kind || *found {
                continue;
            }
            if included || !entry.holds(line.config) {
                return Err(format!(
                    "line {number} comes before the {kind} line of {MODULE}, or is not as it must be"
                ));
            }
            *found = true;
        }
    }
    match found {
        [true, true] => {}
        [false, _] => return Err(format!("it has no account line of {MODULE}")),
        [true, false] => return Err(format!("it has no session line of {MODULE}")),
    }
    if line.password_only {
        let mut ways = Ways::new(files);
        ways.pass(bytes)?;
        if !ways.have_us() {
            return Err(format!("neither it nor what it includes has an auth line of {MODULE}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
