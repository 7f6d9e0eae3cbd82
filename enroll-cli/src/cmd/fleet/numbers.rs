//! The fleet in numbers, for `qrtotp metrics` on a verifier.

use super::report::{HostCounts, failures_by_host};
use crate::context::Context;
use crate::error::Failure;
use qrtotp_fleet::{FleetError, FleetStore};
use qrtotp_values::UnixTime;

/// Takes a gauge: its name, its meaning, and a value for each set of labels.
pub type Gauge<'g> = dyn FnMut(&str, &str, &[(&str, u64)]) + 'g;

/// Login hosts by state, and how many of them have very many failures.
pub struct FleetNumbers {
    /// `None`: the store does not answer.
    pub hosts: Option<(HostCounts, usize)>,
}

impl FleetNumbers {
    /// Asks the store; `None`: this host is no verifier.
    ///
    /// # Errors
    /// The verifier's own files can't be read.
    pub fn take(context: &Context, now: UnixTime) -> Result<Option<Self>, Failure> {
        let Some(files) = context.verifier_files()? else { return Ok(None) };
        let store = files.open_beside()?;
        Ok(Some(Self { hosts: hosts(&store, now).ok() }))
    }

    /// Calls `gauge` with each number.
    pub fn each(&self, gauge: &mut Gauge<'_>) {
        let decides = self.hosts.is_some().into();
        gauge("fleet_quorum", "1 if this verifier can decide logins.", &[("", decides)]);
        let Some((HostCounts { active, held, revoked }, noisy)) = &self.hosts else { return };
        let states = [
            ("{state=\"active\"}", *active as u64),
            ("{state=\"held\"}", *held as u64),
            ("{state=\"revoked\"}", *revoked as u64),
        ];
        gauge("fleet_hosts", "Login hosts of the fleet, by state.", &states);
        let help = "Login hosts with very many failures in this hour.";
        gauge("fleet_hosts_noisy", help, &[("", *noisy as u64)]);
    }
}

fn hosts(store: &FleetStore, now: UnixTime) -> Result<(HostCounts, usize), FleetError> {
    let _ = store.meta()?; // refuses a restored backup
    let failures = failures_by_host(store, now)?;
    let noisy = failures.values().filter(|failures| failures.is_noisy()).count();
    Ok((HostCounts::of(store)?, noisy))
}
