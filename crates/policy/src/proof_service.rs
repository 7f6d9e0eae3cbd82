//! The file of the PAM service that proves passwords: whether it can be trusted.

use qrtotp_store::{Readers, TrustError, open_dir, open_file};
use std::path::Path;

/// Where libpam looks for a service's file first.
const DIRECTORY: &str = "/etc/pam.d";
/// The PAM service that proves passwords before an enrolment.
pub const PROOF_SERVICE: &str = "qrtotp";

/// Checks that the service has its own file, a regular one that only root could have written. Without it
/// libpam would use the service `other`.
///
/// # Errors
/// The service has no file, or one that can't be trusted.
pub fn check_proof_service() -> Result<(), TrustError> {
    let directory = Path::new(DIRECTORY);
    let dir = open_dir(directory)?;
    open_file(&dir, PROOF_SERVICE, &directory.join(PROOF_SERVICE), false, Readers::Anybody).map(|_| ())
}
