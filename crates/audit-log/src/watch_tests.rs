//! Watched lines. crates/flow/src/tests/month.rs has a month of real logins with attacks in it.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::event::{Writer, from_syslog};
use crate::trust::tests::Log;

/// Sunday, 2026-11-01 00:00 UTC.
const START: i64 = 1_793_491_200;

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

/// A line of the module about alice.
const INTERCEPTED: &str =
    "event=anomaly severity=alert reason=intercepted user=alice service=sshd rhost=192.0.2.7";

#[test]
fn an_anomaly_of_the_module_counts_once_an_hour_unless_a_user_wrote_it_or_it_has_no_link() {
    let mut watched = Watched::default();
    for writer in [Writer::User(1000), Writer::Ended(1000)] {
        let entry = Log::default().by(writer, START, INTERCEPTED);
        assert_eq!(watched.watch.read(&entry), [], "{writer:?}");
    }
    let unchained = "- host qrtotp: event=anomaly severity=alert reason=intercepted user=alice";
    let entry = from_syslog(unchained).unwrap();
    for entry in [Entry { journal: true, writer: Writer::Root, ..entry.clone() }, entry] {
        assert_eq!(watched.watch.read(&entry), [], "{:?}", entry.writer);
    }
    for (at, found) in [(7, vec!["intercepted"]), (20, vec![]), (HOUR + 7, vec!["intercepted"])] {
        assert_eq!(watched.root(at, INTERCEPTED), found, "{at}");
    }
    let sudo = INTERCEPTED.replace("alice", "bob").replace("rhost=192.0.2.7", "by=bob");
    watched.root(0, &sudo);
    assert_eq!(
        watched.by(Writer::Setuid(1000), 2 * HOUR, &sudo),
        ["intercepted"],
        "it follows the line before"
    );
}

#[test]
fn an_anomaly_of_the_module_keeps_its_severity_and_its_reason() {
    let mut log = Log::default();
    let mut read = |line: &str, detail: &str| {
        let mut entry = log.by(Writer::Root, START, line);
        entry.event = Event::parse(&format!("{}{detail}", entry.event.line)).unwrap();
        Watch::default().read(&entry)
    };
    let new_place = |severity: &str| {
        format!("event=anomaly severity={severity} reason=new-place user=alice service=su by=bob")
    };
    for severity in Severity::ALL {
        let [found] = &read(&new_place(severity.word()), " detail=\"so it is\"")[..] else { panic!() };
        assert_eq!((found.rule, found.severity, found.because.as_str()), ("new-place", severity, "so it is"));
        assert_eq!((found.user.as_deref(), found.from.as_deref()), (Some("alice"), Some("local, by bob")));
    }
    for known in qrtotp_account::Anomaly::ALL {
        let (rule, words) = (known.rule(), known.because());
        assert!(RULES.contains(&rule), "{rule}");
        let line = INTERCEPTED.replace("intercepted", rule);
        for detail in ["", " detail=\"recovered after a power cut\""] {
            let [found] = &read(&line, detail)[..] else { panic!() };
            assert_eq!((found.rule, found.because.as_str()), (rule, words));
        }
    }
    for other in [new_place("huge"), new_place("info").replace("new-place", "spray")] {
        assert_eq!(read(&other, ""), [], "{other}");
    }
}

#[test]
fn watch_never_reads_itself() {
    let all =
        RULES.map(|rule| about(START, rule, Severity::Alert, Some("alice"), Some("local"), "why".into()));
    let mut watch = Watch::default();
    for line in all.map(|one| one.to_string()) {
        assert_eq!(from_syslog(&format!("2026-11-29T10:00:00Z host qrtotp[7]: {line}")), None, "{line}");
        // Nor if it came as a line of the module, whose rules are reasons.
        let event = Event::parse(&line).unwrap();
        for journal in [false, true] {
            let (time, host) = (START, String::new());
            let entry = Entry { time, stamp: 0, host, writer: Writer::Root, journal, event: event.clone() };
            assert_eq!(watch.read(&entry), [], "{line}");
        }
    }
}

#[test]
fn an_account_that_gets_in_from_two_places_in_turn_is_named_unless_a_key_or_an_hour_is_between() {
    let line = |host: u8, with: &str| {
        format!("event=login result=accepted reason=code user=alice rhost=192.0.{host}.7 with={with}")
    };
    for (last, with, found) in
        [(540, "unknown", vec!["two-at-once"]), (540, "publickey", vec![]), (3600, "unknown", vec![])]
    {
        let mut watched = Watched::default();
        assert_eq!(watched.root(0, &line(2, "unknown")), NONE);
        assert_eq!(watched.root(60, &line(3, "unknown")), NONE);
        assert_eq!(watched.root(last, &line(2, with)), found, "{last} {with}");
    }
}

