//! Whether the PAM service by which the broker checks the primary factor proves one. As at a login, what is not understood
//! proves nothing, and what an include does is the admin's to know.

use super::evidence::Ways;
use super::pam_file::{LIMIT, Line, MODULE, find, read_line};
use crate::store::{TrustError, read_all};
use std::path::PathBuf;
use thiserror::Error;

/// Why nobody's primary factor can be checked. For the admin, with what to do.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// No file of its own (libpam would go by `other`), or one that somebody else than root may have written.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Something in the file.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Checks that `service` has a file of its own, in which a wrong password is not forgotten.
///
/// # Errors
/// It has none, or one by which a wrong password could succeed, or we can't tell.
pub fn proves_primary_factor(service: &str) -> Result<(), ServiceError> {
    let (path, file) = find(service, |_, _| {})?;
    let bytes = read_all(&file, &path, LIMIT)?;
    check(&bytes).map_err(|problem| ServiceError::File { path, problem })
}

/// Pure part of [`proves_primary_factor`].
fn check(bytes: &[u8]) -> Result<(), String> {
    let mut ways = Ways::new();
    for (number, raw) in (1..).zip(String::from_utf8_lossy(bytes).split('\n')) {
        let entry = match read_line(raw) {
            Ok(Line::Entry(entry)) if entry.kind == "auth" => entry,
            Ok(Line::Include(_)) => {
                ways.include().map_err(|problem| format!("line {number}: {problem}"))?;
                continue;
            }
            Ok(_) => continue,
            Err(problem) => return Err(format!("line {number} {problem}")),
        };
        if entry.is_ours() {
            let problem = "would ask for a code of the device that is about to be enrolled; leave it out";
            return Err(format!("line {number}: {MODULE} {problem}"));
        }
        ways.pass(&entry).map_err(|problem| format!("line {number}: {problem}"))?;
    }
    if ways.may_end_wrong() {
        return Err("a wrong password could succeed; make its module requisite".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shipped_file_and_stacks_that_remember_a_wrong_password_prove_one() {
        for stack in [
            include_str!("../../../conf/pam.d/qrtotp"),
            "auth required pam_unix.so nodelay\naccount optional pam_unix.so\n",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth sufficient pam_unix.so\nauth sufficient pam_sss.so\nauth required pam_deny.so\n",
            "auth required pam_env.so\nauth optional pam_faildelay.so\nauth required pam_unix.so\n",
        ] {
            assert_eq!(check(stack.as_bytes()), Ok(()), "{stack}");
        }
    }

    #[test]
    fn what_forgets_a_wrong_password_or_is_not_understood_proves_nothing() {
        for stack in [
            "auth optional pam_unix.so\nauth required pam_permit.so\n",
            "-auth optional /usr/lib/security/pam_unix.so\n@include common-account\n",
            "auth [default=ignore] pam_sss.so\nauth requisite pam_succeed_if.so uid >= 1000\n",
            "auth [success=2 default=1] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth required pam_unix.so\nauth [default=reset] pam_permit.so\n",
            "auth [success=1 default=ignore] pam_unix.so\nauth optional pam_deny.so\n",
            "auth required pam_unix.so\nauth required pam_qrtotp.so\n",
            "auth sufficient pam_unix.so\nauth sufficient pam_succeed_if.so uid >= 1000\nauth required pam_deny.so\n",
            "auth required pam_permit.so\nauth sufficient pam_unix.so\nauth [success=1 default=ignore] pam_env.so\nauth required pam_deny.so\n",
            "auth sufficient pam_unix.so\nauth sufficient pam_unix.so\nauth [default=1] pam_sss.so\nauth required pam_deny.so\n",
            "auth required pam_permit.so\nauth sufficient pam_unix.so\n@include x\n",
            "auth required pam_permit.so\nauth [success=ok default=ignore] pam_company.so\n",
            "auth \\\noptional pam_unix.so\n",
            "nonsense\n",
        ] {
            assert!(check(stack.as_bytes()).is_err(), "{stack}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
