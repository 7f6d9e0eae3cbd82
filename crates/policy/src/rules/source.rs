//! Rules in TOML: `[networks]`, `[policy]`, `[[rule]]` and `[[test]]`, read strictly.

use super::sense::{problem, warnings};
use super::values::{
    At, Caller, Familiarity, Items, Key, LocalTime, RemoteHost, Service, Terminal, UserPattern, is_word,
};
use super::{
    Conditions, Effects, Group, Hours, MAX_ITEMS, MAX_RULES, OUTCOMES, Origin, Outcome, Pattern, Rule,
};
use crate::FirstLogin;
use crate::bytes::printable;
use crate::document::{Fault, Table, Value};
use crate::read::{Section, Setting, list, table};
use qrtotp_values::UnixTime;
use qrtotp_values::{ConfigDuration, Date};
use std::borrow::Cow;
use std::net::IpAddr;

/// Resolves names on this host.
pub trait Names {
    /// The number of a group; `None`: no such group.
    ///
    /// # Errors
    /// The look-up failed; the error says why.
    fn gid(&self, group: &str) -> Result<Option<u32>, String>;

    /// Whether there is such an account.
    fn has_user(&self, _name: &str) -> bool {
        true
    }

    /// The offsets of a time zone, in seconds east of UTC, each with its start; at most eight.
    ///
    /// # Errors
    /// There is no such zone; the error says so.
    fn zone(&self, name: &str) -> Result<Vec<(UnixTime, i32)>, String>;
}

/// The part of a document beside the settings, with the number of its file.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) file: usize,
    networks: Option<Value>,
    policy: Option<Value>,
    rule: Option<Value>,
    test: Option<Value>,
}

impl Part {
    /// Removes the part from a document.
    pub(crate) fn take(file: usize, document: &mut Table) -> Self {
        let mut take = |key| document.take(key);
        Self {
            file,
            networks: take("networks"),
            policy: take("policy"),
            rule: take("rule"),
            test: take("test"),
        }
    }

    /// The place of the first rule's `first_login = "enroll"`.
    pub(crate) fn enrols_at(&self) -> Option<usize> {
        let rules = list(self.rule.as_ref()?).ok()?;
        rules.iter().find_map(|rule| enrols_at(table(rule).ok()?))
    }
}

/// The place of `first_login = "enroll"` in a table.
pub(crate) fn enrols_at(keys: &Table) -> Option<usize> {
    let value = keys.get("first_login")?;
    matches!(FirstLogin::read(value), Ok(FirstLogin::Enroll)).then_some(value.at)
}

/// `[policy]`, `[[rule]]`s and `[[test]]`s.
#[derive(Debug, Default)]
pub(crate) struct Read {
    key_services: Vec<Cow<'static, str>>,
    pub(crate) zone: Vec<(UnixTime, i32)>,
    pub(crate) emergency: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tests: Vec<(usize, usize, Test)>,
    /// Points that an admin should reconsider: the rule, and why.
    pub(crate) warnings: Vec<(String, String)>,
    /// Names that this host does not know: the file, the place, and what they are.
    pub(crate) unknown: Vec<(usize, usize, String)>,
    file: usize,
}

/// `[[test]]`: a hypothetical login, and its expected decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// The account; empty: an account that the host does not know.
    pub user: String,
    /// Its groups, by name.
    pub groups: Vec<String>,
    /// The PAM service.
    pub service: String,
    /// The remote host; empty: none.
    pub from: String,
    /// The terminal; empty: none.
    pub tty: String,
    /// The caller; empty: none.
    pub by: String,
    /// Whether sshd accepted a key.
    pub key: bool,
    /// Whether that is a registered hardware key.
    pub hardware_key: bool,
    /// Whether the place is familiar.
    pub familiar: bool,
    /// Seconds of local time since 1970; `None`: now.
    pub at: Option<i64>,
    /// `OUTCOME by RULE`.
    pub expect: String,
}

