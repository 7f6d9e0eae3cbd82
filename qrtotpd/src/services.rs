//! The services of `[broker.services]`, and what each has asked for. A service that someone has broken into must not get at
//! every account: neither guess its codes, nor have them disabled by wrong ones.

use nix::unistd::User;
use qrtotp_core::clock::{Clock, Deadline, SystemClock};
use qrtotp_core::policy::Source;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long things are counted together.
const PERIOD: Duration = Duration::from_secs(3600);
/// Refused codes of one service in a period.
const FAILURES: u32 = 300;
/// Refused answers of password and code of one service in a period: whether the password was right must not show.
const PASSWORDS: u32 = 3000;
/// Accounts that one service may ask about in a period.
const ACCOUNTS: usize = 1000;

/// The services that are known, by uid.
#[derive(Default)]
pub struct Services {
    tallies: Mutex<HashMap<u32, Tally>>,
}

/// What one service has asked for in this period.
struct Tally {
    period: Deadline,
    failures: u32,
    passwords: u32,
    accounts: HashSet<u32>,
}

impl Tally {
    fn begin() -> Self {
        Self { period: Deadline::after(PERIOD), failures: 0, passwords: 0, accounts: HashSet::new() }
    }

    fn is_over(&self) -> bool {
        self.period.left().is_zero()
    }
}

impl Services {
    /// Those that the configuration names, so that the first of them to come is known.
    pub fn listed_in(config: &Path) -> Self {
        let services = Self::default();
        for (account, _) in Source::load(config, SystemClock.now())
            .map(|source| source.config.broker.services)
            .unwrap_or_default()
        {
            if let Ok(Some(user)) = User::from_name(&account) {
                services.note(user.uid.as_raw(), true);
            }
        }
        services
    }

    /// Whether `uid` is listed was looked up.
    pub fn note(&self, uid: u32, listed: bool) {
        if listed {
            self.tallies().entry(uid).or_insert_with(Tally::begin);
        } else {
            self.tallies().remove(&uid);
        }
    }

    /// Whether `uid` was listed when that was last looked up.
    pub fn knows(&self, uid: u32) -> bool {
        self.tallies().contains_key(&uid)
    }

    /// Counts that the service `uid` asks about `account`. False: it has reached a limit, and its answer must not be looked at.
    pub fn admits(&self, uid: u32, account: Option<u32>) -> bool {
        let mut tallies = self.tallies();
        let tally = tallies.entry(uid).or_insert_with(Tally::begin);
        if tally.is_over() {
            *tally = Tally::begin();
        }
        let known = account.is_none_or(|account| {
            tally.accounts.contains(&account)
                || (tally.accounts.len() < ACCOUNTS && tally.accounts.insert(account))
        });
        known && tally.failures < FAILURES && tally.passwords < PASSWORDS
    }

    /// Counts a wrong code of the service `uid`.
    pub fn refused_code(&self, uid: u32) {
        if let Some(tally) = self.tallies().get_mut(&uid) {
            tally.failures += 1;
        }
    }

    /// Counts an answer of password and code of the service `uid` that was refused, whatever was wrong with it.
    pub fn refused_with_password(&self, uid: u32) {
        if let Some(tally) = self.tallies().get_mut(&uid) {
            tally.passwords += 1;
        }
    }

    /// True if nothing is counted: a broker that ends forgets it.
    pub fn is_quiet(&self) -> bool {
        self.tallies().values().all(|tally| {
            tally.is_over() || (tally.failures + tally.passwords == 0 && tally.accounts.is_empty())
        })
    }

    fn tallies(&self) -> MutexGuard<'_, HashMap<u32, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_reaches_a_limit_of_refused_codes_and_others_do_not() {
        let services = Services::default();
        for _ in 0..FAILURES {
            assert!(services.admits(26, Some(1000)));
            services.refused_code(26);
        }
        assert!(!services.admits(26, Some(1000)) && services.admits(33, Some(1000)));
    }

    #[test]
    fn passwords_with_codes_have_a_limit_of_their_own() {
        let services = Services::default();
        for _ in 0..PASSWORDS {
            assert!(services.admits(26, Some(1000)));
            services.refused_with_password(26);
        }
        assert!(!services.admits(26, Some(1000)));
    }

    #[test]
    fn a_service_reaches_a_limit_of_accounts_and_is_still_served_for_those_it_had() {
        let services = Services::default();
        let served = (0..5000).filter(|account| services.admits(26, Some(*account))).count();
        assert_eq!(served, ACCOUNTS);
        assert!(
            services.admits(26, Some(0)) && services.admits(26, None),
            "and names of nobody are no accounts"
        );
    }

    #[test]
    fn what_is_counted_is_kept_until_its_period_is_over() {
        let services = Services::default();
        services.note(26, true);
        assert!(services.knows(26) && services.is_quiet());
        services.admits(26, Some(1000));
        assert!(!services.is_quiet());
        services.note(26, false);
        assert!(!services.knows(26) && services.is_quiet());
    }
}
