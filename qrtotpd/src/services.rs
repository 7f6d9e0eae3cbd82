//! The services of `[broker.services]`, and their requests so far. A compromised service must not reach all
//! accounts: it can neither guess their codes nor have them disabled by wrong ones.

use crate::attempt::Attempt;
use nix::unistd::User;
use qrtotp_audit::Verdict;
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_flow::FirstPass;
use qrtotp_policy::ConfigFile;
use qrtotp_wire::Response;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The length of a counting period.
const PERIOD: Duration = Duration::from_secs(3600);
/// Refused codes of one service in a period.
const FAILURES: u32 = 300;
/// Refused answers of password and code of one service in a period. They count apart, so that the count does
/// not reveal whether the password was right.
const PASSWORDS: u32 = 3000;
/// Accounts that one service may ask about in a period.
const ACCOUNTS: usize = 1000;

/// The counter that a refused answer adds to.
#[derive(Clone, Copy)]
pub enum Counter {
    /// A wrong code.
    Codes,
    /// An answer of password and code: the count must not reveal whether the password was right.
    Passwords,
    /// No counter: a password for a name that the host does not know.
    Nothing,
}

/// Number of verdicts kept for repeated requests, and how long they are kept.
const VERDICTS: usize = 1024;
const VERDICT_PERIOD: Duration = Duration::from_secs(60);

/// A request with an id: a keyed hash of the service, the id and the whole request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestKey(u64);

/// The known services, by uid.
#[derive(Default)]
pub struct Services {
    tallies: Mutex<HashMap<u32, Tally>>,
    /// The newest last.
    verdicts: Mutex<VecDeque<(RequestKey, Deadline, Verdict)>>,
    /// Its keys are random.
    hasher: RandomState,
}

/// The requests of one service in this period.
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

    fn count(&mut self, counter: Counter) -> Option<&mut u32> {
        match counter {
            Counter::Codes => Some(&mut self.failures),
            Counter::Passwords => Some(&mut self.passwords),
            Counter::Nothing => None,
        }
    }

    fn is_over(&self) -> bool {
        self.period.left().is_zero()
    }
}

impl Services {
    /// The services that the configuration names, so that they are known from the first request on.
    pub fn listed_in(config: &Path) -> Self {
        let services = Self::default();
        for (account, _) in ConfigFile::load(config, SystemClock.now())
            .map(|source| source.config.broker.services)
            .unwrap_or_default()
        {
            if let Ok(Some(user)) = User::from_name(&account) {
                services.note(user.uid.as_raw(), true);
            }
        }
        services
    }

    /// Records whether `uid` is listed.
    pub fn note(&self, uid: u32, listed: bool) {
        if listed {
            self.tallies().entry(uid).or_insert_with(Tally::begin);
        } else {
            self.tallies().remove(&uid);
        }
    }

    /// Whether `uid` was listed at the last look-up.
    pub fn knows(&self, uid: u32) -> bool {
        self.tallies().contains_key(&uid)
    }

    /// Counts that the service `uid` asks about `account`, and its answer as refused before it is checked, so
    /// that concurrent answers can't exceed a limit together. False: a limit is reached, and the answer must
    /// not be checked.
    pub fn admits(&self, uid: u32, account: Option<u32>, counter: Counter) -> bool {
        let mut tallies = self.tallies();
        let tally = tallies.entry(uid).or_insert_with(Tally::begin);
        if tally.is_over() {
            *tally = Tally::begin();
        }
        let known = account.is_none_or(|account| {
            tally.accounts.contains(&account)
                || (tally.accounts.len() < ACCOUNTS && tally.accounts.insert(account))
        });
        let admitted = known && tally.failures < FAILURES && tally.passwords < PASSWORDS;
        if let Some(count) = tally.count(counter).filter(|_| admitted) {
            *count += 1;
        }
        admitted
    }

    /// Takes back what [`Services::admits`] counted: the answer was not refused.
    pub fn take_back(&self, uid: u32, counter: Counter) {
        if let Some(count) = self.tallies().get_mut(&uid).and_then(|tally| tally.count(counter)) {
            *count = count.saturating_sub(1); // a new period may have begun
        }
    }

    /// The request of a service, if it has an id.
    pub fn request(&self, uid: u32, attempt: &Attempt) -> Option<RequestKey> {
        let Attempt { user, service, options, id, answer, .. } = attempt;
        let forward = options.first_pass == FirstPass::Forward;
        let what = (uid, id, user, service, forward, answer.as_slice());
        (!id.is_empty()).then(|| RequestKey(self.hasher.hash_one(what)))
    }

    /// The earlier verdict on this request: its connection may have broken after the code was used up.
    pub fn verdict_of(&self, request: RequestKey) -> Option<Verdict> {
        let verdicts = self.verdicts();
        let kept = verdicts.iter().rev().find(|(known, ..)| *known == request);
        kept.filter(|(_, until, _)| !until.left().is_zero()).map(|(.., verdict)| *verdict)
    }

    /// Stores the response to a request. If the same request was accepted in the meantime, this one is
    /// accepted, too.
    pub fn keep(&self, request: Option<RequestKey>, response: Response) -> Response {
        let (Some(request), Response::Verdict(verdict)) = (request, &response) else { return response };
        if let Some(Verdict::Accepted) = self.verdict_of(request) {
            return Response::Verdict(Verdict::Accepted);
        }
        let mut verdicts = self.verdicts();
        if verdicts.len() == VERDICTS {
            verdicts.pop_front();
        }
        verdicts.push_back((request, Deadline::after(VERDICT_PERIOD), *verdict));
        response
    }

    fn verdicts(&self) -> MutexGuard<'_, VecDeque<(RequestKey, Deadline, Verdict)>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }

    /// True if no counts or verdicts are held, which the broker would lose when it ends.
    pub fn is_quiet(&self) -> bool {
        let kept = self.verdicts().back().is_some_and(|(_, until, _)| !until.left().is_zero());
        !kept
            && self.tallies().values().all(|tally| {
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
            assert!(services.admits(26, Some(1000), Counter::Codes));
        }
        assert!(!services.admits(26, Some(1000), Counter::Codes), "none of them was looked at yet");
        assert!(services.admits(33, Some(1000), Counter::Codes));
        services.take_back(26, Counter::Codes);
        assert!(services.admits(26, Some(1000), Counter::Codes), "one was right");
        assert!(!services.admits(26, Some(1000), Counter::Nothing));
    }

    #[test]
    fn passwords_with_codes_have_a_limit_of_their_own() {
        let services = Services::default();
        for _ in 0..PASSWORDS {
            assert!(services.admits(26, Some(1000), Counter::Passwords));
            services.take_back(26, Counter::Codes);
        }
        assert!(!services.admits(26, Some(1000), Counter::Codes));
    }

    #[test]
    fn a_service_reaches_a_limit_of_accounts_and_is_still_served_for_those_it_had() {
        let services = Services::default();
        let served =
            (0..5000).filter(|account| services.admits(26, Some(*account), Counter::Nothing)).count();
        assert_eq!(served, ACCOUNTS);
        assert!(
            services.admits(26, Some(0), Counter::Nothing) && services.admits(26, None, Counter::Nothing),
            "and names of nobody are no accounts"
        );
    }

    #[test]
    fn what_is_counted_is_kept_until_its_period_is_over() {
        let services = Services::default();
        services.note(26, true);
        assert!(services.knows(26) && services.is_quiet());
        services.admits(26, Some(1000), Counter::Codes);
        assert!(!services.is_quiet());
        services.note(26, false);
        assert!(!services.knows(26) && services.is_quiet());
    }
}
