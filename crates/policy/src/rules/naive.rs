//! A second, naive evaluator of rules, and random policies that both must decide alike.
//!
//! It reads the words of the configuration and shares no code with the product: an address is a text of bits,
//! hours are walked minute by minute, and days are counted from 1970.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::{Compiled, SourceFile, compile};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Two names of networks, the second with the first in it.
const NAMED: [(&str, &[&str]); 2] =
    [("office", &["192.0.2.0/29", "2001:db8:7::/48"]), ("sites", &["office", "10.20.0.0/16"])];

/// Time zones, each with its offsets: none, with summer time in both directions, and one off the full hour.
const ZONES: [(&str, &[(UnixTime, i32)]); 4] = [
    ("UTC", &[]),
    ("Europe/Amsterdam", &[(1_790_000_000, 7200), (1_792_890_000, 3600), (1_806_195_600, 7200)]),
    ("America/New_York", &[(1_790_000_000, -14_400), (1_793_512_800, -18_000), (1_805_007_600, -14_400)]),
    ("Asia/Kathmandu", &[(1_790_000_000, 20_700)]),
];

/// A host with these zones and the groups `g0` to `g2`.
struct Host;

impl Names for Host {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        Ok(group.strip_prefix('g').and_then(|number| number.parse::<u32>().ok()).map(|number| 100 + number))
    }

    fn zone(&self, name: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        let zone = ZONES.iter().find(|(known, _)| *known == name);
        zone.map(|(_, offsets)| offsets.to_vec()).ok_or_else(String::new)
    }
}

