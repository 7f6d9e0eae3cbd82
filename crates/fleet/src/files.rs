//! A verifier's files beside its configuration, and its etcd member.

use crate::error::FleetError;
use crate::etcd::{Etcd, EtcdOptions};
use crate::fleet::{FleetStore, Options};
use crate::keys::HostName;
use crate::ring::{Ring, local};
use qrtotp_store::{Readers, TrustError, open_dir, open_file, read_all};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The fleet's keys, a line each, the newest first. Its owner only.
pub const FLEET_KEYS: &str = "fleet.keys";
/// The certificate that may sign etcd's, in PEM.
pub const ETCD_CA: &str = "etcd-ca.pem";
/// Our certificate for etcd, in PEM.
pub const ETCD_CERTIFICATE: &str = "etcd-client.pem";
/// Its key, in PEM. Its owner only.
pub const ETCD_KEY: &str = "etcd-client.key";
/// Longest of these files, in bytes.
const LIMIT: usize = 64 * 1024;

/// Where a verifier's files and its etcd member are, as its configuration says.
#[derive(Clone, Debug)]
pub struct VerifierFiles {
    /// The configuration's directory, with keys and certificates.
    pub directory: PathBuf,
    /// The directory of what the verifier has seen, and of its journal.
    pub state: PathBuf,
    /// Its name in the fleet.
    pub verifier: HostName,
    /// Its etcd member.
    pub etcd: SocketAddr,
}

impl VerifierFiles {
    /// `verifier` and `etcd` are the configuration's `fleet.verifier` and `fleet.etcd`; without an address
    /// etcd is at 127.0.0.1:2379.
    ///
    /// # Errors
    /// No name of a verifier, or no address.
    pub fn new(
        directory: &Path,
        state: &Path,
        verifier: &str,
        etcd: Option<&str>,
    ) -> Result<Self, FleetError> {
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 2379));
        let parsed = etcd.map(|text| text.parse().map_err(|_| bad_address(text)));
        Ok(Self {
            directory: directory.to_owned(),
            state: state.to_owned(),
            verifier: HostName::new(verifier).map_err(|error| local(&error))?,
            etcd: parsed.transpose()?.unwrap_or(usual),
        })
    }

    /// A client of the verifier's etcd member. It connects when it is used.
    ///
    /// # Errors
    /// A certificate or its key is missing or can't be used.
    pub fn etcd(&self) -> Result<Etcd, FleetError> {
        let read = |name, readers| self.read(name, readers);
        Ok(Etcd::new(&EtcdOptions {
            address: self.etcd,
            authority: read(ETCD_CA, Readers::Anybody)?.to_vec(),
            certificate: read(ETCD_CERTIFICATE, Readers::Anybody)?.to_vec(),
            key: read(ETCD_KEY, Readers::OwnerOnly)?,
        })?)
    }

    /// The fleet's keys.
    ///
    /// # Errors
    /// The file is missing, readable by others, or holds no keys.
    pub fn ring(&self) -> Result<Ring, FleetError> {
        let path = self.directory.join(FLEET_KEYS);
        Ring::parse(&self.read(FLEET_KEYS, Readers::OwnerOnly)?)
            .map_err(|error| FleetError::Local(format!("{}: {error}", path.display())))
    }

    /// Opens the store for the verifier's daemon.
    ///
    /// # Errors
    /// As [`FleetStore::open`]; a file is missing or can't be used.
    pub fn open(&self) -> Result<FleetStore, FleetError> {
        FleetStore::open(Arc::new(self.etcd()?), self.options()?)
    }

    /// Opens the store for a command.
    ///
    /// # Errors
    /// As [`FleetStore::open_beside`]; a file is missing or can't be used.
    pub fn open_beside(&self) -> Result<FleetStore, FleetError> {
        FleetStore::open_beside(Arc::new(self.etcd()?), self.options()?)
    }

    fn options(&self) -> Result<Options, FleetError> {
        let (verifier, directory) = (self.verifier.clone(), self.state.clone());
        Ok(Options { ring: self.ring()?, verifier, directory })
    }

    fn read(&self, name: &str, readers: Readers) -> Result<Zeroizing<Vec<u8>>, FleetError> {
        let path = self.directory.join(name);
        let read = || {
            let directory = open_dir(&self.directory)?;
            read_all(&open_file(&directory, name, &path, false, readers)?, &path, LIMIT)
        };
        read().map(Zeroizing::new).map_err(|error| match error {
            TrustError::Missing(path) => FleetError::Local(format!(
                "{} is missing; `qrtotp fleet init` or `qrtotp fleet join-verifier` makes it",
                path.display()
            )),
            other => local(&other),
        })
    }
}

fn bad_address(text: &str) -> FleetError {
    FleetError::Local(format!("{text} is no address with a port, such as 127.0.0.1:2379"))
}