/// Reads all parts, in the order in which their rules are tried. A fault names its file by number.
///
/// `key_services` are the services that say whether a key was accepted.
pub(crate) fn read(
    parts: &[Part],
    names: &dyn Names,
    key_services: &[Cow<'static, str>],
) -> Result<Read, (usize, Fault)> {
    let mut read = Read { key_services: key_services.to_vec(), ..Read::default() };
    for part in parts {
        let policy = part.policy.as_ref().map_or(Ok(()), |value| read.policy(value, names));
        policy.map_err(|fault| (part.file, fault))?;
    }
    let networks = Networks::read(parts)?;
    for part in parts {
        read.file = part.file;
        let rules = part.rule.as_ref().map_or(Ok(()), |value| read.rules(value, &networks, names));
        rules.map_err(|fault| (part.file, fault))?;
        let tests = part.test.as_ref().map_or(Ok(()), |value| read.tests(value, names));
        tests.map_err(|fault| (part.file, fault))?;
    }
    Ok(read)
}

impl Read {
    fn policy(&mut self, value: &Value, names: &dyn Names) -> Result<(), Fault> {
        let mut section = Section::of(table(value)?);
        let mut zone = None::<At<String>>;
        section.setting("zone", &mut zone)?;
        section.setting("emergency", &mut self.emergency)?;
        section.finish()?;
        if let Some(zone) = zone {
            self.zone = names.zone(&zone.value).map_err(|message| Fault { at: zone.at, message })?;
        }
        Ok(())
    }

    fn rules(&mut self, value: &Value, networks: &Networks, names: &dyn Names) -> Result<(), Fault> {
        for value in list(value)? {
            let wrong = |message: String| Fault { at: value.at, message };
            let raw = RawRule::read(table(value)?)?;
            let name = raw.name.clone();
            if !is_word(&name, 32) {
                return Err(wrong("a rule needs a name of 1 to 32 small letters, digits and dashes".into()));
            }
            if name == "default" {
                return Err(wrong(
                    "a rule can't be called `default`: in the log, that is the name for logins that no rule decides"
                        .into(),
                ));
            }
            if self.rules.iter().any(|rule| rule.name == name) {
                return Err(wrong(format!("there is a rule `{name}` already; give each its own name")));
            }
            if self.rules.len() == MAX_RULES {
                return Err(wrong(format!("more than {MAX_RULES} rules")));
            }
            if let Some(problem) = raw.problem() {
                return Err(wrong(format!("rule `{name}`: {problem}")));
            }
            let rule = self.resolve(raw, networks, names)?;
            if let Some(problem) = problem(&rule, &self.key_services) {
                return Err(wrong(format!("rule `{name}`: {problem}")));
            }
            if let Some(earlier) =
                self.rules.iter().find(|earlier| earlier.conditions.include(&rule.conditions))
            {
                return Err(wrong(format!(
                    "rule `{name}` never decides: `{}`, above it, holds whenever it does; put the exception first",
                    earlier.name
                )));
            }
            self.warnings.extend(warnings(&rule));
            self.rules.push(rule);
        }
        Ok(())
    }

    fn resolve(&mut self, raw: RawRule, networks: &Networks, names: &dyn Names) -> Result<Rule, Fault> {
        let mut from = Vec::new();
        for name in &raw.from.0 {
            networks.resolve(name, &mut from, 0)?;
        }
        let mut group = Vec::new();
        for At { at, value: name } in raw.group.0 {
            let fault = |message| Fault { at, message };
            match names.gid(&name).map_err(fault)? {
                Some(gid) => group.push(Group { name, gid }),
                None if raw.group_optional => {
                    let message = format!("there is no group `{name}`; without it nobody is a member");
                    self.warnings.push((raw.name.clone(), message));
                    group.push(Group { name, gid: u32::MAX });
                }
                None => {
                    let message = format!(
                        "there is no group `{name}` on this host; `group_optional = true` lets the rule match nobody then"
                    );
                    return Err(fault(message));
                }
            }
        }
        let conditions = Conditions {
            service: raw.service.0.into_iter().map(|service| service.0).collect(),
            tty: raw.tty.0.into_iter().map(|terminal| terminal.0).collect(),
            by: raw.by.0.into_iter().map(|caller| caller.0).collect(),
            key: raw.key.map(|key| key != Key::None),
            hardware_key: raw.key == Some(Key::Hardware),
            familiar: raw.place.map(|place| place == Familiarity::Familiar),
            from,
            hours: raw.hours.0,
            since: raw.since.map(|date| self.utc(date.first_second())),
            until: raw.until.map(|date| self.utc(date.first_second() + 86_400)),
            user: raw.user.0.into_iter().map(|user| self.known_user(user, &raw.name, names)).collect(),
            group,
        };
        let effects = Effects {
            first_login: raw.first_login,
            allow_until: raw.allow_until,
            fresh: raw.fresh,
            no_recovery: raw.recovery == Some(false),
            remember: raw.remember,
            notice: raw.notice || raw.alert,
            alert: raw.alert,
            message: raw.message,
        };
        Ok(Rule { name: raw.name, conditions, outcome: raw.then.unwrap_or_default(), effects })
    }

    /// The pattern; a name that the host does not know is noted.
    fn known_user(&mut self, user: At<UserPattern>, rule: &str, names: &dyn Names) -> Pattern {
        let pattern = user.value.0;
        if !pattern.open && !names.has_user(&pattern.text) {
            let text = format!("rule {rule}: there is no user `{}` on this host", pattern.text);
            self.unknown.push((self.file, user.at, text));
        }
        pattern
    }

    /// The time at which the zone's clocks show `local`.
    pub(crate) fn utc(&self, local: i64) -> UnixTime {
        let offset_at = |time| {
            let begun = self.zone.iter().rev().find(|(from, _)| *from <= time).or(self.zone.first());
            begun.map_or(0, |(_, offset)| i64::from(*offset))
        };
        local - offset_at(local - offset_at(local))
    }

    /// Notes the groups and the user of a test that this host does not know.
    fn unknown_in_test(&mut self, at: usize, test: &Test, names: &dyn Names) {
        let unknown = |group: &&String| names.gid(group) == Ok(None);
        let groups = test.groups.iter().filter(unknown).map(|group| format!("there is no group `{group}`"));
        let user = Some(&test.user).filter(|user| !user.is_empty() && !names.has_user(user));
        let user = user.map(|user| format!("there is no user `{user}`"));
        let found = groups.chain(user).map(|text| (self.file, at, format!("a test: {text} on this host")));
        self.unknown.extend(found.collect::<Vec<_>>());
    }

    fn tests(&mut self, value: &Value, names: &dyn Names) -> Result<(), Fault> {
        for value in list(value)? {
            let mut section = Section::of(table(value)?);
            let (mut test, mut at) = (Test::default(), None::<LocalTime>);
            let (mut key, mut place) = (None::<Key>, None::<Familiarity>);
            let (mut service, mut from) = (None::<Service>, None::<RemoteHost>);
            section.setting("user", &mut test.user)?;
            section.setting("groups", &mut test.groups)?;
            section.setting("service", &mut service)?;
            section.setting("from", &mut from)?;
            section.setting("tty", &mut test.tty)?;
            section.setting("by", &mut test.by)?;
            section.setting("key", &mut key)?;
            section.setting("place", &mut place)?;
            section.setting("at", &mut at)?;
            section.setting("expect", &mut test.expect)?;
            section.finish()?;
            let fault = |message: &str| Fault { at: value.at, message: message.into() };
            if test.tty.starts_with("/dev/") {
                return Err(fault("write the terminal without /dev/"));
            }
            test.service = service.ok_or_else(|| fault("a test needs a service"))?.0;
            test.from = from.map(|from| from.0).unwrap_or_default();
            let outcome = test.expect.split_once(" by ").map(|(outcome, _)| outcome);
            if !OUTCOMES.iter().any(|(word, _)| Some(*word) == outcome) {
                return Err(fault(
                    "a test needs `expect`: an outcome and a rule, such as \"code by office\"",
                ));
            }
            if test.from == "local" {
                test.from.clear();
            }
            test.at = at.map(|at| at.0);
            test.key = key.is_some_and(|key| key != Key::None);
            test.hardware_key = key == Some(Key::Hardware);
            test.familiar = place == Some(Familiarity::Familiar);
            self.unknown_in_test(value.at, &test, names);
            self.tests.push((self.file, value.at, test));
        }
        Ok(())
    }
}

/// `[networks]` of all files.
struct Networks(Vec<(String, Vec<At<String>>)>);

impl Networks {
    fn read(parts: &[Part]) -> Result<Self, (usize, Fault)> {
        let mut named = Self(Vec::new());
        for part in parts {
            named.add(part).map_err(|fault| (part.file, fault))?;
        }
        for part in parts {
            named.check(part).map_err(|fault| (part.file, fault))?;
        }
        Ok(named)
    }

    fn add(&mut self, part: &Part) -> Result<(), Fault> {
        let Some(value) = &part.networks else { return Ok(()) };
        for entry in &table(value)?.0 {
            let fault = |message: String| Fault { at: entry.at, message };
            if !is_word(&entry.key, 32) || ["local", "remote"].contains(&entry.key.as_str()) {
                let message = "a network's name is 1 to 32 small letters, digits and dashes, and not `local` or `remote`";
                return Err(fault(message.into()));
            }
            if self.0.iter().any(|(name, _)| *name == entry.key) {
                return Err(fault(format!("there are networks called `{}` already", entry.key)));
            }
            self.0.push((entry.key.clone(), Items::read(&entry.value)?.0));
        }
        Ok(())
    }

    /// Checks all networks, even those that no rule names.
    fn check(&self, part: &Part) -> Result<(), Fault> {
        let Some(value) = &part.networks else { return Ok(()) };
        for entry in &table(value)?.0 {
            self.resolve(&At { at: entry.at, value: entry.key.clone() }, &mut Vec::new(), 0)?;
        }
        Ok(())
    }

    fn resolve(&self, name: &At<String>, into: &mut Vec<Origin>, depth: usize) -> Result<(), Fault> {
        let fault = |message: String| Fault { at: name.at, message };
        if depth > 8 {
            let text = "are named by networks more than 8 deep, or hold themselves; write their addresses";
            return Err(fault(format!("the networks `{}` {text}", name.value)));
        }
        let origin = match name.value.as_str() {
            "local" => Origin::Local,
            "remote" => Origin::Remote,
            text if text.contains('/') => {
                Origin::Network(text.parse().map_err(|error: &str| fault(format!("`{text}`: {error}")))?)
            }
            text => {
                let found = self.0.iter().find(|(known, _)| known == text);
                let Some((_, items)) = found else {
                    if let Ok(address) = text.parse::<IpAddr>() {
                        let bits = if address.is_ipv4() { 32 } else { 128 };
                        return Err(fault(format!("an address needs its bits, such as {address}/{bits}")));
                    }
                    return Err(fault(format!("there are no networks called `{text}` in [networks]")));
                };
                return items.iter().try_for_each(|item| self.resolve(item, into, depth + 1));
            }
        };
        if into.len() == MAX_ITEMS {
            return Err(fault(format!("more than {MAX_ITEMS} networks")));
        }
        into.push(origin);
        Ok(())
    }
}

/// A rule as written in TOML.
#[derive(Default)]
struct RawRule {
    name: String,
    user: Items<At<UserPattern>>,
    group: Items<At<String>>,
    group_optional: bool,
    service: Items<Service>,
    from: Items<At<String>>,
    tty: Items<Terminal>,
    by: Items<Caller>,
    key: Option<Key>,
    place: Option<Familiarity>,
    hours: Items<Hours>,
    since: Option<Date>,
    until: Option<Date>,
    then: Option<Outcome>,
    first_login: Option<FirstLogin>,
    allow_until: Option<Date>,
    fresh: bool,
    recovery: Option<bool>,
    remember: Option<ConfigDuration>,
    notice: bool,
    alert: bool,
    message: Option<String>,
}

impl RawRule {
    fn read(table: &Table) -> Result<Self, Fault> {
        let (mut section, mut raw) = (Section::of(table), Self::default());
        macro_rules! settings {
            ($($key:ident)*) => { $(section.setting(stringify!($key), &mut raw.$key)?;)* };
        }
        settings!(name user group group_optional service from tty by key place hours since until then first_login allow_until);
        settings!(fresh recovery remember notice alert message);
        section.finish()?;
        Ok(raw)
    }

    /// Keys that contradict each other.
    fn problem(&self) -> Option<&'static str> {
        let asks = matches!(self.then, Some(Outcome::Code | Outcome::TwoCodes));
        let allows = self.first_login == Some(FirstLogin::Allow);
        let silent = |message: &String| !printable(message, 200) || message.trim().is_empty();
        let remembers = self.remember.is_some();
        let too_long = |duration: ConfigDuration| !(60..=86_400).contains(&duration.as_seconds());
        [
            (self.then.is_none(), "`then` is missing: \"code\", \"two-codes\", \"skip\" or \"deny\""),
            (!asks && self.first_login.is_some(), "`first_login` goes with \"code\" and \"two-codes\""),
            (!asks && self.fresh, "`fresh` goes with \"code\" and \"two-codes\""),
            (!asks && self.recovery.is_some(), "`recovery` goes with \"code\" and \"two-codes\""),
            (remembers && self.then != Some(Outcome::Code), "`remember` goes with \"code\""),
            (remembers && self.fresh, "`remember` and `fresh` contradict each other"),
            (remembers && self.place.is_some(), "`remember` does not go with `place`"),
            (self.remember.is_some_and(too_long), "`remember` must be from 1m to 24h"),
            (
                allows != self.allow_until.is_some(),
                "`allow_until` goes with first_login = \"allow\", and that needs it",
            ),
            (self.message.is_some() && self.then != Some(Outcome::Deny), "`message` goes with \"deny\""),
            (self.message.as_ref().is_some_and(silent), "`message` must be 1 to 200 printable characters"),
            (self.group_optional && self.group.0.is_empty(), "`group_optional` goes with `group`"),
        ]
        .into_iter()
        .find_map(|(wrong, problem)| wrong.then_some(problem))
    }
}
