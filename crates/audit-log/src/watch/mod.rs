//! Anomalies: events that look harmless one by one but not together. Each says why; none denies a login.
//!
//! Memory is bounded whatever others send: tables have a fixed size and forget their oldest entries first.

mod memory;

use crate::event::Entry;
use crate::table::{self, Table};
use crate::trust::Trust;
use memory::{Account, Network, is_local, place_of};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::fmt;

/// Longest user name that is kept, in characters.
const LONGEST_NAME: usize = 256;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Wrong codes and attacks on many names are counted within this time.
const WINDOW: i64 = 10 * MINUTE;
/// A code can be given again by somebody else so long.
const CODE_LIVES: i64 = 90;
/// So many refusals of one account, from places where it never got in.
const GUESSES: usize = 5;
/// So many refusals from a new place before the success there.
const FAILED_BEFORE: usize = 3;
/// So many accounts refused from one network.
const SPRAYED: usize = 5;
/// So many accounts that enrolled within an hour.
const ENROLMENTS: usize = 10;
/// A place where the account got in within this time is familiar.
const FAMILIAR: i64 = 30 * DAY;
/// An account that got in at no time for so long was asleep.
const DORMANT: i64 = 90 * DAY;
/// With so few recovery codes the owner needs new ones.
const FEW_CODES: i64 = 2;

/// The names of all rules.
pub const RULES: [&str; 11] = [
    "codes-guessed",
    "dormant",
    "enrolled-after-recovery",
    "failed-then-in",
    "intercepted",
    "last-recovery",
    "many-enrolments",
    "new-place",
    "recovery-used",
    "spray",
    "two-at-once",
];

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth telling the owner.
    Notice,
    /// Worth a look.
    Warning,
    /// Somebody is at it.
    Alert,
}

impl Severity {
    /// As the line says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Alert => "alert",
        }
    }
}

/// A pattern of events that an administrator should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Unix seconds.
    pub time: i64,
    /// Which rule found it.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Whose account, if it is about one.
    pub user: Option<String>,
    /// From where, if it is about one network.
    pub from: Option<String>,
    /// The facts, in words.
    pub because: String,
}

impl Anomaly {
    /// Whether it is of this rule and, if `about` is given, about that account or network.
    #[must_use]
    pub fn is_of(&self, rule: &str, about: Option<&str>) -> bool {
        let of_this = |about| self.user.as_deref() == Some(about) || self.from.as_deref() == Some(about);
        self.rule == rule && about.is_none_or(of_this)
    }

    /// For a hook.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "version": 1, "event": "anomaly", "time": crate::rfc3339_of(self.time.saturating_mul(1_000_000)),
            "rule": self.rule, "severity": self.severity.word(), "user": self.user, "from": self.from,
            "because": self.because })
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = "event=anomaly".to_owned();
        let mut put = |key, value: &str| qrtotp_values::text::logfmt(&mut line, key, value);
        put("severity", self.severity.word());
        put("rule", self.rule);
        self.user.iter().for_each(|user| put("user", user));
        self.from.iter().for_each(|from| put("from", from));
        put("because", &self.because);
        f.write_str(&line)
    }
}

