//! A table of decisions: each condition without its fact, with one for which it holds, with one for which it
//! does not, and with an unknown one.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::tests::read;
use super::*;

/// The conditions of a rule; facts under which it decides; facts under which it does not; facts under which
/// nobody knows, because the groups could not be had.
type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const TABLE: &[Row] = &[
    ("", &["", "user=x", "service=sshd rhost=192.0.2.1", "groups=failed"], &[], &[]),
    (
        "service = ['su']",
        &["service=su", "service=su user=x"],
        &["", "service=sudo", "service=SU", "service=su-l"],
        &[],
    ),
    ("service = ['su', 'sudo']", &["service=su", "service=sudo"], &["service=sshd", ""], &[]),
    ("user = ['x']", &["user=x"], &["", "user=X", "user=xy", "user=y"], &[]),
    ("user = ['svc-*']", &["user=svc-", "user=svc-a"], &["user=svc", "user=asvc-", ""], &[]),
    ("user = ['x', 'y*']", &["user=x", "user=yes"], &["user=z", "user=xy", ""], &[]),
    ("user = ['*']", &["user=x"], &[""], &[]),
    ("tty = ['tty1']", &["tty=tty1"], &["", "tty=tty10", "tty=tty2", "tty=pts/1"], &[]),
    ("tty = ['tty*']", &["tty=tty1", "tty=tty63"], &["tty=ttyS0", "tty=tty", "tty=pts/0", ""], &[]),
    ("tty = ['pts/*']", &["tty=pts/0", "tty=pts/12"], &["tty=ssh", "tty=tty1", ""], &[]),
    ("tty = ['ssh', 'ttyS0']", &["tty=ssh", "tty=ttyS0"], &["tty=ttyS1", ""], &[]),
    (
        "by = ['deploy']",
        &["service=sudo by=deploy", "service=su by=deploy"],
        &["service=sudo by=x", "service=sudo by=deployer", "service=sudo", ""],
        &[],
    ),
    ("by = ['deploy', 'robot']", &["service=sudo by=robot"], &["service=sudo by=anna", ""], &[]),
    ("key = true", &["service=sshd key=yes"], &["service=sshd key=no", "service=sshd", "service=su"], &[]),
    ("key = false", &["service=sshd key=no"], &["service=sshd key=yes", "service=sshd", "service=su"], &[]),
    (
        "key = 'hardware'",
        &["service=sshd key=yes hardware=yes"],
        &["service=sshd key=yes", "service=sshd key=no hardware=yes", "service=sshd hardware=yes", ""],
        &[],
    ),
    ("place = 'familiar'", &["place=familiar"], &["place=new", ""], &[]),
    ("place = 'new'", &["place=new"], &["place=familiar", ""], &[]),
    (
        "from = ['local']",
        &["", "service=su tty=pts/0"],
        &["rhost=192.0.2.1", "rhost=host.example", "rhost=::1"],
        &[],
    ),
    ("from = ['remote']", &["rhost=192.0.2.1", "rhost=host.example", "rhost=2001:db8::1"], &[""], &[]),
    (
        "from = ['192.0.2.0/24']",
        &["rhost=192.0.2.0", "rhost=192.0.2.255", "rhost=::ffff:192.0.2.7"],
        &["rhost=192.0.3.0", "rhost=192.0.1.255", "rhost=host.example", "rhost=2001:db8::1", ""],
        &[],
    ),
    (
        "from = ['192.0.2.7/32']",
        &["rhost=192.0.2.7", "rhost=::ffff:192.0.2.7"],
        &["rhost=192.0.2.8", ""],
        &[],
    ),
    (
        "from = ['2001:db8::/32']",
        &["rhost=2001:db8::1", "rhost=2001:0db8:ffff::"],
        &["rhost=2001:db9::1", "rhost=192.0.2.1", ""],
        &[],
    ),
    ("from = ['fe80::/10']", &["rhost=fe80::1", "rhost=fe80::1%eth0"], &["rhost=fec0::1", ""], &[]),
    ("from = ['0.0.0.0/0']", &["rhost=198.51.100.1"], &["rhost=2001:db8::1", "rhost=host.example", ""], &[]),
    ("from = ['::/0']", &["rhost=2001:db8::1"], &["rhost=host.example", ""], &[]),
    ("from = ['local', '192.0.2.0/24']", &["", "rhost=192.0.2.9"], &["rhost=198.51.100.1"], &[]),
    (
        "hours = ['wed 09:00-10:00']",
        &["now=2026-12-02T09:00", "now=2026-12-02T09:59"],
        &["now=2026-12-02T08:59", "now=2026-12-02T10:00", "now=2026-12-03T09:30", "now=2026-12-01T09:30"],
        &[],
    ),
    (
        "hours = ['wed 22:00-06:00']",
        &["now=2026-12-02T22:00", "now=2026-12-03T05:59"],
        &["now=2026-12-02T21:59", "now=2026-12-03T06:00", "now=2026-12-02T05:00", "now=2026-12-03T23:00"],
        &[],
    ),
    (
        "hours = ['mon-fri 08:00-18:00', 'sun 12:00-13:00']",
        &["now=2026-12-02T12:00", "now=2026-12-06T12:30"],
        &["now=2026-12-05T12:30", "now=2026-12-06T13:00", "now=2026-12-02T18:00"],
        &[],
    ),
    (
        "since = '2026-12-02'",
        &["now=2026-12-02T00:00", "now=2027-01-01T00:00"],
        &["now=2026-12-01T23:59"],
        &[],
    ),
    (
        "until = '2026-12-02'",
        &["now=2026-12-02T23:59", "now=2026-12-01T00:00"],
        &["now=2026-12-03T00:00"],
        &[],
    ),
    (
        "since = '2026-12-01'\nuntil = '2026-12-02'",
        &["now=2026-12-01T00:00", "now=2026-12-02T23:59"],
        &["now=2026-11-30T23:59", "now=2026-12-03T00:00"],
        &[],
    ),
    (
        "group = ['g0']",
        &["user=x groups=100", "user=x groups=99,100"],
        &["user=x groups=101", "user=x groups=", "groups=100"],
        &["user=x groups=failed"],
    ),
    ("group = ['g0', 'g1']", &["user=x groups=101"], &["user=x groups=102"], &["user=x groups=failed"]),
    (
        "service = ['sudo']\nuser = ['x']",
        &["service=sudo user=x"],
        &["service=sudo user=y", "service=su user=x", "service=sudo", "user=x"],
        &[],
    ),
    (
        "user = ['x']\nfrom = ['192.0.2.0/24']",
        &["user=x rhost=192.0.2.1"],
        &["user=x rhost=192.0.3.1", "user=y rhost=192.0.2.1", "user=x"],
        &[],
    ),
    (
        "group = ['g0']\ntty = ['tty1']",
        &["user=x groups=100 tty=tty1"],
        &["user=x groups=100 tty=tty2", "user=x groups=failed tty=tty2", "user=x groups=101 tty=tty1"],
        &["user=x groups=failed tty=tty1"],
    ),
    (
        "key = true\nfrom = ['10.0.0.0/8']\nservice = ['sshd']",
        &["service=sshd key=yes rhost=10.1.2.3"],
        &[
            "service=sshd key=no rhost=10.1.2.3",
            "service=sshd key=yes rhost=11.1.2.3",
            "service=sshd key=yes",
        ],
        &[],
    ),
    (
        "place = 'new'\nuser = ['x']",
        &["user=x place=new"],
        &["user=x place=familiar", "user=x", "place=new"],
        &[],
    ),
    (
        "hours = ['wed 09:00-10:00']\nsince = '2026-12-02'",
        &["now=2026-12-02T09:30"],
        &["now=2026-11-25T09:30", "now=2026-12-02T10:30"],
        &[],
    ),
];

