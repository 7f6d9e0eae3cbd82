//! Whether the PAM service by which the broker checks the primary factor proves one. As at a login, what is not understood
//! proves nothing, included files are followed, and nobody but root can have written any of them.

use super::evidence::{Files, Ways};
use super::pam_file::{DIRECTORIES, LIMIT, MODULE, find, included};
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
    proved_in(service, &DIRECTORIES)
}

fn proved_in(service: &str, directories: &[&str]) -> Result<(), ServiceError> {
    let (path, file) = find(service, directories, |_, _| {})?;
    let bytes = read_all(&file, &path, LIMIT)?;
    let mut files = |name: &str| included(name, directories, |_, _| {}).map_err(|error| error.to_string());
    check(&bytes, &mut files).map_err(|problem| ServiceError::File { path, problem })
}

/// Pure part of [`proves_primary_factor`].
fn check(bytes: &[u8], files: &mut Files<'_>) -> Result<(), String> {
    let mut ways = Ways::new(files);
    let passed = ways.pass(bytes);
    if ways.have_us() {
        return Err(format!(
            "{MODULE} would ask for a code of the device that is about to be enrolled; leave it out, and what includes it"
        ));
    }
    passed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    const COMMON_AUTH: &[u8] = b"auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n";

    fn verdict(stack: &str) -> Result<(), String> {
        check(stack.as_bytes(), &mut |name| match name {
            "common-auth" => Ok(COMMON_AUTH.to_vec()),
            "profile" => Ok([COMMON_AUTH, b"auth required pam_qrtotp.so\n"].concat()),
            "forgets" => Ok(b"auth sufficient pam_unix.so\n".to_vec()),
            _ => Ok(Vec::new()),
        })
    }

    #[test]
    fn the_shipped_file_and_stacks_that_remember_a_wrong_password_prove_one() {
        for stack in [
            include_str!("../../../conf/pam.d/qrtotp"),
            "auth required pam_unix.so nodelay\naccount optional pam_unix.so\n",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth sufficient pam_unix.so\nauth sufficient pam_sss.so\nauth required pam_deny.so\n",
            "auth required pam_env.so\nauth optional pam_faildelay.so\nauth required pam_unix.so\n",
        ] {
            assert_eq!(verdict(stack), Ok(()), "{stack}");
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
            "auth required pam_permit.so\nauth include forgets\n",
            "@include profile\n",
            "auth required pam_permit.so\nauth [success=ok default=ignore] pam_company.so\n",
            "auth \\\noptional pam_unix.so\n",
            "nonsense\n",
        ] {
            assert!(verdict(stack).is_err(), "{stack}");
        }
    }

    #[test]
    fn our_module_is_named_as_what_must_not_be_there() {
        for stack in ["@include profile\n", "auth optional pam_unix.so\nauth required pam_qrtotp.so\n"] {
            assert!(verdict(stack).unwrap_err().contains("about to be enrolled"), "{stack}");
        }
    }

    #[test]
    fn a_service_without_a_file_or_with_one_of_others_proves_nothing() {
        assert!(matches!(
            proves_primary_factor("no-service-of-that-name"),
            Err(ServiceError::Trust(TrustError::Missing(_)))
        ));
        let root = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap();
        let directory = root.path().to_str().unwrap();
        for (name, text) in [("qrtotp", "@include x\n"), ("x", "auth required pam_unix.so\n")] {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        assert!(proved_in("qrtotp", &["/nowhere", directory]).is_err(), "included files are the first one's");
        assert!(proved_in("x", &["/nowhere", directory]).is_ok());
        assert!(proved_in("qrtotp", &[directory]).is_ok());
        std::fs::set_permissions(root.path().join("x"), PermissionsExt::from_mode(0o666)).unwrap();
        let refused = proved_in("qrtotp", &[directory]).unwrap_err().to_string();
        assert!(refused.contains("line 1: ") && refused.contains("/x: is a file that others"), "{refused}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes, &mut |_| Ok(bytes.clone()));
        }
    }
}
