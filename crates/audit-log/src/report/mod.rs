//! What `qrtotp audit report` shows: counts per day, hour, reason, place and account. Memory does not grow
//! with the log's length.

mod escape;
mod page;
mod plot;

use crate::event::Entry;
use crate::summary::{OTHERS, count};
use crate::trust::Trust;
use crate::verify::{Fault, Finding};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Most accounts that get a row of their own.
const ACCOUNTS: usize = 10_000;
/// Most findings, and most administrators' events, in the report. If there are more, it lists the first
/// findings and the newest events.
const LISTED: usize = 500;

/// How names of accounts begin if there are pseudonyms.
const ACCOUNT: &str = "account";

/// Counts by name.
type Counts = BTreeMap<String, u64>;

/// The logins and changes of one account.
#[derive(Clone, Debug, Default)]
struct Account {
    accepted: u64,
    denied: u64,
    /// Unix seconds of the last accepted login.
    last: Option<i64>,
    /// Events that are no logins: devices, tokens, recovery codes.
    changes: u64,
    /// A finding says that the store has no such account.
    is_unknown: bool,
    /// How many accounts came first: names would sort otherwise.
    order: usize,
}

/// Changes that an administrator may make for somebody.
const ACTIONS: [&str; 18] = [
    "account_removed",
    "account_renamed",
    "account_uid_adopted",
    "bulk_reissued",
    "bulk_revoked",
    "credential_imported",
    "credential_renamed",
    "credential_resynchronized",
    "credential_revoked",
    "enrollment_confirmed",
    "import_repeated",
    "key_registered",
    "policy_applied",
    "policy_confirmed",
    "policy_rolled_back",
    "recovery_regenerated",
    "token_issued",
    "token_revoked",
];

/// Something that an administrator did.
#[derive(Clone, Debug)]
struct AdminAction {
    time: i64,
    kind: String,
    user: Option<String>,
    by: Option<String>,
    policy: Option<String>,
}

/// The newest actions.
#[derive(Clone, Debug, Default)]
struct AdminActions {
    all: Vec<AdminAction>,
    left_out: u64,
}

impl AdminActions {
    fn add(&mut self, action: AdminAction) {
        if self.all.len() >= 2 * LISTED {
            self.all.drain(..LISTED);
            self.left_out += LISTED as u64;
        }
        self.all.push(action);
    }

    /// The newest ones, and how many came before them.
    fn listed(&self) -> (&[AdminAction], u64) {
        let before = self.all.len().saturating_sub(LISTED);
        (self.all.get(before..).unwrap_or_default(), self.left_out + before as u64)
    }
}

/// Result of verifying the log.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// How many accounts have lines.
    pub accounts: u64,
    /// Lines in the whole log.
    pub events: u64,
    /// Lines that fit.
    pub proven: u64,
    /// First lines of a chain: taken on trust.
    pub first: u64,
    /// Look-alikes.
    pub forged: u64,
    /// Lines that the log lost and the store has.
    pub lost: u64,
    /// Changed, missing or added lines.
    pub found: u64,
    /// Whether every account could be read.
    pub complete: bool,
}

/// The numbers of a period.
#[derive(Debug)]
pub struct Report {
    host: String,
    /// The first day, in days since 1970, and how many there are.
    first_day: i64,
    days: usize,
    now: i64,
    pseudonyms: Option<Pseudonyms>,
    /// Accepted, denied and passed logins of each day.
    by_day: Vec<[u64; 3]>,
    /// Logins of each weekday, from Monday on, and hour.
    by_hour: [[u64; 24]; 7],
    reasons: Counts,
    services: Counts,
    with: Counts,
    rules: Counts,
    places: Counts,
    accounts: HashMap<String, Account>,
    actions: AdminActions,
    /// Configurations: a list of their own, so that no other action takes their place.
    policies: AdminActions,
    trust: Trust,
    /// Lines that nothing proves, and that no process is known to have forged.
    not_proven: u64,
    findings: Vec<(String, u64, String)>,
    /// Logins that were counted and are of accounts that the store does not have.
    of_no_account: u64,
    /// Accounts of the store, as `audit summary` counts them: how many, and what.
    census: Vec<(u64, &'static str)>,
    proof: Proof,
}

/// Names that stand for others. The same name has the same one in all of a report.
#[derive(Debug, Default)]
struct Pseudonyms {
    known: HashMap<(&'static str, String), usize>,
    next: HashMap<&'static str, usize>,
}

impl Pseudonyms {
    fn of(&mut self, kind: &'static str, name: &str) -> String {
        let next = self.next.entry(kind).or_default();
        let number = *self.known.entry((kind, name.to_owned())).or_insert_with(|| {
            *next += 1;
            *next
        });
        format!("{kind} {number}")
    }
}

impl Report {
    /// A report of the last `days` days before `now` (Unix seconds), in UTC; today is one of them.
    #[must_use]
    pub fn new(host: &str, now: i64, days: u32, pseudonyms: bool) -> Self {
        let days = days.clamp(1, 400);
        Self {
            host: host.to_owned(),
            first_day: now.div_euclid(DAY) - i64::from(days) + 1,
            days: days as usize,
            now,
            pseudonyms: pseudonyms.then(Pseudonyms::default),
            by_day: vec![[0; 3]; days as usize],
            by_hour: [[0; 24]; 7],
            reasons: Counts::new(),
            services: Counts::new(),
            with: Counts::new(),
            rules: Counts::new(),
            places: Counts::new(),
            accounts: HashMap::new(),
            actions: AdminActions::default(),
            policies: AdminActions::default(),
            trust: Trust::default(),
            not_proven: 0,
            findings: Vec::new(),
            of_no_account: 0,
            census: Vec::new(),
            proof: Proof::default(),
        }
    }

