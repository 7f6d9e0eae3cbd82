//! `qrtotp fleet create-store`.

use super::verifier;
use crate::error::{Exit, Failure};
use qrtotp_clock::Deadline;
use qrtotp_fleet::{FleetError, FleetStore};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How long the members have to find each other.
const LIMIT: Duration = Duration::from_secs(60);

pub fn run(named: &Path) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let (etcd, ring) = (files.etcd()?, files.ring()?);
    let (mut deadline, mut may_be_ours) = (Deadline::after(LIMIT), false);
    loop {
        match FleetStore::create(&etcd, &ring) {
            Ok(()) => break,
            Err(FleetError::Made) if may_be_ours => break,
            Err(FleetError::NoQuorum(_)) if deadline.pause() => {}
            Err(FleetError::Unclear(_)) if deadline.pause() => may_be_ours = true,
            Err(FleetError::Made) => return Err(Failure::Refused(FleetError::Made.to_string())),
            Err(FleetError::NoQuorum(why)) => {
                let text = "start qrtotp-etcd on a majority of the verifiers, and look into `journalctl -u qrtotp-etcd`";
                return Err(Failure::Error(format!("no answer from etcd: {why}; {text}")));
            }
            Err(error) => return Err(Failure::Error(error.to_string())),
        }
    }
    writeln!(std::io::stdout(), "The fleet has a store now. Start qrtotpd-verifier on every verifier.")?;
    Ok(Exit::Done)
}
