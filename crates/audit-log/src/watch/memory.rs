//! What `Watch` remembers of an account and of a network.

use std::collections::VecDeque;
use std::net::IpAddr;

/// Places, failures and successes of an account.
const PLACES: usize = 8;
const FAILURES: usize = 32;
const SUCCESSES: usize = 4;
/// Names of a network that were refused.
const NAMES: usize = 32;

/// An account's places, failures and last successes.
#[derive(Debug, Default)]
pub(super) struct Account {
    places: Vec<(String, i64)>,
    failures: VecDeque<(i64, String)>,
    successes: VecDeque<(i64, String, bool)>,
    /// When and where the last code was accepted.
    pub(super) last_code: Option<(i64, String)>,
    pub(super) recovery_used: Option<i64>,
    /// When it last got in.
    pub(super) last: Option<i64>,
}

impl Account {
    pub(super) fn is_familiar(&self, place: &str, since: i64) -> bool {
        self.places.iter().any(|(known, last)| known == place && *last >= since)
    }

    /// Whether it ever got in there, as far as is remembered.
    pub(super) fn knows(&self, place: &str) -> bool {
        self.is_familiar(place, i64::MIN)
    }

    pub(super) fn familiar_since(&self, since: i64) -> Vec<String> {
        self.places.iter().filter(|(_, last)| *last >= since).map(|(place, _)| place.clone()).collect()
    }

    pub(super) fn failures_since(&self, since: i64, from: impl Fn(&str) -> bool) -> usize {
        self.failures.iter().filter(|(at, place)| *at >= since && from(place)).count()
    }

    pub(super) fn fail(&mut self, place: &str, now: i64) {
        self.failures.push_back((now, place.to_owned()));
        if self.failures.len() > FAILURES {
            self.failures.pop_front();
        }
    }

    /// The other place, if the last two successes were at `place` and at that one, and none of the three by a
    /// key.
    pub(super) fn alternates(&self, place: &str, by_key: bool, since: i64) -> Option<String> {
        let mut last = self.successes.iter().rev();
        let (other, before) = (last.next()?, last.next()?);
        let recent = before.0 >= since && !by_key && !other.2 && !before.2;
        let remote = !is_local(place) && !is_local(&other.1);
        (recent && remote && before.1 == place && other.1 != place).then(|| other.1.clone())
    }

    pub(super) fn accept(&mut self, place: &str, now: i64, by_key: bool, by_code: bool) {
        self.last = Some(now);
        self.failures.retain(|(_, from)| from != place);
        self.successes.push_back((now, place.to_owned(), by_key));
        if self.successes.len() > SUCCESSES {
            self.successes.pop_front();
        }
        if by_code {
            self.last_code = Some((now, place.to_owned()));
        }
        if let Some(known) = self.places.iter_mut().find(|(known, _)| known == place) {
            known.1 = now;
            return;
        }
        if self.places.len() >= PLACES {
            self.places.sort_by_key(|(_, last)| *last);
            self.places.remove(0);
        }
        self.places.push((place.to_owned(), now));
    }
}

/// A network, and who was refused there and did not get in since.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) refused: VecDeque<(i64, String)>,
}

impl Network {
    /// How many names were refused since `since`, with this one.
    pub(super) fn refuse(&mut self, user: &str, now: i64, since: i64) -> usize {
        self.refused.retain(|(at, name)| *at >= since && name != user);
        self.refused.push_back((now, user.to_owned()));
        if self.refused.len() > NAMES {
            self.refused.pop_front();
        }
        self.refused.len()
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