/// Memory of the log so far.
#[derive(Default)]
pub struct Watch {
    trust: Trust,
    accounts: Table<String, Account>,
    networks: Table<String, Network>,
    /// When which account enrolled.
    enrolled: VecDeque<(i64, String)>,
    /// When a rule last named an account or a network.
    named: HashMap<(&'static str, String), i64>,
    now: i64,
}

impl Watch {
    /// The next line of the log, in the order of time. Lines that nothing proves count for nothing.
    pub fn read(&mut self, entry: &Entry) -> Vec<Anomaly> {
        let event = &entry.event;
        let counts = self.trust.counts(entry);
        let Some(kind) = event.get("event").filter(|_| counts) else { return Vec::new() };
        let time = entry.when().div_euclid(1_000_000);
        if time > 0 {
            self.now = time;
        }
        let user = event.get("user").unwrap_or("?");
        let user = user.char_indices().nth(LONGEST_NAME).map_or(user, |(end, _)| &user[..end]);
        let found = match kind {
            "login" => {
                let from = place_of(user, event.get("rhost"), event.get("by"));
                match (event.get("result"), event.get("reason")) {
                    (Some("accepted"), Some(reason)) if reason != "remembered" => {
                        self.accepted(user, &from, event.get("with") == Some("publickey"), reason)
                    }
                    (Some("denied"), Some("replayed_code")) => self.replayed(user, &from),
                    (Some("denied"), Some(reason)) if is_guess(reason) => self.refused(user, &from, reason),
                    _ => Vec::new(),
                }
            }
            "recovery_used" => self.recovery_used(user, event.number("left")),
            "enrollment_confirmed" => self.enrolled(user, event.get("by").is_none()),
            _ => Vec::new(),
        };
        self.once_an_hour(found)
    }

    fn accepted(&mut self, user: &str, from: &str, by_key: bool, reason: &str) -> Vec<Anomaly> {
        let now = self.now;
        if let Some(network) = self.networks.get(from) {
            network.refused.retain(|(_, name)| name != user);
        }
        let account = self.accounts.entry(user.to_owned(), now);
        let mut found = Vec::new();
        found.extend(strange(account, now, user, from, by_key));
        let failures = account.failures_since(now - HOUR, |place| place == from);
        if failures >= FAILED_BEFORE && !account.is_familiar(from, now - FAMILIAR) {
            let because = format!(
                "{failures} wrong answers from {from} within an hour, then a right one; {user} was never seen there before"
            );
            found.push(about(now, "failed-then-in", Severity::Warning, Some(user), Some(from), because));
        }
        if let Some(other) = account.alternates(from, by_key, now - WINDOW) {
            let because = format!(
                "{user} got in from {from}, {other} and {from} again within ten minutes; a VPN or a phone does that, too"
            );
            found.push(about(now, "two-at-once", Severity::Info, Some(user), Some(from), because));
        }
        account.accept(from, now, by_key, matches!(reason, "code" | "two_codes"));
        found
    }

    fn replayed(&mut self, user: &str, from: &str) -> Vec<Anomaly> {
        let now = self.now;
        let Some((at, place)) = self.accounts.get(user).and_then(|account| account.last_code.clone()) else {
            return Vec::new();
        };
        // sudo at once after ssh is no other place.
        if now - at > CODE_LIVES || place == from || is_local(&place) || is_local(from) {
            return Vec::new();
        }
        let because = format!(
            "a code that let {user} in from {place} was given again from {from} {} seconds later: somebody else knows it",
            now - at
        );
        vec![about(now, "intercepted", Severity::Alert, Some(user), Some(from), because)]
    }

    fn refused(&mut self, user: &str, from: &str, reason: &str) -> Vec<Anomaly> {
        let now = self.now;
        let mut found = Vec::new();
        if user != "?" && reason != "primary_factor" {
            let account = self.accounts.entry(user.to_owned(), now);
            account.fail(from, now);
            let (since, familiar) = (now - WINDOW, account.familiar_since(now - FAMILIAR));
            let guesses = account.failures_since(since, |place| !familiar.iter().any(|known| known == place));
            if guesses >= GUESSES {
                let because = format!(
                    "{guesses} wrong codes for {user} within ten minutes from places where {user} never got in; where the password is asked first, somebody knows it"
                );
                found.push(about(now, "codes-guessed", Severity::Alert, Some(user), Some(from), because));
            }
        }
        if !is_local(from) {
            let network = self.networks.entry(from.to_owned(), now);
            let names = network.refuse(user, now, now - WINDOW);
            if names >= SPRAYED {
                let because = format!(
                    "{names} accounts were refused from {from} within ten minutes, and did not get in since"
                );
                found.push(about(now, "spray", Severity::Alert, None, Some(from), because));
            }
        }
        found
    }

