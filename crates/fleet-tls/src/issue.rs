//! The fleet's own CA.

use super::{CaHash, Identity, TlsError, VERIFIER_NAME, ca_hash};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The CA's name. A constant, so that certificates can be made without reading its own.
const CA_NAME: &str = "qrtotp fleet CA";
const DAY: Duration = Duration::from_secs(86_400);
/// How long the certificates are valid.
const CA_DAYS: u32 = 3650;
const VERIFIER_DAYS: u32 = 3650;
const HOST_DAYS: u32 = 90;
/// How far another clock may be behind.
const BEFORE: Duration = Duration::from_secs(3600);

impl From<rcgen::Error> for TlsError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// A new private key (PKCS #8 DER).
///
/// # Errors
/// No random numbers.
pub fn new_key() -> Result<Zeroizing<Vec<u8>>, TlsError> {
    Ok(Zeroizing::new(KeyPair::generate_for(&PKCS_ED25519)?.serialize_der()))
}

/// The public key of a private one: 32 bytes of Ed25519.
///
/// # Errors
/// It is no such key.
pub fn public_key_of(key: &[u8]) -> Result<Vec<u8>, TlsError> {
    Ok(pair(key)?.public_key_raw().to_vec())
}

pub(super) fn pair(key: &[u8]) -> Result<KeyPair, TlsError> {
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(key), &PKCS_ED25519)?)
}

/// A host's public key.
struct HostKey<'a>(&'a [u8]);

impl PublicKeyData for HostKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// The CA, with its private key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// Makes a CA and its private key.
    ///
    /// # Errors
    /// No random numbers.
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), TlsError> {
        let key = new_key()?;
        let certificate = signing(CA_NAME).self_signed(&pair(&key)?)?.der().clone();
        Ok((Self::load(certificate, &key)?, key))
    }

    /// The CA of a certificate and its private key.
    ///
    /// # Errors
    /// The key can't be used.
    pub fn load(certificate: CertificateDer<'static>, key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self { issuer: Issuer::new(signing(CA_NAME), pair(key)?), certificate })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The hash that invitations name.
    #[must_use]
    pub fn hash(&self) -> CaHash {
        ca_hash(&self.certificate)
    }

    /// A new verifier. Its certificate has no common name, which etcd would take for one of its users.
    ///
    /// # Errors
    /// No random numbers.
    pub fn verifier(&self) -> Result<Identity, TlsError> {
        let mut params = CertificateParams::new(vec![VERIFIER_NAME.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        usable(&mut params, VERIFIER_DAYS, &[ExtendedKeyUsagePurpose::ServerAuth]);
        let key = new_key()?;
        let certificate = params.signed_by(&pair(&key)?, &self.issuer)?.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
        Ok(Identity { certificate, key })
    }

    /// A certificate for the host of this public key.
    ///
    /// # Errors
    /// It is no Ed25519 key.
    pub fn host(&self, name: &str, public_key: &[u8]) -> Result<CertificateDer<'static>, TlsError> {
        if public_key.len() != 32 {
            return Err(TlsError::Certificate("the host's public key has a wrong length".into()));
        }
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        usable(&mut params, HOST_DAYS, &[ExtendedKeyUsagePurpose::ClientAuth]);
        Ok(params.signed_by(&HostKey(public_key), &self.issuer)?.der().clone())
    }

    /// The hash by which a verifier knows the certificates of this public key.
    #[must_use]
    pub fn key_hash(public_key: &[u8]) -> super::KeyHash {
        Sha256::digest(HostKey(public_key).subject_public_key_info()).into()
    }
}

/// The parameters of a CA.
pub(super) fn signing(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    valid(&mut params, CA_DAYS);
    params
}

/// For the end of a connection.
pub(super) fn usable(params: &mut CertificateParams, days: u32, purposes: &[ExtendedKeyUsagePurpose]) {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = purposes.to_vec();
    params.use_authority_key_identifier_extension = true;
    valid(params, days);
}

#[allow(clippy::disallowed_methods)] // TLS compares with the system's clock, too
fn valid(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - BEFORE).into(), (now + days * DAY).into());
}
