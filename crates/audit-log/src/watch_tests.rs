//! A month of 200 accounts with 60 attacks in it: each is found, and hardly anything else is.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::event::Writer;
use crate::trust::tests::Log;

/// Sunday, 2026-11-01 00:00 UTC.
const START: i64 = 1_793_491_200;
const ACCOUNTS: usize = 200;
const DAYS: i64 = 30;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Lines with their times, not yet in order, and the attacks in them: rule, account or network, first and
/// last moment.
struct Month {
    lines: Vec<(i64, String)>,
    attacks: Vec<(&'static str, String, i64, i64)>,
    random: Random,
}

impl Month {
    fn login(&mut self, at: i64, user: &str, host: &str, reason: &str) {
        let result = if matches!(reason, "code" | "recovery_code") { "accepted" } else { "denied" };
        let with = if result == "accepted" { " with=unknown" } else { "" };
        let host = if host.is_empty() { String::new() } else { format!(" rhost={host}") };
        let line =
            format!("event=login result={result} reason={reason} user={user} service=sshd{host}{with}");
        self.lines.push((at, line));
    }

    fn other(&mut self, at: i64, line: String) {
        self.lines.push((at, line));
    }

    /// A login as people do it: now and then a wrong code first, or two, and often sudo with the same code at
    /// once.
    fn honest(&mut self, at: i64, user: &str, host: &str) {
        let mut at = at;
        let wrong = match self.random.below(100) {
            0..=3 => 1,
            4 => 2,
            _ => 0,
        };
        for _ in 0..wrong {
            let reason = ["wrong_code", "malformed"][usize::from(self.random.percent(30))];
            self.login(at, user, host, reason);
            at += 15;
        }
        self.login(at, user, host, "code");
        if self.random.percent(20) {
            self.login(at + 12, user, "", "replayed_code");
            self.login(at + 40, user, "", "code");
        }
        if self.random.percent(1) {
            self.login(at + 3, user, host, "replayed_code"); // the client typed it twice
        }
    }

    /// Where the account is today: the office that 120 share, a line at home whose last byte changes, a VPN,
    /// a train, a hotel.
    fn place(&mut self, account: usize, day: i64) -> String {
        let byte = 1 + self.random.below(250);
        match self.random.below(100) {
            _ if account < 120 && day % 7 < 5 => "198.51.100.7".to_owned(),
            0..=69 => format!("10.{}.{}.{byte}", account / 250, account % 250),
            70..=84 => format!("203.0.113.{byte}"),
            85..=96 => format!("2001:db8:{:x}::{byte}", account / 8),
            _ => format!("172.16.{}.{byte}", self.random.below(250)),
        }
    }

    fn honest_day(&mut self, day: i64) {
        let midnight = START + day * DAY;
        for account in 0..ACCOUNTS {
            let logins = if day % 7 >= 5 { u64::from(self.random.percent(15)) } else { self.random.below(4) };
            for _ in 0..logins {
                let at = midnight + 7 * HOUR + i64::try_from(self.random.below(11 * 3600)).unwrap();
                let host = self.place(account, day);
                self.honest(at, &format!("user{account}"), &host);
            }
        }
        // A class of thirty in one room logs in within three minutes, and is not used to codes yet.
        for pupil in 0..30 {
            let at = midnight + 9 * HOUR + i64::try_from(self.random.below(180)).unwrap();
            let user = format!("user{}", 150 + pupil);
            if self.random.percent(12) {
                self.login(at - 10, &user, "192.0.2.99", "wrong_code");
            }
            self.honest(at, &user, "192.0.2.99");
        }
        // Scanners that guess names.
        for _ in 0..20 {
            let at = midnight + i64::try_from(self.random.below(86_400)).unwrap();
            let host = format!("45.{}.{}.9", self.random.below(250), self.random.below(250));
            self.login(at, "?", &host, "unknown_user");
        }
        let new = format!("user{}", self.random.below(200));
        self.other(
            midnight + 11 * HOUR,
            format!("event=enrollment_confirmed user={new} by=anna service=qrtotp"),
        );
    }

