//! Addresses, and networks of them (CIDR, RFC 4632 §3.1 and RFC 4291 §2.3).

use crate::bytes::{Bytes, Damaged};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Parses an address in the form of PAM applications. An IPv4 address in IPv6 becomes the IPv4 address (RFC
/// 4291 §2.5.5.2), and the zone (RFC 4007 §11) is dropped. `None`: a name, or not an address.
#[must_use]
pub fn address(rhost: &str) -> Option<IpAddr> {
    if let Ok(address) = rhost.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, zone) = rhost.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok().filter(|_| !zone.is_empty())?;
    Some(IpAddr::V6(address).to_canonical())
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// Bits that all its addresses share.
    prefix: u8,
}

impl Network {
    /// Its first address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// Bits that all its addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let host = 32 - u32::from(self.prefix.min(32));
                (first.to_bits() ^ address.to_bits()).checked_shr(host).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let host = 128 - u32::from(self.prefix.min(128));
                (first.to_bits() ^ address.to_bits()).checked_shr(host).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.first)
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        match self.first {
            IpAddr::V4(first) => {
                out.push(4);
                out.extend_from_slice(&first.octets());
            }
            IpAddr::V6(first) => {
                out.push(6);
                out.extend_from_slice(&first.octets());
            }
        }
        out.push(self.prefix);
    }

    pub(super) fn decode(family: u8, bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        let first = match family {
            4 => IpAddr::V4(bytes.v4()?),
            6 => IpAddr::V6(bytes.v6()?),
            _ => return Err(Damaged),
        };
        let prefix = bytes.u8()?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        if prefix <= most { Ok(Self { first, prefix }) } else { Err(Damaged) }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "not a network; write an address and the bits of its network, such as \"192.0.2.0/24\"";
        let (first, prefix) = text.split_once('/').ok_or(FORM)?;
        let first: IpAddr = first.parse().map_err(|_| FORM)?;
        let plain = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| plain).ok_or(FORM)?;
        if first != first.to_canonical() {
            return Err("an IPv4 network; write it as one, such as \"192.0.2.0/24\"");
        }
        let host = match first {
            IpAddr::V4(first) if prefix <= 32 => {
                u128::from(first.to_bits()).unbounded_shl(96 + u32::from(prefix))
            }
            IpAddr::V6(first) if prefix <= 128 => first.to_bits().unbounded_shl(prefix.into()),
            _ => return Err("has more bits than its addresses"),
        };
        if host != 0 {
            return Err("has bits behind its network; write the first address of the network");
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("2001:db8:7::/48", "2001:db8:7:ffff::1", "2001:db8:8::"),
            ("fe80::/10", "fe80::1%eth0", "fec0::1"),
            ("10.128.0.0/9", "10.255.0.1", "10.127.0.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(address(inside).unwrap()), "{network} {inside}");
            assert!(!network.contains(address(outside).unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "192.0.2.0",
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "2001:db8::1/48",
            "::/129",
            "::ffff:192.0.2.0/120",
            "bastion",
            "",
            "/",
            "192.0.2.0/24/24",
            " 192.0.2.0/24",
            "192.0.2/24",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_no_address() {
        for text in [
            "bastion.example.org",
            "",
            "192.0.2.1 ",
            "%eth0",
            "fe80::1%",
            "192.0.2.1%eth0",
            "1",
            "0x7f000001",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn a_network_is_the_same_after_its_binary_form() {
        for text in ["192.0.2.0/24", "2001:db8:7::/48", "::/0", "192.0.2.7/32"] {
            let (network, mut bytes) = (text.parse::<Network>().unwrap(), Vec::new());
            network.encode(&mut bytes);
            let mut read = Bytes::new(&bytes);
            let family = read.u8().unwrap();
            assert_eq!(Network::decode(family, &mut read), Ok(network), "{text}");
            assert_eq!(network.to_string(), text);
        }
    }
}
