//! The host's key and certificate. The key identifies the host; a renewed certificate is for the same key.

use qrtotp_fleet_tls::{Identity, TlsError, client_config, read_certificate, write_private};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const CERTIFICATE: &str = "host.der";

/// The host's identity, and the TLS settings with it.
pub struct HostIdentity {
    dir: PathBuf,
    state: Option<PathBuf>,
    config: Mutex<Arc<ClientConfig>>,
}

impl HostIdentity {
    /// Reads the files of `dir`, and the renewed certificate in `state` if there is one.
    pub fn read(dir: &Path, state: Option<&Path>) -> Result<Self, TlsError> {
        let renewed = state.map(|state| state.join(CERTIFICATE)).filter(|path| path.exists());
        // A renewed certificate of an earlier key, from before the host joined again, does not fit.
        let config = renewed.and_then(|path| config_with(dir, read_certificate(&path).ok()?).ok());
        let config = match config {
            Some(config) => config,
            None => config_with(dir, read_certificate(&dir.join(CERTIFICATE))?)?,
        };
        Ok(Self { dir: dir.to_owned(), state: state.map(Path::to_owned), config: Mutex::new(config) })
    }

    /// The TLS settings.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current())
    }

    /// Whether a renewed certificate can be kept.
    pub fn can_renew(&self) -> bool {
        self.state.is_some()
    }

    /// Uses a renewed certificate from now on.
    pub fn renew(&self, certificate: Vec<u8>) -> Result<(), TlsError> {
        let Some(state) = &self.state else { return Ok(()) };
        let config = config_with(&self.dir, CertificateDer::from(certificate.clone()))?;
        fs::create_dir_all(state)?;
        write_private(&state.join(CERTIFICATE), &certificate)?;
        *self.current() = config;
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Arc<ClientConfig>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

/// Fails if the certificate is not that of the host's key.
fn config_with(dir: &Path, certificate: CertificateDer<'static>) -> Result<Arc<ClientConfig>, TlsError> {
    let host = Identity::read(&dir.join(CERTIFICATE), &dir.join("host.key"))?;
    client_config(&read_certificate(&dir.join("ca.der"))?, Identity { certificate, ..host })
}