    fn attack(&mut self, number: i64) {
        let at = START + (number % 28 + 1) * DAY + 3 * HOUR + number * 97;
        let user = format!("user{}", 10 + 3 * number);
        let host = format!("91.{}.7.{}", number, 3 + number);
        let network = format!("91.{number}.7.0/24");
        let rule = match number % 6 {
            0 => {
                self.login(at, &user, "10.99.1.1", "code");
                self.login(at + 20, &user, &host, "replayed_code");
                "intercepted"
            }
            1 => {
                (0..6).for_each(|n| self.login(at + 40 * n, &user, &host, "wrong_code"));
                "codes-guessed"
            }
            2 => {
                (0..3).for_each(|n| self.login(at + 400 * n, &user, &host, "wrong_code"));
                self.login(at + 1500, &user, &host, "code");
                "failed-then-in"
            }
            3 => {
                (0..7).for_each(|n| self.login(at + 60 * n, &format!("user{}", 20 * n), &host, "wrong_code"));
                self.attacks.push(("spray", network, at, at + HOUR));
                return;
            }
            4 => {
                self.other(at, format!("event=recovery_used user={user} service=sshd left=7"));
                self.login(at, &user, &host, "recovery_code");
                self.other(at + 600, format!("event=enrollment_confirmed user={user} service=qrtotpd"));
                "enrolled-after-recovery"
            }
            _ => {
                let enrol = |n: i64| {
                    format!("event=enrollment_confirmed user=new{number}x{n} service=qrtotp by=mallory")
                };
                (0..12).for_each(|n| self.other(at + 60 * n, enrol(n)));
                self.attacks.push(("many-enrolments", String::new(), at, at + HOUR));
                return;
            }
        };
        self.attacks.push((rule, user, at, at + HOUR));
    }
}

#[test]
fn in_a_month_of_200_accounts_all_of_60_attacks_are_found_and_hardly_anything_else() {
    let mut month = Month { lines: Vec::new(), attacks: Vec::new(), random: Random(0x9e37_79b9_7f4a_7c15) };
    (0..DAYS).for_each(|day| month.honest_day(day));
    (0..60).for_each(|number| month.attack(number));
    // Two people with a new phone, who used a recovery code for it.
    for (day, user) in [(6, "user3"), (20, "user77")] {
        month.other(START + day * DAY, format!("event=recovery_used user={user} left=8"));
        month.other(START + day * DAY + 900, format!("event=enrollment_confirmed user={user}"));
    }
    month.lines.sort();
    let (mut watch, mut log) = (Watch::default(), Log::default());
    let found: Vec<Anomaly> =
        month.lines.iter().flat_map(|(at, line)| watch.read(&log.entry(*at, line))).collect();
    assert!(found.iter().all(|anomaly| RULES.contains(&anomaly.rule)));
    let is_of = |anomaly: &Anomaly, (rule, about, from, to): &(&str, String, i64, i64)| {
        let subject = anomaly.user.as_deref().or(anomaly.from.as_deref()).unwrap_or_default();
        anomaly.rule == *rule && subject == about && (*from..*to).contains(&anomaly.time)
    };
    let missed: Vec<_> =
        month.attacks.iter().filter(|attack| !found.iter().any(|one| is_of(one, attack))).collect();
    assert_eq!((month.attacks.len(), missed), (60, vec![]));
    // An attack may also look like another one on the same account or from the same network.
    let of_attacks = |anomaly: &Anomaly| {
        month
            .attacks
            .iter()
            .any(|attack| is_of(anomaly, &(anomaly.rule, attack.1.clone(), attack.2, attack.3)))
    };
    let alarms: Vec<_> =
        found.iter().filter(|one| one.severity >= Severity::Warning && !of_attacks(one)).collect();
    let per_thousand = alarms.len() as f64 * 1000.0 / (ACCOUNTS as f64 * DAYS as f64);
    println!(
        "{} lines, {} anomalies, {per_thousand:.2} false alerts per 1,000 accounts and day",
        month.lines.len(),
        found.len()
    );
    assert!(per_thousand <= 1.0, "{alarms:#?}");
}

/// A journal's lines, watched.
#[derive(Default)]
struct Watched {
    watch: Watch,
    log: Log,
}

impl Watched {
    fn by(&mut self, writer: Writer, at: i64, line: &str) -> Vec<&'static str> {
        let entry = self.log.by(writer, START + at, line);
        self.watch.read(&entry).iter().map(|anomaly| anomaly.rule).collect()
    }

