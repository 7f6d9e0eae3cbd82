//! Which events are wanted, and times as people type them.

use crate::event::Entry;
use crate::time::{SECOND, TIMES, rfc3339};
use std::net::IpAddr;

/// Selects events: for each criterion that is set, an event must match one of its values.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Accounts.
    pub users: Vec<String>,
    /// PAM services, or `qrtotp` and `qrtotpd`.
    pub services: Vec<String>,
    /// Kinds of events.
    pub events: Vec<String>,
    /// Results.
    pub results: Vec<String>,
    /// Reasons.
    pub reasons: Vec<String>,
    /// Rules.
    pub rules: Vec<String>,
    /// Networks or host names of the remote side.
    pub from: Vec<String>,
    /// From this time on, in microseconds since 1970.
    pub since: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
}

impl Filter {
    /// Whether the event is wanted. An event without a known time is.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        let one_of = |wanted: &[String], key| {
            wanted.is_empty() || event.get(key).is_some_and(|value| wanted.iter().any(|one| one == value))
        };
        let time = entry.when();
        [
            (&self.users, "user"),
            (&self.services, "service"),
            (&self.events, "event"),
            (&self.results, "result"),
            (&self.reasons, "reason"),
            (&self.rules, "rule"),
        ]
        .into_iter()
        .all(|(wanted, key)| one_of(wanted, key))
            && (self.from.is_empty() || event.get("rhost").is_some_and(|host| self.is_from(host)))
            && (time == 0 || self.since.is_none_or(|since| time >= since))
            && (time == 0 || self.until.is_none_or(|until| time < until))
    }

    fn is_from(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>().ok();
        self.from
            .iter()
            .any(|network| network == host || address.is_some_and(|address| is_in(address, network)))
    }
}

impl Entry {
    /// Time of the event, in microseconds since 1970: by the host's clock if the line has its time, else the
    /// time at which the log received it; 0 if unknown.
    #[must_use]
    pub fn when(&self) -> i64 {
        self.at().unwrap_or(if self.time == 0 { self.stamp } else { self.time })
    }

    /// The time in a line of a chain, in microseconds since 1970.
    pub(crate) fn at(&self) -> Option<i64> {
        let at = self.event.link.and(self.event.number("at")).filter(|at| TIMES.contains(at));
        at.map(|at| at * SECOND)
    }
}

/// Whether `from` can name a remote side: a host name, an address, or a network as long as one can be.
#[must_use]
pub fn is_place(from: &str) -> bool {
    let (base, bits) = from.split_once('/').map_or((from, None), |(base, bits)| (base, Some(bits)));
    let most = match base.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return bits.is_none() && from.bytes().any(|byte| byte.is_ascii_alphabetic()),
    };
    bits.is_none_or(|bits| bits.parse::<u32>().is_ok_and(|bits| bits <= most))
}

fn is_in(address: IpAddr, network: &str) -> bool {
    let (base, bits) = network.split_once('/').unwrap_or((network, "128"));
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let same = |a: u128, b: u128, width: u32| {
        let shift = width.saturating_sub(bits);
        a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
    };
    match (address.to_canonical(), base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => same(address.to_bits().into(), base.to_bits().into(), 32),
        (IpAddr::V6(address), IpAddr::V6(base)) => same(address.to_bits(), base.to_bits(), 128),
        _ => false,
    }
}

/// A time as people type it, in microseconds since 1970: `2026-11-29`, `2026-11-29 10:00`, with a `T`,
/// seconds, `Z` or an offset; UTC without one. Or so long ago: `90d`, `12h`, `30m`.
#[must_use]
pub fn parse_time(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    if let Some((number, unit)) = text.split_at_checked(text.len().saturating_sub(1)) {
        let seconds = match unit {
            "d" => 86_400,
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => 0,
        };
        if seconds > 0
            && let Ok(number) = number.parse::<u32>()
        {
            return Some(now.saturating_sub((i64::from(number) * seconds).saturating_mul(SECOND)));
        }
    }
    let text = text.replacen(' ', "T", 1);
    rfc3339(&if text.contains('T') { text } else { format!("{text}T00:00") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::from_syslog;

    #[test]
    fn times_are_read_as_date_does() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-29", 1_795_910_400),
            ("2026-11-29 10:00", 1_795_946_400),
            ("2026-11-29T10:00:05+01:00", 1_795_942_805),
            ("2024-02-29T23:59:59-0230", 1_709_260_199),
            ("90d", 1_000_000_000 - 90 * 86_400),
            ("15m", 1_000_000_000 - 900),
        ] {
            assert_eq!(parse_time(text, 1_000_000_000 * SECOND), Some(seconds * SECOND), "{text}");
        }
        assert_eq!(rfc3339("2026-11-29T10:00:05.25Z"), Some(1_795_946_405_250_000));
        for none in ["", "d", "yesterday", "2026-13-01", "2026-11-29T25:00", "2026-11-29T10", "-5d", "1é"] {
            assert_eq!(parse_time(none, 0), None, "{none}");
        }
    }

    #[test]
    fn more_days_than_there_ever_were_are_a_time_before_all_lines() {
        assert!(parse_time("4294967295d", 1_000_000_000 * SECOND).unwrap() < 0);
    }

    #[test]
    fn an_address_or_a_network_with_a_slip_is_no_place() {
        for (from, is) in [
            ("192.0.2.7", true),
            ("2001:db8::/56", true),
            ("0.0.0.0/0", true),
            ("host.example.net", true),
            ("fe80::1%eth0", true),
            ("300.1.1.1", false),
            ("192.0.2.0/33", false),
            ("192.0.2.0/", false),
            ("host/24", false),
            ("", false),
        ] {
            assert_eq!(is_place(from), is, "{from}");
        }
    }

    #[test]
    fn every_condition_can_keep_an_event_out() {
        let line = "2026-11-29T10:00:00Z h sshd[1]: pam_qrtotp(sshd:auth): event=login result=denied reason=wrong_code \
                    user=alice service=sshd rhost=192.0.2.7 rule=office";
        let entry = from_syslog(line).unwrap();
        let at = entry.time;
        let one = |text: &str| vec![text.to_owned()];
        let all = Filter {
            users: one("alice"),
            services: one("sshd"),
            events: one("login"),
            results: one("denied"),
            reasons: one("wrong_code"),
            rules: one("office"),
            from: one("192.0.2.0/24"),
            since: Some(at),
            until: Some(at + 1),
        };
        assert!(all.wants(&entry) && Filter::default().wants(&entry));
        for other in [
            Filter { users: one("bob"), ..all.clone() },
            Filter { services: one("su"), ..all.clone() },
            Filter { events: one("token_issued"), ..all.clone() },
            Filter { results: one("accepted"), ..all.clone() },
            Filter { reasons: one("code"), ..all.clone() },
            Filter { rules: one("default"), ..all.clone() },
            Filter { from: one("192.0.3.0/24"), ..all.clone() },
            Filter { since: Some(at + 1), ..all.clone() },
            Filter { until: Some(at), ..all.clone() },
        ] {
            assert!(!other.wants(&entry), "{other:?}");
        }
        for (network, inside) in
            [("192.0.2.7", true), ("192.0.2.8/29", false), ("0.0.0.0/0", true), ("::/0", false), ("x", false)]
        {
            assert_eq!(is_in("192.0.2.7".parse().unwrap(), network), inside, "{network}");
        }
    }
}