/// A rule in the words of the configuration. An empty list or text is no condition.
#[derive(Clone, Debug)]
struct Written {
    name: String,
    lists: [(&'static str, Vec<String>); 7],
    words: [(&'static str, &'static str); 3],
    days: [(&'static str, String); 2],
}

/// A login, and what would be looked up.
#[derive(Clone, Debug)]
struct Login {
    user: Option<String>,
    service: &'static str,
    tty: &'static str,
    by: &'static str,
    rhost: String,
    key: Option<bool>,
    hardware_key: bool,
    familiar: bool,
    groups: Vec<String>,
    now: UnixTime,
}

impl Written {
    fn toml(&self) -> String {
        let mut text = format!("[[rule]]\nname = '{}'\n", self.name);
        for (key, list) in self.lists.iter().filter(|(_, list)| !list.is_empty()) {
            writeln!(text, "{key} = ['{}']", list.join("', '")).unwrap();
        }
        let days = self.days.iter().map(|(key, day)| (*key, day.as_str()));
        for (key, word) in self.words.into_iter().chain(days).filter(|(_, word)| !word.is_empty()) {
            let quote = if ["true", "false"].contains(&word) { "" } else { "'" };
            writeln!(text, "{key} = {quote}{word}{quote}").unwrap();
        }
        text
    }

    fn holds(&self, login: &Login, zone: &[(UnixTime, i32)]) -> bool {
        let (day, minute) = local(login.now, zone);
        let today = date(day);
        let any = |list: &[String], holds: &dyn Fn(&str) -> bool| list.iter().any(|item| holds(item));
        let lists = self.lists.iter().all(|(key, list)| {
            list.is_empty()
                || match *key {
                    "service" => list.iter().any(|item| item == login.service),
                    "by" => list.iter().any(|item| item == login.by),
                    "tty" => any(list, &|item| is_terminal(item, login.tty)),
                    "user" => login.user.as_ref().is_some_and(|user| any(list, &|item| is_like(item, user))),
                    "group" => login.user.is_some() && list.iter().any(|item| login.groups.contains(item)),
                    "from" => any(list, &|item| is_from(item, &login.rhost)),
                    "hours" => any(list, &|item| is_hour(item, day, minute)),
                    _ => panic!("{key}"),
                }
        });
        let words = self.words.iter().all(|(key, word)| match (*key, *word) {
            (_, "") | ("then", _) => true,
            ("key", "hardware") => login.key == Some(true) && login.hardware_key,
            ("key", word) => login.key.is_some_and(|key| key.to_string() == word),
            ("place", word) => login.familiar == (word == "familiar"),
            (key, _) => panic!("{key}"),
        });
        let days = self.days.iter().all(|(key, day)| match *key {
            _ if day.is_empty() => true,
            "since" => *day <= today,
            "until" => today <= *day,
            _ => panic!("{key}"),
        });
        lists && words && days
    }
}

fn is_like(pattern: &str, name: &str) -> bool {
    let same = pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning));
    same && !name.is_empty() && name.len() <= 64
}

fn is_terminal(pattern: &str, tty: &str) -> bool {
    let is_console = tty.strip_prefix("tty").is_some_and(|n| !n.is_empty() && n.parse::<u32>().is_ok());
    tty != "tty" && if pattern == "tty*" { is_console } else { is_like(pattern, tty) }
}

fn is_from(item: &str, rhost: &str) -> bool {
    match (item, item.split_once('/')) {
        ("local", _) => rhost.is_empty(),
        ("remote", _) => !rhost.is_empty(),
        (name, None) => {
            let (_, items) = NAMED.iter().find(|(known, _)| *known == name).unwrap();
            items.iter().any(|item| is_from(item, rhost))
        }
        (_, Some((first, prefix))) => {
            let (network, prefix) = (bits(first).unwrap(), prefix.parse::<usize>().unwrap());
            bits(rhost)
                .is_some_and(|host| host.len() == network.len() && host.starts_with(&network[..prefix]))
        }
    }
}

/// The bits of an address as text: 32, or 128.
fn bits(address: &str) -> Option<String> {
    let address = match address.split_once('%') {
        Some((address, zone)) if address.contains(':') && !zone.is_empty() => address,
        Some(_) => return None,
        None => address,
    };
    if !address.contains(':') {
        return dotted(address);
    }
    let groups =
        |half: &str| -> Option<String> { half.split(':').filter(|_| !half.is_empty()).map(group).collect() };
    let bits = match address.split_once("::") {
        Some((left, right)) => {
            let (left, right) = (groups(left)?, groups(right)?);
            let zeros = 128_usize.checked_sub(left.len() + right.len())?;
            format!("{left}{}{right}", "0".repeat(zeros))
        }
        None => groups(address)?,
    };
    let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
    match bits.strip_prefix(&mapped) {
        Some(ipv4) => Some(ipv4.to_owned()),
        None => (bits.len() == 128).then_some(bits),
    }
}

fn group(text: &str) -> Option<String> {
    if text.contains('.') {
        return dotted(text);
    }
    let value = u16::from_str_radix(text, 16).ok().filter(|_| text.len() <= 4)?;
    Some(format!("{value:016b}"))
}

fn dotted(text: &str) -> Option<String> {
    let octet = |octet: &str| {
        // No leading zeros: some programs read such a number as octal.
        let value = octet.parse::<u8>().ok().filter(|value| value.to_string() == octet)?;
        Some(format!("{value:08b}"))
    };
    text.split('.').map(octet).collect::<Option<String>>().filter(|bits| bits.len() == 32)
}

/// Days since 1970 and the minute of the day, by the zone's clocks.
fn local(now: UnixTime, zone: &[(UnixTime, i32)]) -> (i64, i64) {
    let mut offset = zone.first().map_or(0, |(_, offset)| *offset);
    for (begin, later) in zone {
        if *begin <= now {
            offset = *later;
        }
    }
    let minutes = (now + i64::from(offset)).div_euclid(60);
    (minutes / 1440, minutes % 1440)
}

fn date(mut day: i64) -> String {
    for year in 1970.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        for (month, days) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            if day < days {
                return format!("{year}-{month:02}-{:02}", day + 1);
            }
            day -= days;
        }
    }
    String::new()
}

