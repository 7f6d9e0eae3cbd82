//! What `Watch` remembers of an account and of a network.

use qrtotp_values::checksum;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Logins of an account.
const LOGINS: usize = 2;
/// Names of a network or of an admin.
const NAMES: usize = 32;

/// When and where an account last got in, and whether by an ssh key.
#[derive(Debug, Default)]
pub(super) struct Logins {
    last: VecDeque<(i64, String, bool)>,
}

impl Logins {
    /// The other place, if the last two logins were at `place` and at that one, and none of the three by a
    /// key.
    pub(super) fn alternate(&self, place: &str, by_key: bool, since: i64) -> Option<String> {
        let mut last = self.last.iter().rev();
        let (other, before) = (last.next()?, last.next()?);
        let recent = before.0 >= since && !by_key && !other.2 && !before.2;
        let remote = !is_local(place) && !is_local(&other.1);
        (recent && remote && before.1 == place && other.1 != place).then(|| other.1.clone())
    }

    pub(super) fn add(&mut self, place: &str, now: i64, by_key: bool) {
        self.last.push_back((now, place.to_owned(), by_key));
        if self.last.len() > LOGINS {
            self.last.pop_front();
        }
    }
}

/// Names of late: accounts that were refused in a network and did not get in since, or whose devices an admin
/// enrolled. By their hashes: an attacker chooses how many networks there are, and how long names are.
#[derive(Debug, Default)]
pub(super) struct RecentNames(Vec<(i64, u64)>);

impl RecentNames {
    /// How many names came since `since`, with this one.
    pub(super) fn add(&mut self, name: &str, now: i64, since: i64) -> usize {
        let name = checksum(name.as_bytes());
        self.0.retain(|(at, known)| *at >= since && *known != name);
        if self.0.len() == NAMES {
            self.0.remove(0);
        }
        self.0.reserve_exact(1);
        self.0.push((now, name));
        self.0.len()
    }

    pub(super) fn forget(&mut self, name: &str) {
        let name = checksum(name.as_bytes());
        self.0.retain(|(_, known)| *known != name);
    }
}

/// Where an answer came from: the remote host's network, or this host, with the user who called su or sudo
/// for another account.
pub(super) fn place_of(user: &str, host: Option<&str>, by: Option<&str>) -> String {
    match (host, by.filter(|by| *by != user)) {
        (Some(host), _) => network_of(host),
        (None, Some(by)) => format!("{LOCAL}, by {by}"),
        (None, None) => LOCAL.to_owned(),
    }
}

const LOCAL: &str = "local";

pub(super) fn is_local(place: &str) -> bool {
    place.strip_prefix(LOCAL).is_some_and(|rest| rest.is_empty() || rest.starts_with(", by "))
}

/// The network of a remote host, within which dynamic addresses stay familiar: /24 of IPv4, /56 of IPv6, the
/// domain of a name.
fn network_of(host: &str) -> String {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(address)) => {
            let network = std::net::Ipv6Addr::from_bits(address.to_bits() >> 72 << 72);
            format!("{network}/56")
        }
        Err(_) => domain_of(&host.chars().take(255).collect::<String>()),
    }
}

/// The domain that the owner of a name can add names to, as `*.example.net`; under a short second level such
/// as co.uk, three labels. A name without a domain is followed by a dot, so that it is no other place.
fn domain_of(name: &str) -> String {
    let name = name.trim_end_matches('.').to_lowercase();
    let labels: Vec<&str> = name.rsplit('.').collect();
    let kept = match &labels[..] {
        [top, second, _, ..] if top.len() == 2 && second.len() <= 3 => 3,
        [_, _, ..] => 2,
        _ => return format!("{name}."),
    };
    let domain: Vec<&str> = labels.into_iter().take(kept).rev().collect();
    format!("*.{}", domain.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_network_a_domain_or_this_host_with_its_user() {
        for (host, by, place) in [
            (Some("192.0.2.7"), None, "192.0.2.0/24"),
            (Some("::ffff:192.0.2.7"), None, "192.0.2.0/24"),
            (Some("2001:db8:7:1ff::1"), None, "2001:db8:7:100::/56"),
            (Some("a1.dsl.Example.net."), None, "*.example.net"),
            (Some("example.net"), None, "*.example.net"),
            (Some("h7.isp.co.uk"), None, "*.isp.co.uk"),
            (Some("local"), None, "local."),
            (None, None, "local"),
            (None, Some("alice"), "local"),
            (None, Some("bob"), "local, by bob"),
        ] {
            let found = place_of("alice", host, by);
            assert_eq!((found.as_str(), is_local(&found)), (place, host.is_none()), "{host:?} {by:?}");
        }
    }
}