/// The facts that are looked up.
struct Found {
    groups: Option<Vec<u32>>,
    hardware: bool,
    familiar: Option<bool>,
}

impl Lookups for Found {
    fn groups(&mut self) -> Option<Vec<u32>> {
        self.groups.clone()
    }

    fn hardware_key(&mut self) -> bool {
        self.hardware
    }

    fn familiar(&mut self) -> Option<bool> {
        self.familiar
    }
}

/// `KEY=VALUE …`. Without `groups`, the account is in none; any other fact that is not named is unknown.
fn login(text: &'static str) -> (Facts<'static>, Found) {
    let mut facts = Facts::default();
    let mut found = Found { groups: Some(Vec::new()), hardware: false, familiar: None };
    for (key, value) in text.split_whitespace().map(|word| word.split_once('=').unwrap()) {
        match key {
            "user" => facts.user = Some(value),
            "service" => facts.service = value,
            "tty" => facts.tty = value,
            "by" => facts.by = value,
            "rhost" => facts.rhost = value,
            "key" => facts.key = Some(value == "yes"),
            "now" => facts.now = minute(value),
            "groups" => found.groups = groups(value),
            "hardware" => found.hardware = true,
            "place" => found.familiar = Some(value == "familiar"),
            _ => panic!("{key}"),
        }
    }
    (facts, found)
}

