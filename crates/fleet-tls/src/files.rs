//! Certificates and keys as files, in DER.

use super::TlsError;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use zeroize::Zeroizing;

/// A certificate and its private key.
#[derive(Debug)]
pub struct Identity {
    /// X.509 DER.
    pub certificate: CertificateDer<'static>,
    /// PKCS #8 DER.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads `certificate` and `key`.
    ///
    /// # Errors
    /// A file is missing or can't be read.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let key = PrivatePkcs8KeyDer::from(read(key)?.to_vec());
        Ok(Self { certificate: read_certificate(certificate)?, key: key.into() })
    }
}

/// Reads a certificate.
///
/// # Errors
/// It is missing or can't be read.
pub fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, TlsError> {
    Ok(CertificateDer::from(read(path)?.to_vec()))
}

/// The certificates of a verifier's CAs: the one that makes certificates, and while the fleet changes its CA
/// the next or the former one.
///
/// # Errors
/// The first is missing, or one can't be read.
pub fn read_authorities(directory: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut found = vec![read_certificate(&directory.join("ca.der"))?];
    for name in ["next-ca.der", "former-ca.der"] {
        match read_certificate(&directory.join(name)) {
            Err(TlsError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            other => found.push(other?),
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let bytes = fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(Zeroizing::new(bytes))
}

/// Writes a file that only the owner of its directory may read, durably; readers see the old content or the
/// new one.
///
/// # Errors
/// The directory can't be written to.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file's path"));
    };
    let mut next = name.to_owned();
    next.push(".new");
    let next = directory.join(next);
    let _ = fs::remove_file(&next); // of a process that was killed
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    let owner = fs::metadata(directory)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (owner.uid(), owner.gid()) {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(directory)?.sync_all()
}
