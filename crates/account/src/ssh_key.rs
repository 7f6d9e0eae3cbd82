//! Public ssh keys as text, and their fingerprints. Reads bytes only: sshd alone proves possession of the
//! private key.

use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Most bytes of `SSH_AUTH_INFO_0` that are read. An RSA key of 16,384 bits takes 2,800.
const MAX_INFO: usize = 64 * 1024;
/// Most accepted keys that are read from it. sshd adds one for each successful step of a login.
const MAX_ACCEPTED: usize = 32;

/// The SHA-256 of a public key (RFC 4253 §6.6), as `ssh-keygen -l` and sshd's log show it: `SHA256:` and 43
/// characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyFingerprint([u8; 32]);

impl KeyFingerprint {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The text is not a fingerprint.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("not an ssh key's fingerprint; `ssh-keygen -lf FILE` prints it: SHA256: and 43 characters")]
pub struct FingerprintError;

impl FromStr for KeyFingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut hash = [0; 32];
        let base64 = text.strip_prefix("SHA256:").ok_or(FingerprintError)?;
        match Base64Unpadded::decode(base64, &mut hash) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(hash)),
            _ => Err(FingerprintError),
        }
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No allocation: a login writes it after it has accepted a code.
        let mut base64 = [0; 43];
        let base64 = Base64Unpadded::encode(&self.0, &mut base64).map_err(|_| fmt::Error)?;
        write!(f, "SHA256:{base64}")
    }
}

/// A type of ssh key whose private half stays in a FIDO authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardwareKeyType {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256. Signatures of browsers (`webauthn-sk-ecdsa-…`) are made with keys of this type, too.
    Ecdsa,
}

impl HardwareKeyType {
    /// The type's name in a public key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "sk-ssh-ed25519@openssh.com",
            Self::Ecdsa => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The type of that name, if it is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ed25519, Self::Ecdsa].into_iter().find(|known| known.as_str() == name)
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'t> {
    /// Its type, such as `ssh-ed25519`.
    pub kind: &'t str,
    /// Its fingerprint.
    pub fingerprint: KeyFingerprint,
}

impl<'t> PublicKey<'t> {
    /// Reads a type and a key in base64. The key must begin with the same type.
    ///
    /// A certificate is not accepted: it may restrict the use of its key, and we don't read the restrictions.
    #[must_use]
    pub fn parse(kind: &'t str, base64: &str) -> Option<Self> {
        let blob = Base64::decode_vec(base64).ok()?;
        let (named, _) = string(&blob)?;
        // Bytes: a search for text is 2 kB of code.
        if named != kind.as_bytes() || named.windows(6).any(|part| part == b"-cert-") {
            return None;
        }
        Some(Self { kind, fingerprint: KeyFingerprint(Sha256::digest(&blob).into()) })
    }
}

/// The public key, `TYPE BASE64`, that a signature of `ssh-keygen -Y sign` claims to be made with. Verifies
/// nothing.
#[must_use]
pub fn signing_key(armored: &str) -> Option<String> {
    const MAGIC_AND_VERSION: &[u8] = b"SSHSIG\0\0\0\x01";
    let body = armored.trim().strip_prefix("-----BEGIN SSH SIGNATURE-----")?;
    let body = body.strip_suffix("-----END SSH SIGNATURE-----")?;
    let blob = Base64::decode_vec(&body.split_ascii_whitespace().collect::<String>()).ok()?;
    let (key, _) = string(blob.strip_prefix(MAGIC_AND_VERSION)?)?;
    let (kind, _) = string(key)?;
    Some(format!("{} {}", std::str::from_utf8(kind).ok()?, Base64::encode_string(key)))
}

/// A string of the ssh protocol (RFC 4251 §5), and the rest.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The keys that sshd accepted in this login, from its `SSH_AUTH_INFO_0`: lines `publickey TYPE BASE64`.
/// Other methods' lines and certificates are left out.
#[must_use]
pub fn accepted_keys(info: &[u8]) -> Vec<KeyFingerprint> {
    if info.len() > MAX_INFO {
        return Vec::new();
    }
    let lines = info.split(|byte| *byte == b'\n').take(MAX_ACCEPTED);
    lines.filter_map(|line| Some(accepted_key(line)?.fingerprint)).collect()
}