fn groups(text: &str) -> Option<Vec<u32>> {
    let gids = text.split(',').filter(|gid| !gid.is_empty());
    (text != "failed").then(|| gids.map(|gid| gid.parse().unwrap()).collect())
}

/// A minute from 2026-11-01 on, in UTC.
fn minute(text: &str) -> UnixTime {
    let (day, time) = text.split_once('T').unwrap();
    let (month, day) = day.rsplit_once('-').unwrap();
    let first = ["2026-11", "2026-12", "2027-01"].iter().position(|known| *known == month).unwrap();
    let days = [-30, 0, 31][first] + day.parse::<i64>().unwrap() - 1;
    let (hours, minutes) = time.split_once(':').unwrap();
    let minutes = hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap();
    1_796_083_200 + days * 86_400 + minutes * 60 // 2026-12-01
}

/// The decisions if the rule denies, and if it asks for a code: neither can be taken for the default.
fn decisions(conditions: &str, facts: &'static str) -> [String; 2] {
    ["deny", "code"].map(|outcome| {
        let text = format!("[[rule]]\nname = 'r'\n{conditions}\nthen = '{outcome}'\n");
        let (rules, (facts, mut found)) = (read(&text).unwrap().config.rules, login(facts));
        let decision = rules.decide(&facts, &mut found, None).unwrap();
        let outcome = decision.outcome.map_or("default", Outcome::as_str);
        format!("{outcome} by {}{}", decision.rule, if decision.without_groups { "?" } else { "" })
    })
}

#[test]
fn a_rule_decides_if_and_only_if_all_its_conditions_hold_and_an_unknown_fact_makes_none_hold() {
    let (mut rows, mut wrong) = (0, Vec::new());
    for (conditions, yes, no, nobody_knows) in TABLE {
        for (all, expected) in [
            (yes, ["deny by r", "code by r"]),
            (no, ["default by default"; 2]),
            (nobody_knows, ["deny by r?", "code by r?"]),
        ] {
            for facts in *all {
                rows += 1;
                let found = decisions(conditions, facts);
                if found != expected {
                    wrong.push(format!("{conditions} | {facts}: {found:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows >= 150, "{rows} rows");
    for condition in Condition::ALL {
        let is_there = TABLE.iter().any(|(conditions, ..)| conditions.contains(condition.as_str()));
        assert!(is_there, "{} is not in the table", condition.as_str());
    }
}