    fn root(&mut self, at: i64, line: &str) -> Vec<&'static str> {
        self.by(Writer::Root, at, line)
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_line_that_a_user_wrote_and_a_spent_code_on_this_host_are_no_anomaly() {
    let mut watched = Watched::default();
    let replayed = "event=login result=denied reason=replayed_code user=alice";
    let accepted = "event=login result=accepted reason=code user=alice rhost=192.0.2.7";
    assert_eq!(watched.root(0, accepted), NONE);
    assert_eq!(watched.root(5, replayed), NONE, "sudo at once after ssh");
    assert_eq!(watched.root(6, &format!("{replayed} rhost=192.0.2.8")), NONE, "the same network");
    let elsewhere = format!("{replayed} rhost=203.0.113.9");
    for writer in [Writer::User(1000), Writer::Ended(1000)] {
        let entry = Log::default().by(writer, START + 7, &elsewhere);
        assert_eq!(watched.watch.read(&entry), [], "{writer:?}");
    }
    assert_eq!(watched.root(7, &elsewhere), ["intercepted"]);
    assert_eq!(watched.root(7, &elsewhere), NONE, "once an hour");
}

#[test]
fn guesses_of_another_local_user_are_found_though_the_owner_gets_in_on_this_host() {
    let mut watched = Watched::default();
    watched.root(0, "event=login result=accepted reason=code user=root");
    watched.root(1, "event=login result=accepted reason=code user=root by=anna");
    for (by, found) in [("anna", NONE.to_vec()), ("mallory", vec!["codes-guessed"])] {
        let line = format!("event=login result=denied reason=wrong_code user=root by={by}");
        let seen: Vec<_> =
            (0..5).flat_map(|n| watched.by(Writer::Setuid(1000), 1000 + 20 * n, &line)).collect();
        assert_eq!(seen, found, "{by}");
    }
}

#[test]
fn names_of_one_domain_are_one_network() {
    let mut watched = Watched::default();
    let line = |n: i64| {
        format!("event=login result=denied reason=wrong_code user=user{n} rhost=h{n}.dsl.example.net")
    };
    let found: Vec<_> = (0..5).flat_map(|n| watched.root(n, &line(n))).collect();
    assert_eq!(found, ["spray"]);
}

#[test]
fn a_new_place_and_the_end_of_a_long_silence_are_named_if_the_account_was_seen_before() {
    let mut watched = Watched::default();
    let line = |host: u8, with: &str| {
        format!("event=login result=accepted reason=code user=alice rhost=10.0.{host}.1 with={with}")
    };
    assert_eq!(watched.root(0, &line(1, "unknown")), NONE, "what came before is not known");
    assert_eq!(watched.root(HOUR, &line(1, "unknown")), NONE);
    assert_eq!(watched.root(2 * HOUR, &line(2, "unknown")), ["new-place"]);
    assert_eq!(watched.root(95 * DAY, &line(2, "unknown")), ["dormant"]);
    let entry = watched.log.by(Writer::Root, START + 96 * DAY, &line(3, "publickey"));
    let found = watched.watch.read(&entry);
    assert_eq!(
        found.iter().map(|one| (one.rule, one.severity)).collect::<Vec<_>>(),
        [("new-place", Severity::Info)]
    );
}

#[test]
fn an_anomaly_is_a_line_and_json_that_no_name_breaks() {
    let (mut watch, mut log) = (Watch::default(), Log::default());
    let mut found = Vec::new();
    for n in 0..6 {
        let line = "event=login result=denied reason=wrong_code user=\"a\\\"b rule=x\" rhost=\"h c\"";
        found.extend(watch.read(&log.entry(START + n, line)));
    }
    let [one] = &found[..] else { panic!("{found:?}") };
    let line = one.to_string();
    assert!(
        line.starts_with(
            "event=anomaly severity=alert rule=codes-guessed user=\"a\\\"b rule=x\" from=\"h c.\" because="
        ),
        "{line}"
    );
    assert_eq!(one.to_json()["user"], "a\"b rule=x");
}

#[test]
fn an_anomaly_is_expected_by_its_rule_and_by_whom_or_what_it_is_about() {
    let one = about(START, "spray", Severity::Alert, None, Some("192.0.2.0/24"), String::new());
    for (rule, network, expected) in [
        ("spray", None, true),
        ("spray", Some("192.0.2.0/24"), true),
        ("spray", Some("x"), false),
        ("dormant", None, false),
    ] {
        assert_eq!(one.is_of(rule, network), expected, "{rule} {network:?}");
    }
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    let (mut watch, mut log) = (Watch::default(), Log::default());
    for n in 0..60_000_i64 {
        let host = format!("{}.{}.{}.1", n % 251, n / 251 % 251, n / 63_001);
        let line = format!("event=login result=denied reason=wrong_code user=u{n} rhost={host}");
        watch.read(&log.entry(START + n / 100, &line));
    }
    assert!(watch.accounts.len() <= table::MOST && watch.networks.len() <= table::MOST);
}
