//! A verifier's address, as an administrator writes it.

use super::PORT;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The addresses of a name or an address, with the usual port unless it names another. Asks the resolver.
///
/// # Errors
/// It does not know the name.
pub fn addresses(name: &str) -> io::Result<impl Iterator<Item = SocketAddr>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, PORT)].into_iter());
    }
    let found = if name.contains(':') { name.to_socket_addrs() } else { (name, PORT).to_socket_addrs() };
    Ok(found?.collect::<Vec<_>>().into_iter())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_verifier_is_an_address_or_a_name_and_perhaps_a_port() {
        let first = |name: &str| addresses(name).unwrap().next().unwrap().to_string();
        assert_eq!(first("10.1.0.11"), "10.1.0.11:4674");
        assert_eq!(first("10.1.0.11:700"), "10.1.0.11:700");
        assert_eq!(first("fd00::1"), "[fd00::1]:4674");
        assert_eq!(first("[fd00::1]:700"), "[fd00::1]:700");
        assert!(first("localhost").ends_with(":4674"));
    }
}