/// Walks through the hours of each of their days, minute by minute.
fn is_hour(hours: &str, day: i64, minute: i64) -> bool {
    // 1970-01-01 was a Thursday.
    let now = (["thu", "fri", "sat", "sun", "mon", "tue", "wed"][(day % 7) as usize], minute);
    let next = |day| DAYS[(DAYS.iter().position(|known| *known == day).unwrap() + 1) % 7];
    let minute = |text: &str| text[..2].parse::<i64>().unwrap() * 60 + text[3..].parse::<i64>().unwrap();
    let (days, times) = hours.split_once(' ').unwrap();
    let (mut first, last) = days.split_once('-').unwrap_or((days, days));
    let (from, until) = times.split_once('-').unwrap();
    loop {
        let mut clock = (first, minute(from));
        loop {
            if clock == now {
                return true;
            }
            clock = if clock.1 == 1439 { (next(clock.0), 0) } else { (clock.0, clock.1 + 1) };
            if clock.1 == minute(until) % 1440 {
                break;
            }
        }
        if first == last {
            return false;
        }
        first = next(first);
    }
}

/// A list that is mostly empty, so that most rules have few conditions.
fn some(item: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![3 => Just(Vec::new()), 1 => vec(item, 1..3)]
}

fn one_of(list: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(list).prop_map(str::to_owned)
}

/// An address near those of the networks: one of a few, with one bit changed.
fn v4() -> impl Strategy<Value = Ipv4Addr> {
    (select(vec![Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(10, 20, 0, 9)]), 0..32)
        .prop_map(|(address, bit)| Ipv4Addr::from_bits(address.to_bits() ^ (1_u32 << bit)))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    (select(vec!["2001:db8:7::1", "fe80::1"]), 0..128).prop_map(|(address, bit)| {
        Ipv6Addr::from_bits(address.parse::<Ipv6Addr>().unwrap().to_bits() ^ (1_u128 << bit))
    })
}

fn origin() -> impl Strategy<Value = String> {
    prop_oneof![
        one_of(&["local", "remote", "office", "sites", "0.0.0.0/0", "::/0"]),
        (v4(), 1..=32_u32).prop_map(|(address, prefix)| {
            format!("{}/{prefix}", Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - prefix))))
        }),
        (v6(), 1..=128_u32).prop_map(|(address, prefix)| {
            format!("{}/{prefix}", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - prefix))))
        }),
    ]
}

fn rhost() -> impl Strategy<Value = String> {
    prop_oneof![
        one_of(&[
            "",
            "gate.example",
            "192.0.2",
            "192.0.2.7%eth0",
            "192.0.2.007",
            "fe80::1%",
            "%eth0",
            "::1::"
        ]),
        (v4(), 0..5).prop_map(|(address, form)| {
            let [a, b, c, d] = address.octets();
            match form {
                0 | 1 => address.to_string(),
                2 => format!("::ffff:{address}"),
                3 => format!("0:0:0:0:0:FFFF:{a:x}{b:02x}:{c:x}{d:02x}"),
                _ => format!("::ffff:{address}%eth0"),
            }
        }),
        (v6(), 0..3).prop_map(|(address, form)| match form {
            0 => address.to_string(),
            1 => format!("{address}%eth0"),
            _ => address.segments().map(|group| format!("{group:04X}")).join(":"),
        }),
    ]
}

const MINUTES: [&str; 9] = ["00:00", "00:01", "06:00", "08:00", "12:30", "18:00", "22:00", "23:59", "24:00"];

fn hours() -> impl Strategy<Value = String> {
    (select(&DAYS), option::of(select(&DAYS)), 0..MINUTES.len() - 1, 1..MINUTES.len()).prop_map(
        |(first, last, from, more)| {
            let last = last.map_or_else(String::new, |last| format!("-{last}"));
            format!("{first}{last} {}-{}", MINUTES[from], MINUTES[(from + more) % MINUTES.len()])
        },
    )
}

