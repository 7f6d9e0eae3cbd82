//! A change of the fleet's CA as one verifier sees it, and the hosts and verifiers that it waits for.

use qrtotp_fleet::{FleetError, FleetStore, HostName, HostState};
use qrtotp_fleet_tls::{CaHash, TlsError, ca_hash, read_certificate};
use serde::Serialize;
use std::path::Path;

/// The CA that makes certificates now, the one that will, and the one that did.
pub const CA: &str = "ca.der";
pub const NEXT: &str = "next-ca.der";
pub const FORMER: &str = "former-ca.der";

/// A change that has begun here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaChange {
    new: CaHash,
    /// The new CA makes certificates here.
    pub is_used: bool,
}

/// The active hosts and the verifiers that hold up the next step.
#[derive(Debug, Default, Serialize)]
pub struct Waiting {
    /// Whether the new CA makes certificates here, so that the former one is to end next.
    pub used: bool,
    pub hosts: Vec<String>,
    pub verifiers: Vec<String>,
}

impl CaChange {
    /// The change in a verifier's directory; `None`: none has begun.
    pub fn read(directory: &Path) -> Result<Option<Self>, TlsError> {
        let (name, is_used) = match (directory.join(NEXT).exists(), directory.join(FORMER).exists()) {
            (true, _) => (NEXT, false),
            (false, true) => (CA, true),
            (false, false) => return Ok(None),
        };
        Ok(Some(Self { new: ca_hash(&read_certificate(&directory.join(name))?), is_used }))
    }

    /// Those that lack the new CA, or once it is used here, that still have certificates of the former one.
    pub fn waiting(&self, store: &FleetStore) -> Result<Waiting, FleetError> {
        let is_ready = |known: &[CaHash]| match self.is_used {
            false => known.contains(&self.new),
            true => known.first() == Some(&self.new),
        };
        let reports = store.host_reports()?;
        let has_it = |host: &HostName| reports.get(host).is_some_and(|report| is_ready(&report.authorities));
        let hosts = store.hosts()?.into_iter();
        let hosts = hosts.filter(|(name, host)| host.state != HostState::Revoked && !has_it(name));
        let verifiers = store.witnesses()?.into_iter();
        let verifiers = verifiers.filter(|(_, witness)| !is_ready(&witness.condition.authorities));
        Ok(Waiting {
            used: self.is_used,
            hosts: hosts.map(|(name, _)| name.to_string()).collect(),
            verifiers: verifiers.map(|(name, _)| name.to_string()).collect(),
        })
    }
}