#[test]
fn a_recovery_code_is_named_and_so_is_one_of_the_last() {
    for (left, found) in [(3, "recovery-used"), (2, "last-recovery")] {
        let line = format!("event=recovery_used user=alice service=sshd left={left}");
        assert_eq!(Watched::default().root(0, &line), [found]);
    }
}

/// Enrolments by root of these accounts, each at a second of its own.
fn enrolments(watched: &mut Watched, users: &[&str], kind: &str) -> Vec<&'static str> {
    let line = |user: &str| format!("event={kind} user={user} service=qrtotp by=root");
    users.iter().zip(0..).flat_map(|(user, at)| watched.root(at, &line(user))).collect()
}

#[test]
fn devices_that_one_admin_enrols_for_three_accounts_are_named_outside_the_hours_of_work() {
    let outside = || Thresholds { is_at_work: Box::new(|now| now >= START + HOUR), ..Thresholds::default() };
    for (kind, users, found) in [
        ("enrollment_confirmed", ["alice", "bob", "carol"], vec!["many-enrolments"]),
        ("credential_imported", ["alice", "bob", "carol"], vec!["many-enrolments"]),
        ("enrollment_confirmed", ["alice", "bob", "alice"], vec![]),
        ("enrollment_confirmed", ["alice", "bob", "root"], vec![]),
    ] {
        let mut watched = Watched { watch: Watch::new(outside()), log: Log::default() };
        assert_eq!(enrolments(&mut watched, &users, kind), found, "{kind} {users:?}");
        let mut at_work = Watched::default();
        assert_eq!(enrolments(&mut at_work, &users, kind), NONE, "{kind} {users:?}");
    }
    let mut watched = Watched { watch: Watch::new(outside()), log: Log::default() };
    let line = |user: &str| format!("event=enrollment_confirmed user={user} by=root");
    assert_eq!(enrolments(&mut watched, &["alice", "bob"], "enrollment_confirmed"), NONE);
    let entry = watched.log.entry(START + 10, &line("carol"));
    let [one] = &watched.watch.read(&entry)[..] else { panic!() };
    assert!(one.is_of("many-enrolments", Some("root")) && one.because.contains("of 3 accounts"), "{one}");
    assert_eq!(watched.root(HOUR + 10, &line("david")), NONE, "at work");
}

#[test]
fn thresholds_say_how_much_is_an_anomaly() {
    for (spray_accounts, enrolments, found) in [(3, 4, ["spray", "many-enrolments"].as_slice()), (32, 5, &[])]
    {
        let thresholds = Thresholds { spray_accounts, enrolments, ..Thresholds::default() };
        let mut watched = Watched { watch: Watch::new(thresholds), log: Log::default() };
        let mut anomalies = Vec::new();
        for n in 0..4 {
            let line = format!("event=login result=denied reason=wrong_code user=user{n} rhost=192.0.2.{n}");
            anomalies.extend(watched.root(n, &line));
        }
        for n in 0..4 {
            anomalies.extend(watched.root(n, &format!("event=enrollment_confirmed user=user{n}")));
        }
        assert_eq!(anomalies, found, "{spray_accounts} {enrolments}");
    }
}

#[test]
fn names_of_one_domain_are_one_network_and_a_code_typed_as_the_password_is_a_guess() {
    for event in ["login", "password_tried"] {
        let mut watched = Watched::default();
        let line = |n: i64| {
            format!("event={event} result=denied reason=wrong_code user=user{n} rhost=h{n}.dsl.example.net")
        };
        let found: Vec<_> = (0..5).flat_map(|n| watched.root(n, &line(n))).collect();
        assert_eq!(found, ["spray"], "{event}");
    }
}

#[test]
fn an_anomaly_is_a_line_and_json_that_no_name_breaks() {
    let (mut watch, mut log) = (Watch::default(), Log::default());
    let mut found = Vec::new();
    let line = "event=anomaly severity=alert reason=codes-guessed user=\"a\\\"b rule=x\" rhost=\"h c\"";
    found.extend(watch.read(&log.entry(START, line)));
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
        for result in ["denied reason=wrong_code", "accepted reason=code"] {
            let line = format!("event=login result={result} user=u{n} rhost={host}");
            watch.read(&log.entry(START + n / 100, &line));
        }
    }
    assert!(watch.logins.len() <= table::MOST && watch.networks.len() <= table::MOST);
}
