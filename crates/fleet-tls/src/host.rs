//! A login host's end of TLS: its key, and the certificates that it got when it joined or later.

use super::{CaHash, Identity, TlsError, ca_hash, client_config, read_certificate};
use qrtotp_frames::Renewal;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The relay's file, in its state directory, of the certificates that a verifier sent last.
pub const RENEWED: &str = "renewed";
/// Longest file of renewed certificates, in bytes.
const LONGEST: u64 = 16 * 1024;

/// The TLS settings of a login host.
#[derive(Clone)]
pub struct HostTls {
    /// The settings.
    pub config: Arc<ClientConfig>,
    /// The CAs that the host trusts; the first one made its certificate.
    pub authorities: Vec<CaHash>,
}

impl HostTls {
    /// Reads the files of `dir`, and renewed certificates if there are some. Those for an earlier key, from
    /// before the host joined again, do not fit and are left.
    ///
    /// # Errors
    /// A file is missing or can't be used.
    pub fn read(dir: &Path, renewed: Option<&Path>) -> Result<Self, TlsError> {
        if let Some(renewed) = renewed.and_then(|path| read_renewed(path).ok())
            && let Ok(found) = Self::renewed(dir, &renewed)
        {
            return Ok(found);
        }
        let read = |name| Ok::<_, TlsError>(read_certificate(&dir.join(name))?.to_vec());
        let (certificate, authorities) = (read("host.der")?, vec![read("ca.der")?]);
        Self::with(dir, Renewal { certificate, authorities })
    }

    /// The settings with certificates that a verifier sent.
    ///
    /// # Errors
    /// They are malformed, or not for the host's key.
    pub fn renewed(dir: &Path, certificates: &[u8]) -> Result<Self, TlsError> {
        Self::with(dir, Renewal::from_bytes(certificates).map_err(io::Error::other)?)
    }

    fn with(dir: &Path, renewal: Renewal) -> Result<Self, TlsError> {
        let host = Identity::read(&dir.join("host.der"), &dir.join("host.key"))?;
        let host = Identity { certificate: CertificateDer::from(renewal.certificate), ..host };
        let authorities: Vec<_> = renewal.authorities.into_iter().map(CertificateDer::from).collect();
        let config = client_config(&authorities, host)?;
        Ok(Self { config, authorities: authorities.iter().map(ca_hash).collect() })
    }
}

/// Root reads there, too, in a directory of the relay's.
fn read_renewed(path: &Path) -> io::Result<Vec<u8>> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