/// The first of October 2026.
const OCTOBER: UnixTime = 1_790_812_800;

/// A day until the middle of April.
fn day() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => (0..197_i64).prop_map(|day| date(OCTOBER / 86_400 + day))]
}

/// A time in the same days, mostly near a full minute that rules name.
fn now() -> impl Strategy<Value = UnixTime> {
    let offset = select(vec![0, 3600, 7200, -14_400, -18_000, 20_700]);
    let second = prop_oneof![Just(-1), Just(0), 0..86_400_i64];
    (0..197_i64, select(&MINUTES), second, offset).prop_map(|(day, minute, second, offset)| {
        let minute = minute[..2].parse::<i64>().unwrap() * 60 + minute[3..].parse::<i64>().unwrap();
        OCTOBER + day * 86_400 + minute * 60 + second - offset
    })
}

/// A user of 65 letters, which is more than a rule compares.
const LONG: &str = "annaannaannaannaannaannaannaannaannaannaannaannaannaannaannaannax";
const SERVICES: &[&str] = &["sshd", "su", "sudo-i"];
const NAMES: &[&str] = &["ann", "bob", "root"];

fn rule() -> impl Strategy<Value = Written> {
    let terminals = &["tty*", "tty1", "pts/*", "pts/3", "ssh", "t*"];
    let lists = (
        some(one_of(SERVICES)),
        some(one_of(terminals)),
        some(one_of(NAMES)),
        some(one_of(&["ann", "ann*", "bob", "r*", "*"])),
        some(one_of(&["g0", "g1", "g2"])),
        vec(origin(), 0..3),
        some(hours()),
    );
    let key = prop_oneof![3 => Just(""), 1 => select(vec!["true", "false", "hardware"])];
    let place = prop_oneof![4 => Just(""), 1 => select(vec!["familiar", "new"])];
    let then = select(OUTCOMES.map(|(word, _)| word).to_vec());
    (lists, (key, place, then), (day(), day())).prop_map(|(lists, (key, place, then), (since, until))| {
        let (service, tty, by, user, group, from, hours) = lists;
        Written {
            name: String::new(),
            lists: [
                ("service", service),
                ("tty", tty),
                ("by", by),
                ("user", user),
                ("group", group),
                ("from", from),
                ("hours", hours),
            ],
            words: [("key", key), ("place", place), ("then", then)],
            days: [("since", since), ("until", until)],
        }
    })
}

/// Rules called r0, r1 …
fn policy() -> impl Strategy<Value = Vec<Written>> {
    vec(rule(), 0..8).prop_map(|mut rules| {
        rules.iter_mut().enumerate().for_each(|(number, rule)| rule.name = format!("r{number}"));
        rules
    })
}

prop_compose! {
    fn login()(
        user in option::of(one_of(&["ann", "anna", "bob", "root", LONG])),
        service in select(SERVICES),
        tty in select(vec!["", "tty", "tty1", "tty12", "ttyS0", "pts/3", "ssh"]),
        by in select(vec!["", "ann", "bob"]),
        rhost in rhost(),
        (key, hardware_key, familiar) in (option::of(any::<bool>()), any::<bool>(), any::<bool>()),
        groups in vec(one_of(&["g0", "g1", "g2", "g3"]), 0..3),
        now in now(),
    ) -> Login {
        Login { user, service, tty, by, rhost, key, hardware_key, familiar, groups, now }
    }
}

