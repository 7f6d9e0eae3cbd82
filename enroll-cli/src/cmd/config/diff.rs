//! `qrtotp config diff`: which logins another configuration decides differently.

use super::host::Accounts;
use super::login_end::ELSEWHERE;
use super::stored;
use super::words::{count, outcome};
use crate::applied::compiled;
use crate::cmd::doctor::report::names;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Applied, Compiled, Config, Damaged, Facts, Known, Origin, Rule, settings};
use qrtotp_values::UnixTime;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path) -> Result<Exit, Failure> {
    let compiled = compiled(path)?;
    let mut out = std::io::stdout().lock();
    let Some(stored) = stored(path)? else {
        writeln!(
            out,
            "nothing was applied yet, so there is nothing to compare with; `qrtotp config apply` applies it"
        )?;
        return Ok(Exit::Refused);
    };
    let bytes = if stored.newest.generation == stored.in_force.generation {
        &stored.bytes
    } else {
        &stored.newest.previous
    };
    let differs = write(path, Some((&stored.in_force, bytes)), &compiled, &mut out)?;
    if !differs {
        writeln!(out, "no login is decided differently, and no setting changes")?;
    }
    Ok(if differs { Exit::Refused } else { Exit::Done })
}

/// Writes what `after` changes; whether anything. `before`: with the file that it was read from; `None`:
/// nothing was applied.
pub fn write(
    path: &Path,
    before: Option<(&Applied, &[u8])>,
    after: &Compiled,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let Some((before, bytes)) = before else { return Ok(false) };
    let changed = changed_settings(&settings(bytes).unwrap_or_default(), &after.settings());
    for line in &changed {
        writeln!(out, "setting {line}")?;
    }
    let now = SystemClock.now();
    let context = Context::before_applying(path, after);
    let store = context.store();
    if let Err(failure) = &store {
        writeln!(out, "the accounts of the store are not looked at: {failure}")?;
    }
    let accounts = Accounts { store: store.as_deref().ok(), now };
    let rules_before = before.config.rules.rules().unwrap_or_default();
    let changed_rules = changed_rules(&rules_before, &after.rules);
    for line in &changed_rules {
        writeln!(out, "{line}")?;
    }
    let rules = [rules_before, after.rules.clone()].concat();
    let lines = changes(&before.config, &after.config, &rules, &accounts, now)
        .map_err(|Damaged| Failure::Error("the rules are damaged; run `qrtotp config apply`".into()))?;
    for line in &lines {
        writeln!(out, "{line}")?;
    }
    if lines.is_empty() && !changed_rules.is_empty() {
        writeln!(out, "none of the logins that were tried now is decided differently")?;
    }
    Ok(!changed.is_empty() || !changed_rules.is_empty() || !lines.is_empty())
}

/// The rules that are not the same, whether or not a login that is tried shows it: a rule may be about later
/// days, or services and accounts that are not tried.
fn changed_rules(before: &[Rule], after: &[Rule]) -> Vec<String> {
    let find = |rules: &[Rule], name: &str| rules.iter().find(|rule| rule.name == name).cloned();
    let mut lines = Vec::new();
    for rule in before {
        match find(after, &rule.name) {
            None => lines.push(format!("rule {}: removed", rule.name)),
            Some(other) if other != *rule => lines.push(format!("rule {}: changed", rule.name)),
            Some(_) => {}
        }
    }
    let added = after.iter().filter(|rule| find(before, &rule.name).is_none());
    lines.extend(added.map(|rule| format!("rule {}: added", rule.name)));
    if lines.is_empty() && before != after {
        lines.push("rules: in another order".into());
    }
    lines
}

fn changed_settings(before: &[(String, String)], after: &[(String, String)]) -> Vec<String> {
    let value = |of: &[(String, String)], key: &str| {
        of.iter()
            .find(|(known, _)| known == key)
            .map_or_else(|| "default".to_owned(), |(_, value)| value.clone())
    };
    let keys: BTreeSet<&String> = before.iter().chain(after).map(|(key, _)| key).collect();
    let changed = keys.into_iter().filter(|key| value(before, key) != value(after, key));
    changed.map(|key| format!("{key}: {} -> {}", value(before, key), value(after, key))).collect()
}

