//! The common part of all verifiers of a fleet: its CAs, its keys and the list of verifiers. A bundle
//! carries it from the first verifier to the others.

use crate::error::Failure;
use crate::fleet_member::Member;
use nix::fcntl::OFlag;
use qrtotp_fleet_tls::{Authority, EtcdAuthority, hex, unhex};
use qrtotp_store::SealKey;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroize;

/// The version of the bundle's form.
const VERSION: u32 = 1;
/// Longest of the files, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The secrets of a fleet and its verifiers.
#[derive(Serialize, Deserialize)]
pub struct Shared {
    version: u32,
    pub fleet: String,
    pub members: Vec<Member>,
    /// X.509 and PKCS #8 DER in hexadecimal digits.
    ca: String,
    ca_key: String,
    pub etcd_ca: String,
    pub etcd_ca_key: String,
    /// Lines as in `fleet.keys`, the newest first.
    pub keys: String,
    /// The cluster runs already.
    #[serde(default)]
    pub running: bool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.ca_key.zeroize();
        self.etcd_ca_key.zeroize();
        self.keys.zeroize();
    }
}

impl Shared {
    /// Makes the CAs and the first key of a fleet.
    pub fn generate(fleet: &str, members: Vec<Member>) -> Result<Self, Failure> {
        let (ca, ca_key) = Authority::generate()?;
        let etcd = EtcdAuthority::generate()?;
        let (_, keys) = SealKey::generate().map_err(|error| Failure::Error(error.to_string()))?;
        Ok(Self {
            version: VERSION,
            fleet: fleet.to_owned(),
            members,
            ca: hex(ca.certificate()),
            ca_key: hex(&ca_key),
            etcd_ca: etcd.certificate,
            etcd_ca_key: etcd.key.to_string(),
            keys: keys.to_string(),
            running: false,
        })
    }

    /// Those of the verifier with its files in this directory.
    pub fn read(directory: &Path, fleet: &str, members: Vec<Member>) -> Result<Self, Failure> {
        let read = |name: &str| {
            let path = directory.join(name);
            // Root reads there, too, in a directory of the verifier's user.
            let mut options = OpenOptions::new();
            let file = options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path);
            let mut bytes = Vec::new();
            let read = file.and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
            read.map(|_| bytes).map_err(|error| Failure::Error(format!("{}: {error}", path.display())))
        };
        let text = |name: &str| {
            String::from_utf8(read(name)?).map_err(|_| Failure::Error(format!("{name} is no text")))
        };
        Ok(Self {
            version: VERSION,
            fleet: fleet.to_owned(),
            members,
            ca: hex(&read("ca.der")?),
            ca_key: hex(&read("ca.key")?),
            etcd_ca: text("etcd-ca.pem")?,
            etcd_ca_key: text("etcd-ca.key")?,
            keys: text("fleet.keys")?,
            running: false,
        })
    }

    /// The text of a bundle. It holds every secret of the fleet.
    pub fn to_bundle(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::Error(error.to_string()))
    }

    pub fn from_bundle(text: &str) -> Result<Self, Failure> {
        let bad = || Failure::Error("this is no bundle of a fleet; `qrtotp fleet init` writes one".into());
        let shared: Self = serde_json::from_str(text).map_err(|_| bad())?;
        if shared.version == VERSION { Ok(shared) } else { Err(bad()) }
    }

    /// The fleet's CA, with its private key in DER.
    pub fn authority(&self) -> Result<(Authority, Vec<u8>), Failure> {
        let bad = || Failure::Error("the bundle's CA can't be read; copy the file again".into());
        let (ca, key) = (unhex(&self.ca).ok_or_else(bad)?, unhex(&self.ca_key).ok_or_else(bad)?);
        Ok((Authority::load(CertificateDer::from(ca), &key)?, key))
    }

    /// The verifier of this name.
    pub fn member(&self, name: &str) -> Result<&Member, Failure> {
        let names = || self.members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ");
        self.members.iter().find(|member| member.name == name).ok_or_else(|| {
            Failure::Error(format!("the fleet has no verifier {name}; its verifiers are {}", names()))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bundle_carries_the_fleet_and_any_other_text_is_none() {
        let members =
            ["v1=10.1.0.11", "v2=v2.example.org", "v3=fd00::3"].map(|text| Member::parse(text).unwrap());
        let shared = Shared::generate("corp", members.to_vec()).unwrap();
        let text = shared.to_bundle().unwrap();
        let read = Shared::from_bundle(&text).unwrap();
        assert_eq!((&read.fleet, &read.members, &read.keys), (&shared.fleet, &shared.members, &shared.keys));
        assert_eq!(read.authority().unwrap().0.hash(), shared.authority().unwrap().0.hash());
        for end in 0..text.len() {
            assert!(Shared::from_bundle(&text[..end]).is_err(), "cut at {end}");
        }
        assert!(Shared::from_bundle(&text.replace("\"version\":1", "\"version\":2")).is_err());
    }
}