    /// Counts an entry if it is of the period and proven.
    pub fn add(&mut self, entry: &Entry) {
        let counts = self.trust.counts(entry);
        let at = entry.when().div_euclid(1_000_000);
        let day = at.div_euclid(DAY) - self.first_day;
        let Some(day) = usize::try_from(day).ok().filter(|day| *day < self.days) else { return };
        if !counts {
            self.not_proven += u64::from(!entry.is_forged());
            return;
        }
        let is_login = entry.event.get("event") == Some("login");
        if is_login {
            self.login(entry, at, day);
        } else {
            self.change(entry, at);
        }
    }

    fn login(&mut self, entry: &Entry, at: i64, day: usize) {
        let event = &entry.event;
        let Some(result) = event.get("result") else { return };
        let column = match result {
            "accepted" => 0,
            "denied" => 1,
            _ => 2,
        };
        if let Some(count) = self.by_day.get_mut(day) {
            count[column] += 1;
        }
        let weekday = usize::try_from((at.div_euclid(DAY) + 3).rem_euclid(7)).unwrap_or(0);
        let hour = usize::try_from(at.rem_euclid(DAY) / 3600).unwrap_or(0);
        self.by_hour[weekday][hour] += 1;
        let of = |key| event.get(key).into_iter();
        of("service").for_each(|service| count(&mut self.services, service));
        of("with").for_each(|with| count(&mut self.with, with));
        of("rule").for_each(|rule| count(&mut self.rules, rule));
        if result == "denied" {
            of("reason").for_each(|reason| count(&mut self.reasons, reason));
            for place in of("rhost") {
                let place = self.name("place", place);
                count(&mut self.places, &place);
            }
        }
        let account = self.account(event.get("user"));
        match result {
            "accepted" => {
                account.accepted += 1;
                account.last = account.last.max(Some(at));
            }
            "denied" => account.denied += 1,
            _ => {}
        }
    }

    fn change(&mut self, entry: &Entry, at: i64) {
        let event = &entry.event;
        let kind = event.get("event").unwrap_or_default();
        if event.get("user").is_some() {
            self.account(event.get("user")).changes += 1;
        }
        let is_policy = kind.starts_with("policy_");
        let by = event.get("by").filter(|by| Some(*by) != event.get("user"));
        let unlocked = kind == "throttle_lifted" && event.get("reason") == Some("unlock");
        if !(ACTIONS.contains(&kind) || unlocked) || (by.is_none() && !is_policy) {
            return;
        }
        let user = event.get("user").map(|user| self.name(ACCOUNT, user));
        let by = by.map(|by| self.name(ACCOUNT, by));
        let policy = event.get("policy").filter(|_| is_policy).map(str::to_owned);
        let actions = if is_policy { &mut self.policies } else { &mut self.actions };
        actions.add(AdminAction { time: at, kind: kind.to_owned(), user, by, policy });
    }

    fn account(&mut self, user: Option<&str>) -> &mut Account {
        let user = user.unwrap_or("?");
        let order = self.accounts.len();
        let name = if self.accounts.contains_key(user) || order < ACCOUNTS { user } else { OTHERS };
        self.name(ACCOUNT, name);
        self.accounts.entry(name.to_owned()).or_insert_with(|| Account { order, ..Account::default() })
    }

    /// A name as the report shows it.
    fn name(&mut self, kind: &'static str, name: &str) -> String {
        match &mut self.pseudonyms {
            Some(_) if matches!(name, "" | "?" | OTHERS) => name.to_owned(),
            Some(pseudonyms) => pseudonyms.of(kind, name),
            None => name.to_owned(),
        }
    }

    /// Lists a finding of `audit verify`, in words.
    pub fn find(&mut self, finding: &Finding, words: &str) {
        let account = self.accounts.get_mut(&finding.user).filter(|account| !account.is_unknown);
        if let (Fault::NoAccount, Some(account)) = (&finding.fault, account) {
            account.is_unknown = true;
            self.of_no_account += account.accepted + account.denied;
        }
        if self.findings.len() < LISTED {
            self.findings.push((finding.user.clone(), finding.seq, words.to_owned()));
        }
    }

    /// Findings about accounts come in the order of their names, which must not tell names.
    fn name_findings(&mut self) {
        if self.pseudonyms.is_none() {
            return;
        }
        // A set of std has an order of its own in each run.
        let unnamed: HashSet<String> = self.findings.iter().map(|(user, ..)| user.clone()).collect();
        for user in &unnamed {
            self.name(ACCOUNT, user);
        }
        let mut findings = std::mem::take(&mut self.findings);
        findings.iter_mut().for_each(|(user, ..)| *user = self.name(ACCOUNT, user));
        findings.sort();
        self.findings = findings;
    }

    /// Adds the result of verifying the log and the store's counts.
    pub fn finish(&mut self, proof: Proof, census: Vec<(u64, &'static str)>) {
        (self.proof, self.census) = (proof, census);
    }

    /// The page. It needs nothing else: no script, no other file.
    #[must_use]
    pub fn html(mut self) -> String {
        let mut accounts: Vec<(String, Account)> = std::mem::take(&mut self.accounts).into_iter().collect();
        if self.pseudonyms.is_some() {
            accounts.sort_by_key(|(_, account)| account.order);
            accounts.iter_mut().for_each(|(name, _)| *name = self.name(ACCOUNT, name));
        } else {
            accounts.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.name_findings();
        page::page(&self, &accounts)
    }
}

#[cfg(test)]
#[path = "../report_tests.rs"]
mod tests;
