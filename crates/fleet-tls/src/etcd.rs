//! The CA and the certificates of the verifiers' etcd, in PEM. It is not the fleet's CA: etcd lets in every
//! client that its CA vouches for, and the fleet's vouches for login hosts.
//!
//! No certificate has a common name, which etcd would take for one of its users.

use super::issue::{pair, signing, usable};
use super::{TlsError, new_key};
use rcgen::{CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use zeroize::Zeroizing;

/// The CA's name. A constant, so that certificates can be made without reading its own.
const CA_NAME: &str = "qrtotp etcd CA";
/// How long the certificates are valid.
const DAYS: u32 = 3650;
/// Where a verifier reaches its own member.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

/// A certificate and its private key, in PEM.
pub struct PemIdentity {
    /// The certificate.
    pub certificate: String,
    /// PKCS #8.
    pub key: Zeroizing<String>,
}

/// The CA of etcd's members and their clients, with its private key.
pub struct EtcdAuthority {
    issuer: Issuer<'static, KeyPair>,
}

impl EtcdAuthority {
    /// Makes a CA; its certificate and its private key.
    ///
    /// # Errors
    /// No random numbers.
    pub fn generate() -> Result<PemIdentity, TlsError> {
        let key = pair(&new_key()?)?;
        let certificate = signing(CA_NAME).self_signed(&key)?.pem();
        Ok(PemIdentity { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// The CA with this private key.
    ///
    /// # Errors
    /// The key can't be used.
    pub fn load(key: &str) -> Result<Self, TlsError> {
        Ok(Self { issuer: Issuer::new(signing(CA_NAME), KeyPair::from_pem(key)?) })
    }

    /// A member's identity towards clients on its own machine.
    ///
    /// # Errors
    /// No random numbers.
    pub fn server(&self) -> Result<PemIdentity, TlsError> {
        self.issue(&LOOPBACK, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// A member's identity towards the other members, which reach it at this name or address.
    ///
    /// # Errors
    /// The name can't be used, or no random numbers.
    pub fn peer(&self, address: &str) -> Result<PemIdentity, TlsError> {
        self.issue(&[address], &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A verifier's identity towards its own member.
    ///
    /// # Errors
    /// No random numbers.
    pub fn client(&self) -> Result<PemIdentity, TlsError> {
        self.issue(&[], &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(&self, names: &[&str], purposes: &[ExtendedKeyUsagePurpose]) -> Result<PemIdentity, TlsError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        usable(&mut params, DAYS, purposes);
        let key = pair(&new_key()?)?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(PemIdentity { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }
}
