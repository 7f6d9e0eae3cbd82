//! Failures of each host, as this verifier counts them. Each verifier writes a key of its own, without a
//! compare, so that a noisy host delays nobody.

use crate::keys::HostName;
use crate::values::HostFailures;
use qrtotp_account::Name;
use qrtotp_values::UnixTime;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Most accounts that are told apart in ten minutes.
const MOST_ACCOUNTS: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<HashMap<HostName, Counter>>);

#[derive(Debug, Default)]
struct Counter {
    value: HostFailures,
    /// The hour in which an alert was given.
    alerted: i64,
    accounts: HashSet<Name>,
}

impl Counters {
    /// Counts a failure.
    pub fn count(&self, host: &HostName, name: &Name, now: UnixTime) -> HostFailures {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(host.clone()).or_default();
        let (hour, ten_minutes) = (now.div_euclid(3600), now.div_euclid(600));
        if counter.value.hour != hour {
            (counter.value.hour, counter.value.failures) = (hour, 0);
        }
        if counter.value.ten_minutes != ten_minutes {
            counter.value.ten_minutes = ten_minutes;
            counter.accounts.clear();
        }
        counter.value.failures = counter.value.failures.saturating_add(1);
        if counter.accounts.len() < MOST_ACCOUNTS {
            counter.accounts.insert(name.clone());
        }
        counter.value.accounts = u32::try_from(counter.accounts.len()).unwrap_or(u32::MAX);
        counter.value
    }

    /// A host's failures, if it is noisy; once an hour.
    pub fn take_alert(&self, host: &HostName) -> Option<HostFailures> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.get_mut(host)?;
        let is_due = counter.value.is_noisy() && counter.alerted != counter.value.hour;
        is_due.then(|| {
            counter.alerted = counter.value.hour;
            counter.value
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_host_is_noisy_above_300_failures_an_hour_or_from_20_accounts_in_ten_minutes() {
        let (counters, host) = (Counters::default(), HostName::new("web-1").unwrap());
        let name = |number: usize| Name::new(&format!("user{number}")).unwrap();
        for number in 1..=300 {
            assert!(!counters.count(&host, &name(number % 19), 7200).is_noisy(), "{number}");
        }
        assert_eq!(counters.take_alert(&host), None);
        assert!(counters.count(&host, &name(0), 7200).is_noisy());
        assert_eq!(counters.take_alert(&host).map(|value| value.failures), Some(301));
        assert_eq!(counters.take_alert(&host), None, "once");
        assert!(!counters.count(&host, &name(0), 10800).is_noisy(), "another hour");
        for number in 0..18 {
            assert!(!counters.count(&host, &name(100 + number), 10800).is_noisy());
        }
        assert!(counters.count(&host, &name(200), 10800).is_noisy());
    }
}
