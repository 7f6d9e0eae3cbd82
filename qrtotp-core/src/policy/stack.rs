//! The guard of enrolment at login: an account without a credential passes the auth part only where the account and
//! the session part of this module are certain to follow. Reads the PAM file of the service as libpam does, but
//! understands little on purpose: what it does not understand is a refusal.

use super::evidence::Ways;
use super::pam_file::{Entry, LIMIT, Line, MODULE, find, read_line};
use crate::store::{TrustError, read_all};
use rustix::fs::fstat;
use std::borrow::Cow;
use std::os::fd::AsFd;
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

/// Refuses what was changed since libpam looked at it: it may have been otherwise.
fn unchanged_since(read_at: i64, fd: impl AsFd) -> Result<(), ()> {
    let stat = fstat(fd).map_err(|_| ())?;
    let changed =
        stat.st_ctime.saturating_mul(1_000_000_000).saturating_add(stat.st_ctime_nsec.cast_signed());
    if changed.saturating_add(COARSE) < read_at { Ok(()) } else { Err(()) }
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
    #[error("{path} was changed after this login began; the next login goes by what it says now")]
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
    let service = line.service;
    if !services.iter().any(|known| known == service) {
        return Err(StackError::NotListed { service: crate::text::clean(service, 64), lines: lines(line) });
    }
    let unreadable = |error| StackError::Unreadable { error, lines: lines(line) };
    let mut changed: Option<PathBuf> = None;
    let found = find(service, |directory, dir| {
        if unchanged_since(line.read_at, dir).is_err() {
            changed = Some(directory.into());
        }
    });
    let (path, file) = found.map_err(|error| match error {
        TrustError::Missing(_) => StackError::NoFile { service: service.to_owned(), lines: lines(line) },
        error => unreadable(error),
    })?;
    if unchanged_since(line.read_at, &file).is_err() {
        changed = Some(path.clone());
    }
    let bytes = read_all(&file, &path, LIMIT).map_err(unreadable)?;
    match check(&bytes, line) {
        Err(problem) => Err(StackError::File { path, problem, lines: lines(line) }),
        Ok(()) => changed.map_or(Ok(()), |path| Err(StackError::Changed { path })),
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
pub(super) fn check(bytes: &[u8], line: &OurLine<'_>) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes); // what is not UTF-8 is not ASCII either, and refused where it matters
    let mut included = false;
    let mut ways = Ways::new();
    let mut found = [false; 2];
    for (number, raw) in (1..).zip(text.split('\n')) {
        let entry = match read_line(raw) {
            Ok(Line::Entry(entry)) => entry,
            Ok(Line::Empty) => continue,
            Ok(Line::Include(_)) => {
                included = true;
                if line.password_only {
                    ways.include().map_err(|problem| format!("line {number}: {problem}"))?;
                }
                continue;
            }
            Err(problem) => return Err(format!("line {number} {problem}")),
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
        if entry.kind == "auth" && line.password_only {
            ways.pass(&entry).map_err(|problem| format!("line {number}: {problem}"))?;
        }
    }
    match found {
        [true, true] => Ok(()),
        [false, _] => Err(format!("it has no account line of {MODULE}")),
        [true, false] => Err(format!("it has no session line of {MODULE}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "# sshd\naccount  requisite pam_qrtotp.so\nSession\tRequisite /lib/security/pam_qrtotp.so # x\n\
                        @include common-auth\nauth required pam_qrtotp.so\n@include common-account\n\
                        session [success=ok ignore=ignore default=bad] pam_selinux.so close\n";

    fn line(password_only: bool) -> OurLine<'static> {
        OurLine { service: "sshd", config: Path::new(super::super::DEFAULT_PATH), password_only, read_at: 0 }
    }

    fn verdict(text: &str) -> Result<(), String> {
        check(text.as_bytes(), &line(true))
    }

    #[test]
    fn the_shipped_order_is_accepted() {
        assert_eq!(verdict(GOOD), Ok(()));
    }

    #[test]
    fn anything_that_could_leave_our_parts_out_is_refused() {
        let account = "account  requisite pam_qrtotp.so";
        for (from, to) in [
            (account, ""),
            (account, "account required pam_qrtotp.so"),
            (account, "account optional pam_qrtotp.so"),
            (account, "account sufficient pam_qrtotp.so"),
            (account, "account [default=die] pam_qrtotp.so"),
            (account, "-account requisite pam_qrtotp.so"),
            (account, "account requisite pam_qrtotp.so config=/other.toml"),
            (account, "account requisite pam_qrtotp.so [config=/x]"),
            (account, "account requisite pam_qrtotp2.so"),
            (account, "account requisite mypam_qrtotp.so"),
            (account, "account required pam_nologin.so\naccount requisite pam_qrtotp.so"),
            (account, "account [success=1 default=ignore] pam_unix.so\naccount requisite pam_qrtotp.so"),
            (account, "@include common-account\naccount requisite pam_qrtotp.so"),
            (account, "account include x\naccount requisite pam_qrtotp.so"),
            (account, "account substack x\naccount requisite pam_qrtotp.so"),
            (account, "account \\\nrequisite pam_qrtotp.so"),
            (account, "auth required pam_env.so \\\naccount requisite pam_qrtotp.so"),
            (account, "# a comment that goes on \\\naccount requisite pam_qrtotp.so"),
            (account, "account\u{a0}requisite pam_qrtotp.so"),
            (account, "account requisite pam_qrtotp.so\r"),
            (account, "account requisite\u{c}pam_qrtotp.so"),
            (account, "nonsense\naccount requisite pam_qrtotp.so"),
            (account, "#account requisite pam_qrtotp.so"),
            ("Session\tRequisite /lib", "session optional /lib"),
            ("Session\tRequisite /lib", "session required pam_limits.so\nsession requisite /lib"),
            ("Session\tRequisite /lib", "@include common-auth\nsession requisite /lib"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            assert!(verdict(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_too_long_for_libpam_is_refused() {
        assert!(verdict(&format!("#{}\n{GOOD}", "x".repeat(1100))).is_err());
    }

    #[test]
    fn pam_permit_behind_us_needs_a_key_as_evidence() {
        let text = format!("{GOOD}auth required pam_permit.so\n");
        assert!(verdict(&text).is_err());
        assert_eq!(check(text.as_bytes(), &line(false)), Ok(()));
    }

    #[test]
    fn a_password_module_whose_failure_is_forgotten_is_refused_unless_a_denial_follows() {
        let before = |auth: &str| GOOD.replace("@include common-auth", auth);
        for (auth, held) in [
            ("auth required pam_unix.so", true),
            ("auth [success=ok default=die] pam_unix.so", true),
            (
                "auth [success=1 new_authtok_reqd=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so",
                true,
            ),
            ("auth sufficient pam_rootok.so\nauth requisite pam_unix.so", true),
            ("auth sufficient pam_unix.so", false),
            ("auth Optional /lib/security/pam_sss.so", false),
            ("auth [success=1 default=ignore] pam_unix.so\nauth optional pam_deny.so", false),
            ("auth [success=2 default=1] pam_unix.so\nauth requisite pam_deny.so", false),
            ("auth [success=ok auth_err=ignore default=die] pam_unix.so", false),
            ("auth [success=ok] pam_unix.so", false),
            ("auth required pam_unix.so\nauth [default=Reset] pam_permit.so", false),
            ("auth required pam_unix.so\nauth [default = reset] pam_permit.so", false),
            ("auth required pam_unix.so\nauth [default= reset] pam_permit.so", false),
            ("auth sufficient pam_unix.so\nauth sufficient pam_sss.so\nauth requisite pam_deny.so", true),
            (
                "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so\n\
                 auth requisite pam_deny.so\nauth required pam_permit.so",
                true,
            ),
            // Others lead over the denial, or end the part before it.
            (
                "auth sufficient pam_unix.so\nauth [success=1 default=ignore] pam_succeed_if.so uid >= 0\n\
                 auth requisite pam_deny.so",
                false,
            ),
            (
                "auth sufficient pam_unix.so\nauth [success=1 default=ignore] pam_other.so\n\
                 auth requisite pam_deny.so",
                false,
            ),
            ("auth sufficient pam_unix.so\nauth [default=1] pam_sss.so\nauth requisite pam_deny.so", false),
            ("auth sufficient pam_unix.so\nauth sufficient pam_rootok.so\nauth requisite pam_deny.so", false),
            (
                "auth [success=1 default=ignore] pam_succeed_if.so uid >= 0\n\
                 auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so",
                true,
            ),
            (
                "auth [success=2 default=ignore] pam_succeed_if.so uid >= 0\n\
                 auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so",
                true,
            ),
            // What is included is not known, nor how long it is.
            ("auth sufficient pam_unix.so\n@include x", false),
            ("auth sufficient pam_unix.so\nauth include x\nauth requisite pam_deny.so", false),
            ("auth [success=1 default=ignore] pam_rootok.so\n@include x", false),
            ("auth [success=1 default=ignore] pam_rootok.so\nauth substack x", true),
            // Modules that nobody here knows may take a password, or have no opinion on one.
            ("auth sufficient pam_pwdfile.so pwdfile=/x", false),
            ("auth required pam_pwdfile.so pwdfile=/x", true),
            ("@include common-auth\nauth optional pam_mount.so", true),
            ("auth required pam_unix.so\nauth optional pam_mount.so", true),
            ("auth required pam_sss.so ignore_unknown_user", false),
            ("auth required pam_unix.so\nauth required pam_sss.so ignore_unknown_user", true),
            // It is asked again behind us.
            ("auth optional pam_qrtotp.so\nauth sufficient pam_unix.so", false),
        ] {
            assert_eq!(verdict(&before(auth)).is_ok(), held, "{auth}");
            assert_eq!(check(before(auth).as_bytes(), &line(false)), Ok(()), "a key is evidence enough");
        }
        let without_ours = before("auth sufficient pam_unix.so").replace("auth required pam_qrtotp.so", "");
        assert!(verdict(&without_ours).is_err(), "ours may be in an include");
    }

    #[test]
    fn the_lines_to_add_carry_the_same_configuration() {
        let private = OurLine { config: Path::new("/x.toml"), ..line(true) };
        assert!(check(GOOD.as_bytes(), &private).is_err());
        assert!(lines(&private).contains("account requisite pam_qrtotp.so config=/x.toml"));
    }

    #[test]
    fn a_file_counts_as_unchanged_only_if_it_was_old_when_libpam_read_it() {
        let file = tempfile::tempfile().unwrap();
        let stat = fstat(&file).unwrap();
        let changed = stat.st_ctime * 1_000_000_000 + stat.st_ctime_nsec.cast_signed();
        for (read_at, unchanged) in
            [(changed - 1, false), (changed + COARSE, false), (changed + COARSE + 1, true)]
        {
            assert_eq!(unchanged_since(read_at, &file).is_ok(), unchanged);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes, &line(true));
        }

        #[test]
        fn no_sequence_of_lines_is_accepted_unless_ours_come_first(
            lines in proptest::collection::vec(0_usize..8, 0..8)
        ) {
            let known = [
                "account requisite pam_qrtotp.so", "session requisite pam_qrtotp.so", "@include x",
                "account required pam_unix.so", "session optional pam_x.so", "auth required pam_unix.so",
                "account [default=reset] pam_x.so", "  # nothing",
            ];
            let text: Vec<_> = lines.iter().map(|i| known[*i]).collect();
            let first = |wanted: &[usize], ours: usize| {
                let at = lines.iter().position(|i| wanted.contains(i) || *i == 2);
                at.is_some_and(|at| lines[at] == ours)
            };
            let expected = first(&[0, 3, 6], 0) && first(&[1, 4], 1);
            prop_assert_eq!(verdict(&text.join("\n")).is_ok(), expected);
        }
    }
}