/// Compiles the rules but those that it refuses. Takes out of `rules` those that contradict themselves; the
/// ones that it says never decide stay there.
fn compiled(rules: &mut Vec<Written>, zone: &str) -> Compiled {
    let mut refused = Vec::new();
    loop {
        let mut text = format!("[policy]\nzone = '{zone}'\n[networks]\n");
        for (name, items) in NAMED {
            writeln!(text, "{name} = ['{}']", items.join("', '")).unwrap();
        }
        text.extend(rules.iter().filter(|rule| !refused.contains(&rule.name)).map(Written::toml));
        let error = match compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &Host) {
            Ok(compiled) => return compiled,
            Err(error) => error.to_string(),
        };
        let name = error.split("rule `").nth(1).and_then(|rest| rest.split('`').next());
        let name = name.unwrap_or_else(|| panic!("{error}")).to_owned();
        if error.contains("never decides") {
            refused.push(name);
        } else {
            rules.retain(|rule| rule.name != name);
        }
    }
}

/// `cargo xtask proof policies` tries more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn rules_decide_as_the_naive_evaluator_does_and_a_rule_refused_as_unreachable_never_decides(
        mut rules in policy(), login in login(), (name, zone) in select(&ZONES)
    ) {
        let compiled = compiled(&mut rules, name);
        let Login { user, service, tty, by, rhost, key, hardware_key, familiar, groups, now } = &login;
        let facts = Facts { user: user.as_deref(), service, tty, by, rhost, key: *key, now: *now };
        let gids = || Some(groups.iter().map(|group| Host.gid(group).unwrap().unwrap()).collect());
        let mut lookups = Known { groups: gids, hardware_key: *hardware_key, familiar: *familiar };
        let decision = compiled.config.rules.decide(&facts, &mut lookups, None).unwrap();
        let expected = rules.iter().find(|rule| rule.holds(&login, zone));
        prop_assert_eq!(decision.rule, expected.map_or("default", |rule| rule.name.as_str()));
        prop_assert_eq!(decision.outcome.map(Outcome::as_str), expected.map(|rule| rule.words[2].1));
        prop_assert_eq!(decision.hardware_key, expected.is_some_and(|rule| rule.words[0].1 == "hardware"));
        prop_assert_eq!(compiled.config.rules.rules().unwrap(), compiled.rules);
    }

    #[test]
    fn rules_that_are_cut_or_changed_never_decide_otherwise_than_as_damaged_or_some_rule(
        mut rules in policy(), (at, bit) in (any::<Index>(), 0..8_u8)
    ) {
        let mut bytes = compiled(&mut rules, "UTC").config.rules.as_bytes().to_vec();
        let place = at.index(bytes.len());
        let cut = RuleSet::from_bytes(1, bytes[..place].to_vec());
        prop_assert!(place == 0 || cut.rules().is_err());
        bytes[place] ^= 1 << bit;
        let changed = RuleSet::from_bytes(1, bytes);
        // Neither call panics.
        let _ = changed.rules();
        let _ = changed.decide(&Facts::default(), &mut Known { groups: || None, hardware_key: false, familiar: false }, None);
    }
}

#[test]
fn the_naive_evaluator_knows_addresses_days_and_hours() {
    for (text, expected) in [
        ("255.0.0.1", Some(format!("{}{}1", "1".repeat(8), "0".repeat(23)))),
        ("::ffff:255.0.0.1%eth0", Some(format!("{}{}1", "1".repeat(8), "0".repeat(23)))),
        ("8000::1", Some(format!("1{}1", "0".repeat(126)))),
        ("1.2.3", None),
        ("host", None),
        ("255.0.0.1%eth0", None),
    ] {
        assert_eq!(bits(text), expected, "{text}");
    }
    assert_eq!(date(20_781), "2026-11-24");
    // A Tuesday.
    for (hours, minute, expected) in [
        ("tue 08:00-18:00", 480, true),
        ("tue 08:00-18:00", 1080, false),
        ("sat-tue 00:00-24:00", 1439, true),
        ("mon 22:00-06:00", 359, true),
        ("mon 22:00-06:00", 360, false),
        ("wed-mon 08:00-18:00", 480, false),
    ] {
        assert_eq!(is_hour(hours, 20_781, minute), expected, "{hours} {minute}");
    }
}