fn accepted_key(line: &[u8]) -> Option<PublicKey<'_>> {
    let line = std::str::from_utf8(line.strip_prefix(b"publickey ")?).ok()?;
    let (kind, base64) = line.split_once(' ')?;
    PublicKey::parse(kind, base64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Keys that ssh-keygen made, with the fingerprints that it prints for them.
    const KEYS: [(&str, &str); 2] = [
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox",
            "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM",
        ),
        (
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIMedRWgSK34ayaaxak18rGIS6V3\
             aktM8J3WxSRBiQn/B84WfUoZQ3KCqDdmlepkiqhCAMtlR4MFI1em8jphy0E=",
            "SHA256:RsUFG7zAviMBtUkv9XUrbYRu4xonVzD+uCZmD7H2ezM",
        ),
    ];
    /// The beginning of a certificate.
    const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com \
                               AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIBPWIQ==";

    fn fingerprints(info: &str) -> Vec<String> {
        accepted_keys(info.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_has_the_fingerprint_that_ssh_keygen_prints() {
        for (key, fingerprint) in KEYS {
            let (kind, base64) = key.split_once(' ').unwrap();
            let key = PublicKey::parse(kind, base64).unwrap();
            assert_eq!((key.kind, key.fingerprint.to_string().as_str()), (kind, fingerprint));
            assert_eq!(fingerprint.parse(), Ok(key.fingerprint));
        }
    }

    #[test]
    fn a_fingerprint_has_one_spelling() {
        let good = KEYS[0].1;
        for text in [
            "",
            "SHA256:",
            &good[1..],
            &good[7..],
            &good[..49],
            &format!("{good}="),
            &format!("{good}A"),
            &format!(" {good}"),
            &format!("{}N", &good[..49]), // bits that belong to no byte
            "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        ] {
            assert_eq!(text.parse::<KeyFingerprint>(), Err(FingerprintError), "{text}");
        }
    }

    #[test]
    fn every_accepted_key_is_named_and_no_other_line_is() {
        let [(first, one), (second, two)] = KEYS;
        for (info, expected) in [
            (format!("publickey {first}\n"), vec![one]),
            (format!("publickey {first}"), vec![one]),
            (
                format!("password\npublickey {first}\nkeyboard-interactive/pam\npublickey {second}\n"),
                vec![one, two],
            ),
            (format!("publickey {CERTIFICATE}\npublickey {second}\n"), vec![two]),
            (format!("hostbased {first} client user \"alice\", client host \"h\"\n"), vec![]),
            (format!("gssapi-with-mic publickey {first}\n"), vec![]),
            (format!("publickey  {first}\n"), vec![]),
            (format!("publickey {first} comment\n"), vec![]),
            (format!("publickey {first}\r\n"), vec![]),
            (format!("Publickey {first}\n"), vec![]),
            (format!("publickey {}\n", first.replace("ssh-ed25519", "ssh-rsa")), vec![]),
            (format!("publickey {}\n", first.replace('/', "_")), vec![]),
            (format!("publickey {}\n", KEYS[1].0.trim_end_matches('=')), vec![]),
            ("publickey ssh-ed25519 AAAA\n".into(), vec![]),
            ("publickey ssh-ed25519 /////w==\n".into(), vec![]),
            ("publickey ssh-ed25519 \n".into(), vec![]),
            (String::new(), vec![]),
        ] {
            assert_eq!(fingerprints(&info), expected, "{info}");
        }
    }

    /// The output of `ssh-keygen -Y sign -n qrtotp-key` for the input `abc\n`.
    const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----\n\
        U1NIU0lHAAAAAQAAAEoAAAAac2stc3NoLWVkMjU1MTlAb3BlbnNzaC5jb20AAAAgi8yl43\n\
        skb5Uh+oc4yssO+0wrNmzfd9TRsQnOBT40LkkAAAAEc3NoOgAAAApxcnRvdHAta2V5AAAA\n\
        AAAAAAZzaGE1MTIAAABnAAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQHhGkj\n\
        8yfzQYuH90ZhFlB5Ymq2smRKeAXLJI89wvLHbZ0OGCm30vPQynFw2Rts1E8YI40JCnXJM5\n\
        W0zD64MSPgcFAAAAAA==\n-----END SSH SIGNATURE-----\n";

    #[test]
    fn a_signature_names_its_key() {
        let line = signing_key(SIGNATURE).unwrap();
        let (kind, base64) = line.split_once(' ').unwrap();
        assert_eq!(HardwareKeyType::named(kind), Some(HardwareKeyType::Ed25519));
        let fingerprint = PublicKey::parse(kind, base64).unwrap().fingerprint.to_string();
        assert_eq!(fingerprint, "SHA256:4YnW6VmMNHFAh7PHi0m2Cuu1TUTJ5oXbOMRY30Y7qAk");
        assert_eq!(signing_key(&SIGNATURE.replace('\n', "\r\n")), Some(line));
        for (old, new) in [("BEGIN SSH", "BEGIN PGP"), ("U1NIU0lH", "U1NIU0lI"), ("AAAAAQAA", "AAAAAgAA")] {
            assert!(SIGNATURE.contains(old));
            assert_eq!(signing_key(&SIGNATURE.replacen(old, new, 1)), None, "{new}");
        }
        let lines: Vec<&str> = SIGNATURE.lines().collect();
        assert_eq!(signing_key(&[&lines[..2], &lines[7..]].concat().join("\n")), None, "cut");
        assert_eq!(signing_key(""), None);
    }

    #[test]
    fn types_whose_keys_stay_in_hardware_are_known_by_name() {
        for name in ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"] {
            assert_eq!(HardwareKeyType::named(name).map(HardwareKeyType::as_str), Some(name));
        }
        for name in ["ssh-ed25519", "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com ", ""]
        {
            assert_eq!(HardwareKeyType::named(name), None, "{name}");
        }
    }

    #[test]
    fn more_than_sshd_ever_says_is_not_read() {
        let line = format!("publickey {}\n", KEYS[0].0);
        assert_eq!(fingerprints(&line.repeat(MAX_ACCEPTED + 1)).len(), MAX_ACCEPTED);
        let fitting = format!("{line}{}", "\n".repeat(MAX_INFO - line.len()));
        assert_eq!(fingerprints(&fitting).len(), 1);
        assert_eq!(fingerprints(&format!("{fitting}\n")).len(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_name_no_key(info in any::<Vec<u8>>(), method in "publickey |") {
            prop_assert_eq!(accepted_keys(&[method.as_bytes(), &info].concat()), []);
        }

        #[test]
        fn a_key_that_is_changed_anywhere_has_another_fingerprint_or_none(at in 10_usize..90, byte: u8) {
            let line = format!("publickey {}", KEYS[0].0);
            let at = at.min(line.len() - 1);
            let mut changed = line.clone().into_bytes();
            changed[at] = byte;
            let same = changed == line.as_bytes();
            prop_assert_eq!(accepted_keys(&changed) == accepted_keys(line.as_bytes()), same);
        }

        #[test]
        fn a_signature_of_any_bytes_is_read_without_a_panic(blob in any::<Vec<u8>>()) {
            let blob = [&b"SSHSIG\0\0\0\x01"[..], &blob].concat();
            let base64 = Base64::encode_string(&blob);
            let text = format!("-----BEGIN SSH SIGNATURE-----\n{base64}\n-----END SSH SIGNATURE-----");
            let _ = signing_key(&text);
        }

        #[test]
        fn every_fingerprint_reads_back(hash: [u8; 32]) {
            let fingerprint = KeyFingerprint(hash);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
    }
}