/// A login that is tried out.
struct Login {
    service: &'static str,
    rhost: String,
    tty: &'static str,
    key: bool,
    /// A registered hardware key.
    hardware_key: bool,
    familiar: bool,
    /// Its name for people.
    shown: String,
}

/// sshd from elsewhere and from each network of the rules, with and without a key; the others at this host.
fn logins(rules: &[Rule]) -> Vec<Login> {
    let mut places = vec![(ELSEWHERE.to_owned(), "elsewhere".to_owned())];
    for origin in rules.iter().flat_map(|rule| &rule.conditions.from) {
        if let Origin::Network(network) = origin {
            let place = (network.first().to_string(), network.to_string());
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    let mut logins = Vec::new();
    for (rhost, shown) in places {
        let keys = [(false, "without a key"), (true, "with a key"), (true, "with a hardware key")];
        let hardware = rules.iter().any(|rule| rule.conditions.hardware_key);
        let places = rules.iter().any(|rule| rule.conditions.familiar.is_some());
        for (place, (key, with)) in keys.into_iter().enumerate().take(if hardware { 3 } else { 2 }) {
            for familiar in [false, true].into_iter().take(if places { 2 } else { 1 }) {
                let at = if familiar { " at a familiar place" } else { "" };
                let (rhost, shown) = (rhost.clone(), format!("sshd from {shown} {with}{at}"));
                let hardware_key = place == 2;
                logins.push(Login { service: "sshd", rhost, tty: "ssh", key, hardware_key, familiar, shown });
            }
        }
    }
    for (service, tty, at) in [
        ("sudo", "pts/0", "at a terminal"),
        ("sudo", "tty1", "at the console"),
        ("su-l", "pts/0", "at a terminal"),
        ("login", "tty1", "at the console"),
    ] {
        logins.push(Login {
            service,
            rhost: String::new(),
            tty,
            key: false,
            hardware_key: false,
            familiar: false,
            shown: format!("{service} {at}"),
        });
    }
    logins
}

/// A line for each change: who, from what to what, and at which logins.
fn changes(
    before: &Config,
    after: &Config,
    rules: &[Rule],
    accounts: &Accounts<'_>,
    now: UnixTime,
) -> Result<Vec<String>, Damaged> {
    let logins = logins(rules);
    let mut changed = BTreeMap::<(usize, String), Vec<String>>::new();
    let named = rules
        .iter()
        .flat_map(|rule| &rule.conditions.user)
        .filter(|user| !user.open)
        .map(|user| user.text.clone());
    let stored = accounts.store.and_then(|store| store.names().ok()).into_iter().flatten();
    let in_rules: BTreeSet<String> = named.collect();
    let stored = stored.map(|name| name.to_string()).filter(|name| !in_rules.contains(name));
    for person in in_rules.iter().cloned().chain(stored).filter_map(|name| accounts.person(&name)) {
        for (place, login) in logins.iter().enumerate() {
            let decided = |config: &Config| -> Result<String, Damaged> {
                let says_keys = config.enroll.key_services.iter().any(|known| *known == login.service);
                let facts = Facts {
                    user: Some(&person.name),
                    service: login.service,
                    tty: login.tty,
                    by: if login.service == "sshd" || login.service == "login" { "" } else { &person.name },
                    rhost: &login.rhost,
                    key: says_keys.then_some(login.key),
                    now,
                };
                let mut known = Known {
                    groups: || person.gids.clone(),
                    hardware_key: login.hardware_key,
                    familiar: login.familiar,
                };
                let decision = config.rules.decide(&facts, &mut known, None)?;
                Ok(outcome(config, &decision, !person.device))
            };
            let (before, after) = (decided(before)?, decided(after)?);
            if before != after {
                changed.entry((place, format!("{before} -> {after}"))).or_default().push(person.name.clone());
            }
        }
    }
    Ok(lines(&logins, changed))
}

/// Those of the same accounts and the same change in one line.
fn lines(logins: &[Login], changed: BTreeMap<(usize, String), Vec<String>>) -> Vec<String> {
    let mut grouped: Vec<(String, Vec<String>, Vec<&str>)> = Vec::new();
    for ((place, change), people) in changed {
        let Some(login) = logins.get(place) else { continue };
        match grouped.iter_mut().find(|(known, who, _)| (known, who) == (&change, &people)) {
            Some((_, _, at)) => at.push(&login.shown),
            None => grouped.push((change, people, vec![&login.shown])),
        }
    }
    let line = |(change, people, at): (String, Vec<String>, Vec<&str>)| {
        format!(
            "{}: {change} at {} ({})",
            count(people.len(), "account"),
            merged(&at).join(", "),
            names(&people)
        )
    };
    grouped.into_iter().map(line).collect()
}

/// `X without a key` and `X with a key` are X.
fn merged(at: &[&str]) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    for shown in at {
        match shown.strip_suffix(" with a key").map(|place| (place, format!("{place} without a key"))) {
            Some((place, other)) if merged.last() == Some(&other) => {
                merged.pop();
                merged.push(place.to_owned());
            }
            _ => merged.push((*shown).to_owned()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::host_names::HostNames;
    use qrtotp_policy::{SourceFile, compile};

    fn compiled(text: &str) -> Compiled {
        compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &HostNames).unwrap()
    }

    fn changed(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (compiled(before), compiled(after));
        let rules = [before.rules, after.rules].concat();
        changes(&before.config, &after.config, &rules, &Accounts { store: None, now: 0 }, 0).unwrap()
    }

    #[test]
    fn a_rule_that_no_tried_login_shows_is_named() {
        let rules = |text: &str| compiled(text).rules;
        let [a, b] = [
            "[[rule]]\nname = 'a'\nservice = ['dovecot']\nthen = 'deny'\n",
            "[[rule]]\nname = 'b'\nservice = ['su']\nthen = 'code'\n",
        ];
        for (before, after, lines) in [
            (b.to_owned(), format!("{a}{b}"), &["rule a: added"][..]),
            (format!("{a}{b}"), b.to_owned(), &["rule a: removed"]),
            (a.to_owned(), a.replace("deny", "code"), &["rule a: changed"]),
            (format!("{a}{b}"), format!("{b}{a}"), &["rules: in another order"]),
            (format!("{a}{b}"), format!("{a}{b}"), &[]),
        ] {
            assert_eq!(changed_rules(&rules(&before), &rules(&after)), lines);
        }
    }

    #[test]
    fn who_is_decided_differently_is_told_by_change_and_place() {
        let root = "[[rule]]\nname = 'a'\nuser = ['root', 'daemon', 'no-such-account']\n";
        assert_eq!(changed("", &format!("{root}then = 'code'\nfirst_login = 'deny'")), Vec::<String>::new());
        assert_eq!(
            changed(
                "",
                &format!("{root}service = ['sshd']\nfrom = ['192.0.2.0/24']\nkey = true\nthen = 'skip'")
            ),
            [
                "2 accounts: code, first_login = deny -> skip at sshd from 192.0.2.0/24 with a key (daemon, root)"
            ]
        );
        assert_eq!(
            changed(&format!("{root}service = ['sshd', 'su-l']\nthen = 'deny'"), ""),
            [
                "2 accounts: deny -> code, first_login = deny at sshd from elsewhere, su-l at a terminal (daemon, root)"
            ]
        );
        assert_eq!(
            changed(
                "",
                &format!("{root}service = ['sudo']\ntty = ['tty*']\nthen = 'two-codes'\nfresh = true")
            ),
            [
                "2 accounts: code, first_login = deny -> two-codes, first_login = deny, fresh at sudo at the console (daemon, root)"
            ]
        );
        let lines = changed(&format!("{root}then = 'deny'"), "[defaults]\nrequire = 'nothing'");
        assert!(
            lines[0]
                .starts_with("2 accounts: deny -> skip at sshd from elsewhere, sudo at a terminal, sudo at"),
            "{lines:?}"
        );
    }

    #[test]
    fn settings_that_change_are_told_with_both_values() {
        let settings = |text: &str| compiled(text).settings();
        let (before, after) = (
            settings("issuer = 'A'\n[verify]\nresync = true"),
            settings("issuer = 'B'\n[audit]\ndebug = true"),
        );
        let expected =
            ["audit.debug: default -> true", "issuer: \"A\" -> \"B\"", "verify.resync: true -> default"];
        assert_eq!(changed_settings(&before, &after), expected);
        assert_eq!(changed_settings(&after, &after), Vec::<String>::new());
    }
}
