//! On a verifier: the applied configuration is the policy of the whole fleet.

use crate::applied::AppliedFile;
use crate::context::Context;
use crate::error::Failure;
use qrtotp_fleet::FleetError;
use qrtotp_policy::Applied;
use std::io::Write;
use std::path::Path;

/// Writes the applied configuration to the fleet's store. On other hosts it does nothing.
pub fn share(path: &Path, place: &AppliedFile, out: &mut dyn Write) -> Result<(), Failure> {
    let bytes = place.current()?.unwrap_or_default();
    let Ok(Applied { config, .. }) = Applied::newest(&bytes) else { return Ok(()) };
    let key_dir = path.parent().unwrap_or(Path::new("/")).to_owned();
    let Some(files) = (Context { config, key_dir }).verifier_files()? else { return Ok(()) };
    match files.open_beside()?.set_policy(&bytes) {
        Ok(()) => Ok(()),
        Err(FleetError::NotMade) => {
            let text = "the fleet has no store yet; run this again after `qrtotp fleet create-store`";
            Ok(writeln!(out, "only this verifier goes by it: {text}")?)
        }
        Err(error) => {
            let text = "only this verifier may go by it; run `qrtotp config apply` again";
            Err(Failure::Error(format!("{error}; {text}")))
        }
    }
}
