//! Names of hosts and verifiers, and the keys in etcd. docs/FLEET.md lists them.

use qrtotp_account::Name;
use std::fmt;
use thiserror::Error;

/// What every key begins with; the number is the version of the layout.
pub(crate) const PREFIX: &str = "/qrtotp/1/";
/// Put by transactions that go together, without a value. Not among the sealed values of a layout.
pub(crate) const TOGETHER: &str = "/qrtotp/together";
/// Most characters of a host's name.
const MAX_HOST: usize = 64;

/// Not a host's name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "a host's name has 1 to 64 characters, each of them a-z, 0-9, - or . and the first a letter or digit"
)]
pub struct HostNameError;

/// The name of a login host or a verifier in the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Checks a name.
    ///
    /// # Errors
    /// Other characters than those of host names in lower case.
    pub fn new(text: &str) -> Result<Self, HostNameError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let first = text.bytes().next().is_some_and(is_plain);
        let rest = text.bytes().all(|byte| is_plain(byte) || matches!(byte, b'-' | b'.'));
        if first && rest && text.len() <= MAX_HOST { Ok(Self(text.to_owned())) } else { Err(HostNameError) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A login host, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostId {
    /// Its name.
    pub name: HostName,
    /// SHA-256 of its public key, which decides whether it is that host.
    pub key: [u8; 32],
}

pub(crate) fn meta() -> String {
    format!("{PREFIX}meta")
}

pub(crate) fn policy() -> String {
    format!("{PREFIX}policy")
}

pub(crate) fn accounts() -> String {
    format!("{PREFIX}a/")
}

pub(crate) fn record(name: &Name) -> String {
    format!("{PREFIX}a/{}/r", name.file_name())
}

pub(crate) fn state(name: &Name) -> String {
    format!("{PREFIX}a/{}/s", name.file_name())
}

/// The account of a record's key.
pub(crate) fn account_of_record(key: &str) -> Option<Name> {
    Name::from_file_name(key.strip_prefix(&accounts())?.strip_suffix("/r")?)
}

pub(crate) fn hosts() -> String {
    format!("{PREFIX}h/")
}

pub(crate) fn host(host: &HostName) -> String {
    format!("{PREFIX}h/{host}")
}

pub(crate) fn failures() -> String {
    format!("{PREFIX}f/")
}

pub(crate) fn failures_of(host: &HostName, verifier: &HostName) -> String {
    format!("{PREFIX}f/{host}/{verifier}")
}

pub(crate) fn reports() -> String {
    format!("{PREFIX}s/")
}

pub(crate) fn report(host: &HostName) -> String {
    format!("{PREFIX}s/{host}")
}

pub(crate) fn break_glass() -> String {
    format!("{PREFIX}o/")
}

pub(crate) fn break_glass_of(host: &HostName) -> String {
    format!("{PREFIX}o/{host}")
}

pub(crate) fn tokens() -> String {
    format!("{PREFIX}j/")
}

pub(crate) fn token(id: &str) -> String {
    format!("{PREFIX}j/{id}")
}

pub(crate) fn turn() -> String {
    format!("{PREFIX}turn")
}

pub(crate) fn witnesses() -> String {
    format!("{PREFIX}w/")
}

pub(crate) fn witness(verifier: &HostName) -> String {
    format!("{PREFIX}w/{verifier}")
}

pub(crate) fn dummy_account(verifier: &HostName) -> String {
    format!("{PREFIX}decoy/{verifier}/s")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_host_whose_name_would_reach_another_key_is_refused() {
        for bad in ["", ".", "-a", "a/b", "A", "a b", "a\0", "ä", &"a".repeat(65)] {
            assert_eq!(HostName::new(bad), Err(HostNameError), "{bad:?}");
        }
        assert!(HostName::new("web-1.example.org").is_ok());
    }

    /// For a login's confirmation on a phone: nothing may use it for anything else.
    const RESERVED: &str = "l/";

    #[test]
    fn no_key_is_in_the_place_that_is_reserved_for_logins() {
        let (name, host) = (Name::new("l").unwrap(), HostName::new("l").unwrap());
        let all = [
            &[meta(), policy(), turn(), accounts(), hosts(), failures(), reports()][..],
            &[break_glass(), tokens(), witnesses(), record(&name), state(&name), self::host(&host)],
            &[failures_of(&host, &host), report(&host), break_glass_of(&host)],
            &[token("l"), witness(&host), dummy_account(&host)],
        ]
        .concat();
        let reserved = format!("{PREFIX}{RESERVED}");
        assert!(all.iter().all(|key| !key.starts_with(&reserved)), "{all:?}");
        let made = include_str!("keys.rs").matches("format!(\"{PREFIX}").count();
        assert_eq!(made, all.len() + 1, "every key that is made here, and the test's own");
    }

    #[test]
    fn an_account_is_found_by_its_records_key_and_by_no_other() {
        for name in ["alice", "a/b", "r", ".."] {
            let name = Name::new(name).unwrap();
            assert_eq!(account_of_record(&record(&name)), Some(name.clone()));
            assert_eq!(account_of_record(&state(&name)), None);
        }
    }
}
