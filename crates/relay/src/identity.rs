//! The host's key and certificate, and the CAs that it trusts. The key identifies the host; a renewed
//! certificate is for the same key.

use qrtotp_fleet_tls::{CaHash, HostTls, RENEWED, TlsError, write_private};
use rustls::ClientConfig;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The host's identity, and the TLS settings with it.
pub struct HostIdentity {
    dir: PathBuf,
    state: Option<PathBuf>,
    tls: Mutex<HostTls>,
}

impl HostIdentity {
    /// Reads the files of `dir`, and the renewed certificates in `state` if there are some.
    pub fn read(dir: &Path, state: Option<&Path>) -> Result<Self, TlsError> {
        let tls = HostTls::read(dir, state.map(|state| state.join(RENEWED)).as_deref())?;
        Ok(Self { dir: dir.to_owned(), state: state.map(Path::to_owned), tls: Mutex::new(tls) })
    }

    /// The TLS settings.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls().config)
    }

    /// The CAs that the host trusts; the first one made its certificate.
    pub fn authorities(&self) -> Vec<CaHash> {
        self.tls().authorities.clone()
    }

    /// Whether renewed certificates can be kept.
    pub fn can_renew(&self) -> bool {
        self.state.is_some()
    }

    /// Uses renewed certificates from now on, and keeps them.
    pub fn renew(&self, certificates: &[u8]) -> Result<(), TlsError> {
        let Some(state) = &self.state else { return Ok(()) };
        let tls = HostTls::renewed(&self.dir, certificates)?;
        fs::create_dir_all(state)?;
        write_private(&state.join(RENEWED), certificates)?;
        *self.tls() = tls;
        Ok(())
    }

    fn tls(&self) -> MutexGuard<'_, HostTls> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}
