//! The origin of a login, as far as it can be identified.
//!
//! A record keeps only keyed digests of places: a copy of it reveals no address without the key, and two
//! accounts' places can't be compared.

use super::{KeyFingerprint, Name};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};

/// The keyed digest of a place that can be told apart from others. All zeros: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlaceId(pub [u8; 8]);

/// The origin of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A process of the account on this host.
    Own,
    /// A kind and what tells it apart from others of the kind; to be digested under a key.
    Apart([u8; 8]),
    /// Nothing tells it apart from others.
    Nowhere,
}

impl Place {
    /// The holder of an accepted ssh key. The owner's laptop is familiar from every hotel, and another
    /// machine behind the same router without the key is a stranger.
    #[must_use]
    pub fn key(key: &KeyFingerprint) -> Self {
        apart(b'k', key.as_bytes())
    }

    /// A process of another account on this host.
    #[must_use]
    pub fn caller(name: &str) -> Self {
        Self::Apart(hashed(b'c', &[name.as_bytes()]))
    }

    /// A network: /24 of IPv4, /56 of IPv6, within which dynamic addresses stay familiar. A client address
    /// that another service reports (`through`) is a place at this service only.
    #[must_use]
    pub fn network(address: IpAddr, through: Option<&Name>) -> Self {
        let mut bytes = [0; 7];
        let kind = match address.to_canonical() {
            IpAddr::V4(address) => {
                bytes[..3].copy_from_slice(&address.octets()[..3]);
                b'n'
            }
            IpAddr::V6(address) => {
                bytes.copy_from_slice(&address.octets()[..7]);
                b'N'
            }
        };
        let Some(service) = through else { return apart(kind, &bytes) };
        Self::Apart(hashed(kind | 0x80, &[&[kind], &bytes, service.as_str().as_bytes()]))
    }
}

/// The features that a login must share with an earlier one before a rule with `remember` skips the code.
/// Narrower than a [`Place`].
#[derive(Clone, Copy, Debug)]
pub enum ExactOrigin<'a> {
    /// An address (for IPv6 its /64, except where unrelated hosts share one: NAT64's 64:ff9b::/32, Teredo and
    /// link-local addresses), with the ssh key that was accepted from there, if any.
    Remote(IpAddr, Option<&'a KeyFingerprint>),
    /// A terminal of a login session on this host, with the account whose process it is.
    Session {
        /// As the kernel names it, with the boot.
        session: &'a str,
        /// The terminal.
        tty: &'a str,
        /// The account.
        by: &'a str,
    },
}

impl ExactOrigin<'_> {
    /// The bytes to digest under a key for the record: this origin at this service under this policy.
    #[must_use]
    pub fn at(&self, service: &str, policy: u64) -> [u8; 8] {
        let octets;
        let parts: [&[u8]; 3] = match self {
            Self::Remote(address, key) => {
                let address = match address.to_canonical() {
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                    IpAddr::V6(address) => match address.segments() {
                        [0x64, 0xff9b, ..] | [0x2001, 0, ..] | [0xfe80..=0xfebf, ..] => address,
                        _ => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)),
                    },
                };
                octets = address.octets();
                [&octets, key.map_or(&[], |key| key.as_bytes()), &[]]
            }
            Self::Session { session, tty, by } => [session.as_bytes(), tty.as_bytes(), by.as_bytes()],
        };
        let ([a, b, c], policy) = (parts, policy.to_le_bytes());
        let fields = [&policy, service.as_bytes(), a, b, c];
        let lengths = fields.map(|field| (field.len() as u64).to_le_bytes());
        let pairs: [[&[u8]; 2]; 5] = std::array::from_fn(|at| [&lengths[at][..], fields[at]]);
        hashed(b'r', pairs.as_flattened())
    }
}

fn apart(kind: u8, what: &[u8]) -> Place {
    Place::Apart(shortened(kind, what))
}

fn hashed(kind: u8, parts: &[&[u8]]) -> [u8; 8] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    shortened(kind, &hash.finalize())
}

fn shortened(kind: u8, what: &[u8]) -> [u8; 8] {
    let mut bytes = [kind, 0, 0, 0, 0, 0, 0, 0];
    bytes[1..].iter_mut().zip(what).for_each(|(byte, known)| *byte = *known);
    bytes
}

/// The origin of an answer, as the throttle sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A process of the account on this host.
    Own,
    /// A place that can be told apart from others. It is a stranger's until it is familiar.
    Place(PlaceId),
    /// Nothing tells this place apart from others: always a stranger's.
    Nowhere,
}