    fn recovery_used(&mut self, user: &str, left: Option<i64>) -> Vec<Anomaly> {
        let now = self.now;
        self.accounts.entry(user.to_owned(), now).recovery_used = Some(now);
        let (rule, because) = match left {
            Some(left) if left <= FEW_CODES => {
                ("last-recovery", format!("{user} used a recovery code and has {left} left"))
            }
            _ => ("recovery-used", format!("{user} used a recovery code instead of a device")),
        };
        vec![about(now, rule, Severity::Notice, Some(user), None, because)]
    }

    fn enrolled(&mut self, user: &str, by_owner: bool) -> Vec<Anomaly> {
        let now = self.now;
        let mut found = Vec::new();
        let used = self.accounts.get(user).and_then(|account| account.recovery_used);
        if let Some(used) = used.filter(|used| by_owner && now - used < DAY) {
            let because = format!(
                "{user} enrolled a device {} minutes after using a recovery code; a new phone, or somebody who found the codes",
                (now - used) / MINUTE
            );
            found.push(about(now, "enrolled-after-recovery", Severity::Alert, Some(user), None, because));
        }
        self.enrolled.retain(|(at, name)| *at > now - HOUR && name != user);
        self.enrolled.push_back((now, user.to_owned()));
        if self.enrolled.len() > 4 * ENROLMENTS {
            self.enrolled.pop_front();
        }
        if self.enrolled.len() >= ENROLMENTS {
            let because = format!("{} accounts enrolled a device within an hour", self.enrolled.len());
            found.push(about(now, "many-enrolments", Severity::Warning, None, None, because));
        }
        found
    }

    /// A rule names an account or a network once an hour.
    fn once_an_hour(&mut self, mut found: Vec<Anomaly>) -> Vec<Anomaly> {
        let now = self.now;
        found.retain(|anomaly| {
            let about = anomaly.user.clone().or_else(|| anomaly.from.clone()).unwrap_or_default();
            let last = self.named.entry((anomaly.rule, about)).or_insert(i64::MIN);
            let is_new = now.saturating_sub(*last) >= HOUR || now < *last;
            if is_new {
                *last = now;
            }
            is_new
        });
        if self.named.len() > table::MOST {
            // The newer half stays.
            let mut times: Vec<i64> = self.named.values().copied().collect();
            let (_, middle, _) = times.select_nth_unstable(table::MOST / 2);
            let middle = *middle;
            self.named.retain(|_, last| *last > middle);
        }
        found
    }
}

/// A success at a place, or after a time, that is not this account's habit.
fn strange(account: &Account, now: i64, user: &str, from: &str, by_key: bool) -> Vec<Anomaly> {
    // Of an account that was never seen every place is new.
    let Some(last) = account.last else { return Vec::new() };
    let mut found = Vec::new();
    if !account.knows(from) {
        let (severity, key) =
            if by_key { (Severity::Info, ", with an ssh key") } else { (Severity::Notice, "") };
        let because = format!("{user} got in from {from}{key}, and never before as far as the log goes back");
        found.push(about(now, "new-place", severity, Some(user), Some(from), because));
    }
    if now - last > DORMANT {
        let because = format!("{user} got in from {from}, for the first time in {} days", (now - last) / DAY);
        found.push(about(now, "dormant", Severity::Notice, Some(user), Some(from), because));
    }
    found
}

fn about(
    time: i64,
    rule: &'static str,
    severity: Severity,
    user: Option<&str>,
    from: Option<&str>,
    because: String,
) -> Anomaly {
    Anomaly { time, rule, severity, user: user.map(str::to_owned), from: from.map(str::to_owned), because }
}

/// Whether an answer of this reason may be a guess. A spent code, and Enter, are people's.
fn is_guess(reason: &str) -> bool {
    matches!(
        reason,
        "wrong_code" | "throttled" | "disabled" | "unknown_user" | "primary_factor" | "token_code_wrong"
    )
}

#[cfg(test)]
#[path = "../watch_tests.rs"]
mod tests;
