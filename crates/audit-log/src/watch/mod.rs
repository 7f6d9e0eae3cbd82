//! Anomalies: events that look harmless one by one but not together. Each says why; none denies a login.
//!
//! Rules about one account are the module's: it logs an `anomaly` line in the account's chain, and `Watch`
//! passes that on. The other rules need more than one account's lines, and are found here.
//!
//! Memory is bounded whatever others send: tables have a fixed size and forget their oldest entries first.

mod memory;

use crate::event::{Entry, Event};
use crate::table::{self, Table};
use crate::trust::Trust;
use memory::{Logins, RecentNames, is_local, place_of};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::fmt;

/// Longest user name that is kept, in characters.
const LONGEST_NAME: usize = 256;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// Attacks on many names, and logins from places in turn, are counted within this time.
const WINDOW: i64 = 10 * MINUTE;
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

/// The rules whose anomalies no line of the log names.
pub fn rules_of_watch() -> impl Iterator<Item = &'static str> {
    let of_module = |rule: &&str| qrtotp_account::Anomaly::ALL.iter().any(|one| one.rule() == *rule);
    RULES.into_iter().filter(move |rule| !of_module(rule))
}

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
    const ALL: [Self; 4] = [Self::Info, Self::Notice, Self::Warning, Self::Alert];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

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

    /// The prefix by which the journal gives a line its priority (sd-daemon(3)).
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Info => "<6>",
            Self::Notice => "<5>",
            Self::Warning => "<4>",
            Self::Alert => "<1>",
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

/// How much of something is an anomaly: `[watch]` of the configuration.
pub struct Thresholds {
    /// Accounts refused from one network within ten minutes.
    pub spray_accounts: usize,
    /// Accounts that enrol within an hour.
    pub enrolments: usize,
    /// Accounts for which one admin enrols devices within an hour, outside working hours.
    pub enrolments_by_admin: usize,
    /// Whether admins work at this time, in Unix seconds.
    pub is_at_work: Box<dyn Fn(i64) -> bool>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { spray_accounts: 5, enrolments: 10, enrolments_by_admin: 3, is_at_work: Box::new(|_| true) }
    }
}

/// Memory of the log so far.
#[derive(Default)]
pub struct Watch {
    thresholds: Thresholds,
    trust: Trust,
    logins: Table<String, Logins>,
    networks: Table<String, RecentNames>,
    /// By admin, the accounts whose devices they enrolled outside working hours.
    admins: Table<String, RecentNames>,
    /// When which account enrolled.
    enrolled: VecDeque<(i64, String)>,
    /// When a rule last named an account or a network.
    named: HashMap<(&'static str, String), i64>,
    now: i64,
}

impl Watch {
    /// An empty memory.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

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
        let from = || place_of(user, event.get("rhost"), event.get("by"));
        let found = match kind {
            "anomaly" => of_module(event, self.now, user, from()).into_iter().collect(),
            "login" => match (event.get("result"), event.get("reason")) {
                (Some("accepted"), Some(reason)) if reason != "remembered" => {
                    self.accepted(user, &from(), event.get("with") == Some("publickey"))
                }
                (Some("denied"), Some(reason)) if is_guess(reason) => self.refused(user, &from()),
                _ => Vec::new(),
            },
            // A code that was typed as the password: the login after it may have another reason.
            "password_tried" if event.get("reason").is_some_and(is_guess) => self.refused(user, &from()),
            "recovery_used" => recovery_used(self.now, user, event.number("left")),
            "enrollment_confirmed" => {
                let mut found = self.enrolled(user);
                found.extend(self.enrolled_by_admin(user, event));
                found
            }
            "credential_imported" => self.enrolled_by_admin(user, event).into_iter().collect(),
            _ => Vec::new(),
        };
        self.once_an_hour(found)
    }

    fn accepted(&mut self, user: &str, from: &str, by_key: bool) -> Vec<Anomaly> {
        let now = self.now;
        if let Some(network) = self.networks.get(from) {
            network.forget(user);
        }
        let logins = self.logins.entry(user.to_owned(), now);
        let mut found = Vec::new();
        if let Some(other) = logins.alternate(from, by_key, now - WINDOW) {
            let because = format!(
                "{user} got in from {from}, {other} and {from} again within ten minutes; a VPN or a phone does that, too"
            );
            found.push(about(now, "two-at-once", Severity::Info, Some(user), Some(from), because));
        }
        logins.add(from, now, by_key);
        found
    }

    fn refused(&mut self, user: &str, from: &str) -> Vec<Anomaly> {
        let now = self.now;
        if is_local(from) {
            return Vec::new();
        }
        let names = self.networks.entry(from.to_owned(), now).add(user, now, now - WINDOW);
        if names < self.thresholds.spray_accounts {
            return Vec::new();
        }
        let because =
            format!("{names} accounts were refused from {from} within ten minutes, and did not get in since");
        vec![about(now, "spray", Severity::Alert, None, Some(from), because)]
    }

    fn enrolled(&mut self, user: &str) -> Vec<Anomaly> {
        let (now, enough) = (self.now, self.thresholds.enrolments);
        self.enrolled.retain(|(at, name)| *at > now - HOUR && name != user);
        self.enrolled.push_back((now, user.to_owned()));
        if self.enrolled.len() > 4 * enough {
            self.enrolled.pop_front();
        }
        if self.enrolled.len() < enough {
            return Vec::new();
        }
        let because = format!("{} accounts enrolled a device within an hour", self.enrolled.len());
        vec![about(now, "many-enrolments", Severity::Warning, None, None, because)]
    }

    fn enrolled_by_admin(&mut self, user: &str, event: &Event) -> Option<Anomaly> {
        let now = self.now;
        let admin = event.get("by").filter(|by| *by != user && !(self.thresholds.is_at_work)(now))?;
        let names = self.admins.entry(admin.to_owned(), now).add(user, now, now - HOUR);
        let because =
            format!("{admin} enrolled devices of {names} accounts within an hour, outside the hours of work");
        (names >= self.thresholds.enrolments_by_admin)
            .then(|| about(now, "many-enrolments", Severity::Warning, Some(admin), None, because))
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

/// The anomaly that a line of the module names.
fn of_module(event: &Event, now: i64, user: &str, from: String) -> Option<Anomaly> {
    event.seq()?;
    let named = event.get("reason")?;
    let known = qrtotp_account::Anomaly::ALL.into_iter().find(|known| known.rule() == named)?;
    let severity = Severity::parse(event.get("severity")?)?;
    // `audit repair` logs lines without their detail.
    let detail = event.get("detail").filter(|_| !event.is_recovered());
    let because = detail.unwrap_or(known.because()).to_owned();
    Some(about(now, known.rule(), severity, Some(user), Some(&from), because))
}

fn recovery_used(now: i64, user: &str, left: Option<i64>) -> Vec<Anomaly> {
    let (rule, because) = match left {
        Some(left) if left <= FEW_CODES => {
            ("last-recovery", format!("{user} used a recovery code and has {left} left"))
        }
        _ => ("recovery-used", format!("{user} used a recovery code instead of a device")),
    };
    vec![about(now, rule, Severity::Notice, Some(user), None, because)]
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
