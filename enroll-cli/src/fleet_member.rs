//! A verifier as administrators name it: `NAME=ADDRESS`.

use qrtotp_fleet::HostName;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr};

/// A verifier's name, and the name or address at which the others reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub address: String,
}

impl Member {
    /// The only verifier of a small fleet.
    pub fn alone() -> Self {
        Self { name: "v1".into(), address: "127.0.0.1".into() }
    }

    /// Whether no other machine can reach it.
    pub fn is_alone(&self) -> bool {
        self.address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Reads `NAME=ADDRESS`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, address) =
            text.split_once('=').ok_or("write it as NAME=ADDRESS, for example v1=10.1.0.11")?;
        let name = HostName::new(name).map_err(|error| error.to_string())?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let is_name = !address.is_empty() && address.bytes().all(is_plain);
        if !is_name && address.parse::<IpAddr>().is_err() {
            return Err("the address is a host's name or an IP address, without a port".into());
        }
        Ok(Self { name: name.to_string(), address: address.to_owned() })
    }

    /// The address with a port, as in a URL.
    pub fn at(&self, port: u16) -> String {
        match self.address.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{port}"),
            Err(_) => format!("{}:{port}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_becomes_part_of_a_url() {
        let at = |text: &str| Member::parse(text).unwrap().at(2380);
        assert_eq!(at("v1=10.1.0.11"), "10.1.0.11:2380");
        assert_eq!(at("v2=v2.example.org"), "v2.example.org:2380");
        assert_eq!(at("v3=fd00::3"), "[fd00::3]:2380");
    }

    #[test]
    fn a_verifier_that_would_break_etcds_configuration_is_refused() {
        for bad in ["v1", "v1=", "=10.0.0.1", "V1=10.0.0.1", "v1=10.0.0.1:2380", "v1=a\"b", "v1=a b", "v,1=a"]
        {
            assert!(Member::parse(bad).is_err(), "{bad}");
        }
    }
}
