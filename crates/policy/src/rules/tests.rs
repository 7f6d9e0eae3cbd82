#![allow(clippy::unwrap_used)]
use super::*;
use crate::{Compiled, ConfigError, SourceFile, compile};

/// A host without groups, in UTC.
pub(crate) struct NoNames;

impl Names for NoNames {
    fn gid(&self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }

    fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        Ok(Vec::new())
    }
}

/// A host in Amsterdam, whose groups are `g0` to `g9`, wheel, contractors and research.
struct TheNames;

impl Names for TheNames {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        let known = ["g0", "g1", "g2", "wheel", "contractors", "research"];
        Ok(known.iter().position(|name| *name == group).map(|place| 100 + place as u32))
    }

    fn zone(&self, name: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        match name {
            // Summer time ends on 2026-10-25 and begins on 2027-03-28, at 01:00 UTC.
            "Europe/Amsterdam" => Ok(vec![(0, 7200), (1_792_890_000, 3600), (1_806_195_600, 7200)]),
            _ => Err(format!("there is no time zone {name}")),
        }
    }
}

pub(super) fn read(text: &str) -> Result<Compiled, ConfigError> {
    compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &TheNames)
}

/// The eight examples of docs/POLICY.md, with their tests.
const EXAMPLES: &str = include_str!("../../../../docs/policy-examples.toml");

#[test]
fn the_examples_decide_as_their_tests_say() {
    let compiled = read(EXAMPLES).unwrap();
    let (all, failed) = compiled.failed_tests(1_796_292_000);
    assert_eq!((all, failed), (23, Vec::new()));
}

#[test]
fn the_manual_has_the_same_examples() {
    let manual = include_str!("../../../../docs/POLICY.md");
    let blocks = manual.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let text = blocks.collect::<Vec<&str>>().concat();
    assert_eq!(read(&text).unwrap().rules, read(EXAMPLES).unwrap().rules);
}

#[test]
fn rules_are_the_same_after_they_were_compiled() {
    let compiled = read(EXAMPLES).unwrap();
    assert_eq!(compiled.config.rules.rules().unwrap(), compiled.rules);
}

#[test]
fn every_fault_is_named_with_its_line() {
    let rule = |more: &str| format!("[[rule]]\nname = 'a'\n{more}");
    let long = format!("then = 'deny'\nmessage = '{}'", "x".repeat(201));
    let many: Vec<String> = (0..65).map(|n| format!("'u{n}'")).collect();
    let many = format!("then = 'code'\nuser = [{}]", many.join(","));
    for (text, line, words) in [
        (rule(""), 1, "`then` is missing"),
        (rule("then = 'maybe'"), 3, "`code`, `two-codes`, `skip`, `deny`"),
        (rule("then = 'code'\nusers = ['x']"), 4, "unknown field `users`"),
        (rule("then = 'code'\nwhere = 'new'"), 4, "unknown field `where`"),
        (rule("then = 'code'\nuser = []"), 4, "matches nobody"),
        (rule("then = 'code'\nuser = 'x'"), 4, "expected an array"),
        (rule("then = 'code'\nusers = ['x']"), 4, "`alert`, `message`"),
        (rule("then = 'code'\nuser = ['a*b']"), 4, "one `*` at the end"),
        (rule("then = 'code'\nuser = ['!alice']"), 4, "put the exception in a rule above"),
        (rule("then = 'code'\nuser = ['%wheel']"), 4, "Groups go into `group`"),
        (rule("then = 'code'\nuser = ['@wheel']"), 4, "write a user's name"),
        (rule("then = 'code'\nuser = ['svc-?']"), 4, "write a user's name"),
        (rule("then = 'code'\nuser = ['[ab]lice']"), 4, "write a user's name"),
        (rule("then = 'code'\nuser = ['a,b']"), 4, "write a user's name"),
        (rule("then = 'code'\nuser = ['alice ']"), 4, "write a user's name"),
        (rule("then = 'code'\nuser = [\"a\\nb\"]"), 4, "write a user's name"),
        (rule("then = 'code'\nuser = ['']"), 4, "write a user's name"),
        (rule("then = 'code'\ntty = ['/dev/tty1']"), 4, "without /dev/"),
        (rule("then = 'code'\ntty = ['tty[1-6]']"), 4, "no other pattern"),
        (rule("then = 'code'\ntty = ['tty1,tty2']"), 4, "no other pattern"),
        (rule("then = 'code'\ntty = ['!tty1']"), 4, "no other pattern"),
        (rule("then = 'code'\nby = ['%wheel']"), 4, "there are no patterns"),
        (rule("then = 'code'\nby = ['a,b']"), 4, "there are no patterns"),
        (rule("then = 'code'\nservice = ['SSHD']"), 4, "the name of a file of /etc/pam.d"),
        (rule("then = 'code'\nservice = ['other']"), 4, "but `other`"),
        (rule("then = 'code'\nfrom = ['moon']"), 4, "no networks called `moon`"),
        (rule("then = 'code'\nfrom = ['192.0.2.1/24']"), 4, "has bits behind its network"),
        (rule("then = 'code'\nfrom = ['192.0.2.0/33']"), 4, "more bits"),
        (rule("then = 'code'\nhours = ['mon 25:00-26:00']"), 4, "not hours"),
        (rule("then = 'code'\nsince = '2026-13-01'"), 4, "not a date"),
        (rule("then = 'code'\nsince = '2027-01-02'\nuntil = '2027-01-01'"), 1, "`since` is after `until`"),
        (rule("then = 'code'\ngroup = ['g9']"), 4, "no group `g9`"),
        (rule("then = 'code'\nmessage = 'x'"), 1, "`message` goes with \"deny\""),
        (rule(&long), 1, "200 printable"),
        (rule("then = 'deny'\nmessage = \"a\\u0007\""), 1, "printable"),
        (rule("then = 'deny'\nmessage = ' '"), 1, "printable"),
        (rule("then = 'skip'\nfresh = true"), 1, "`fresh` goes with"),
        (rule("then = 'skip'\nremember = '1h'"), 1, "`remember` goes with \"code\""),
        (rule("then = 'two-codes'\nremember = '1h'"), 1, "`remember` goes with \"code\""),
        (rule("then = 'code'\nfresh = true\nremember = '1h'"), 1, "contradict each other"),
        (rule("then = 'code'\nplace = 'new'\nremember = '1h'"), 1, "does not go with `place`"),
        (rule("then = 'code'\nremember = '59s'"), 1, "from 1m to 24h"),
        (rule("then = 'code'\nremember = '25h'"), 1, "from 1m to 24h"),
        (rule("then = 'code'\nremember = 'a day'"), 4, "not a length of time"),
        (rule("then = 'code'\nremember = '1h'\nfrom = ['remote']"), 1, "network wider than /16"),
        (rule("then = 'code'\nremember = '1h'\nfrom = ['10.0.0.0/15']"), 1, "network wider than /16"),
        (rule("then = 'code'\nremember = '1h'\nfrom = ['2001:d00::/31']"), 1, "network wider than /16"),
        (rule("then = 'deny'\nrecovery = true"), 1, "`recovery` goes with"),
        (rule("then = 'deny'\nfirst_login = 'deny'"), 1, "`first_login` goes with"),
        (rule("then = 'code'\nfirst_login = 'allow'"), 1, "`allow_until` goes with"),
        (rule("then = 'code'\nallow_until = '2027-01-01'"), 1, "`allow_until` goes with"),
        (rule("then = 'code'\ngroup_optional = true"), 1, "`group_optional` goes with"),
        (rule("then = 'skip'\nfrom = ['local']"), 1, "needs a console"),
        (rule("then = 'skip'\nfrom = ['local']\ntty = ['pts/*']"), 1, "needs a console"),
        (rule("then = 'skip'\nfrom = ['192.0.2.0/24', 'local']"), 1, "needs a console"),
        (rule("then = 'skip'\nfrom = ['local']\ntty = ['*']"), 1, "needs a console"),
        (rule("then = 'code'\nfrom = ['local']\nkey = true"), 1, "only sshd says anything of keys"),
        (rule("then = 'code'\nplace = 'home'"), 4, "expected one of `familiar`, `new`"),
        (rule("then = 'skip'\nplace = 'familiar'"), 1, "\"skip\" at a familiar place needs `key = true`"),
        (rule("then = 'code'\nkey = 'soft'"), 4, "expected true, false or \"hardware\""),
        (rule("then = 'code'\nkey = 1"), 4, "expected a boolean"),
        (rule("then = 'code'\nfrom = ['local']\nkey = 'hardware'"), 1, "only sshd says anything of keys"),
        (rule(&many), 4, "more than 64 items"),
        (rule("then = 'code'\nfrom = ['203.0.113.9']"), 4, "such as 203.0.113.9/32"),
        (rule("then = 'code'\nfrom = ['2001:db8::9']"), 4, "such as 2001:db8::9/128"),
        (rule("then = 'code'\nservice = ['sshd']\nby = ['bob']"), 1, "sshd names no caller"),
        (rule("then = 'code'\nservice = ['sshd']\ntty = ['tty1', 'pts/*']"), 1, "sshd names no caller"),
        (rule("then = 'code'\nservice = ['sshd']\nfrom = ['local']"), 1, "sshd names no caller"),
        (rule("then = 'deny'\nkey = false\ntty = ['tty*']"), 1, "sshd names no caller"),
        (rule("then = 'skip'\nkey = 'hardware'\nby = ['bob']"), 1, "sshd names no caller"),
        (
            "[enroll]\nkey_services = []\n[[rule]]\nname = 'a'\nkey = true\nthen = 'code'".into(),
            3,
            "no service says anything of keys",
        ),
        ("[[rules]]\nname = 'a'".into(), 1, "`rule`"),
        ("[network]\na = ['192.0.2.0/24']".into(), 1, "`networks`"),
        (rule("then = 'code'\nby = ['']"), 4, "write a name"),
        (rule("then = 'code'\nby = ['svc-*']"), 4, "`*` does not stand for anything here"),
        (rule(&format!("then = 'code'\nby = ['{}']", "x".repeat(65))), 4, "at most 64 bytes"),
        (rule(&format!("then = 'code'\nservice = ['{}']", "x".repeat(65))), 4, "at most 64 bytes"),
        (rule("then = 'code'\ntty = ['tty']"), 4, "`tty` names no terminal"),
        (rule("then = 'code'\nremember = '1h'"), 1, "network wider than /16"),
        (rule("then = 'code'\nremember = '1h'\nservice = ['sshd', 'su']"), 1, "network wider than /16"),
        (
            rule("then = 'code'\nservice = ['su', 'sudo']\nkey = true"),
            1,
            "none of these services says anything of keys",
        ),
        (
            rule("then = 'deny'\nservice = ['su']\nkey = false"),
            1,
            "none of these services says anything of keys",
        ),
        (
            "[[test]]\nservice = 'su'\ntty = '/dev/tty1'\nexpect = 'code by default'".into(),
            1,
            "without /dev/",
        ),
        ("[[rule]]\nthen = 'code'".into(), 1, "needs a name"),
        ("[[rule]]\nname = 'A'\nthen = 'code'".into(), 1, "small letters"),
        ("[[rule]]\nname = 'default'\nthen = 'code'".into(), 1, "can't be called `default`"),
        ("rule = 3".into(), 1, "expected an array"),
        ("rule = [3]".into(), 1, "expected a table"),
        (format!("{}\n{}", rule("user = ['x']\nthen = 'code'"), rule("then = 'deny'")), 5, "already"),
        ("[networks]\nlocal = ['192.0.2.0/24']".into(), 2, "not `local`"),
        ("[networks]\nA = ['192.0.2.0/24']".into(), 2, "small letters"),
        ("[networks]\na = ['b']\nb = ['a']".into(), 2, "hold themselves"),
        ("[networks]\na = ['b']".into(), 2, "no networks called `b`"),
        ("[networks]\na = []".into(), 2, "matches nobody"),
        ("[policy]\nzone = 'Mars/Crater'".into(), 2, "no time zone"),
        ("[policy]\nzones = 'UTC'".into(), 2, "unknown field `zones`"),
        ("[[test]]\nuser = 'x'\nexpect = 'code by a'".into(), 1, "needs a service"),
        ("[[test]]\nservice = 'SSHD'\nexpect = 'code by a'".into(), 2, "small letters"),
        ("[[test]]\nservice = 'su'\nfrom = '10.0.0.1:22'\nexpect = 'code by a'".into(), 3, "without a port"),
        ("[[test]]\nservice = 'su'\nfrom = '10.0.0.0/8'\nexpect = 'code by a'".into(), 3, "without bits"),
        ("[defaults]\nfirst_login = 'deny'\nallow_until = '2027-01-01'".into(), 3, "goes with first_login"),
        ("[[test]]\nservice = 'su'\nexpect = 'maybe'".into(), 1, "needs `expect`"),
        ("[[test]]\nservice = 'su'\nexpect = 'code by a'\nat = 'now'".into(), 4, "not a time"),
    ] {
        let message = read(&text).unwrap_err().to_string();
        assert!(message.contains(&format!("line {line}:")) && message.contains(words), "{text}: {message}");
    }
}

#[test]
fn names_that_the_host_does_not_know_are_told_with_their_line() {
    struct Empty;
    impl Names for Empty {
        fn gid(&self, _: &str) -> Result<Option<u32>, String> {
            Ok(None)
        }
        fn has_user(&self, name: &str) -> bool {
            name == "root"
        }
        fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
            Ok(Vec::new())
        }
    }
    let text = "[[rule]]\nname = 'a'\nuser = ['root', 'alcie', 'svc-*']\nthen = 'code'\n\
                [[test]]\nuser = 'root'\ngroups = ['weel']\nservice = 'su'\nexpect = 'code by a'\n";
    let file = SourceFile { path: "x.toml".into(), bytes: text.into() };
    let unknown = compile(&[file], &Empty).unwrap().unknown.join("\n");
    assert_eq!(
        unknown,
        "x.toml:3: rule a: there is no user `alcie` on this host\nx.toml:5: a test: there is no group `weel` on this host"
    );
}

#[test]
fn a_rule_that_can_never_decide_is_refused() {
    for (first, second, refused) in [
        ("", "user = ['x']", true),
        ("user = ['x*']", "user = ['xy']", true),
        ("user = ['xy']", "user = ['x*']", false),
        ("user = ['a', 'b']", "user = ['b']", true),
        ("user = ['a']", "user = ['a', 'b']", false),
        ("from = ['192.0.2.0/24']", "from = ['192.0.2.7/32']", true),
        ("from = ['remote']", "from = ['192.0.2.7/32']", true),
        ("from = ['192.0.2.7/32']", "from = ['remote']", false),
        ("from = ['local', 'remote']", "user = ['x']", true),
        ("service = ['su']", "user = ['x']", false),
        ("key = true", "key = true\nuser = ['x']", true),
        ("key = true", "key = false", false),
        ("key = true", "key = 'hardware'", true),
        ("key = 'hardware'", "key = true", false),
        ("key = 'hardware'", "key = 'hardware'\nuser = ['x']", true),
        ("group = ['g0', 'g1']", "group = ['g1']", true),
        ("since = '2027-01-01'", "since = '2027-02-01'", true),
        ("since = '2027-02-01'", "since = '2027-01-01'", false),
        ("until = '2027-02-01'", "until = '2027-01-01'", true),
        ("until = '2027-01-01'", "user = ['x']", false),
        ("hours = ['mon 08:00-09:00']", "hours = ['mon 08:00-09:00']\nuser = ['x']", true),
        ("hours = ['mon-fri 08:00-18:00']", "hours = ['tue 09:00-10:00', 'fri 17:00-18:00']", true),
        ("hours = ['mon-fri 08:00-18:00']", "hours = ['fri 17:00-18:01']", false),
        ("hours = ['sat 22:00-06:00']", "hours = ['sun 00:00-06:00']", true),
        ("hours = ['sat-sun 00:00-24:00', 'mon-fri 00:00-24:00']", "user = ['x']", true),
        ("hours = ['mon-sun 00:00-23:59']", "user = ['x']", false),
        ("tty = ['tty*']", "tty = ['tty1']", true),
        ("tty = ['tty*']", "tty = ['ttyS0']", false),
        ("tty = ['tty*']", "tty = ['ttyUSB*']", false),
        ("tty = ['tt*']", "tty = ['ttyS0']", true),
        ("tty = ['tt*']", "tty = ['tty*']", true),
        ("user = ['tty*']", "user = ['ttyx']", true),
    ] {
        let text = format!(
            "[[rule]]\nname = 'a'\nthen = 'code'\n{first}\n[[rule]]\nname = 'b'\nthen = 'deny'\n{second}\n"
        );
        let error = read(&text).err().map(|error| error.to_string());
        let named = error.as_ref().is_some_and(|error| error.contains("rule `b` never decides: `a`"));
        assert_eq!((error.is_some(), named), (refused, refused), "{first} / {second}: {error:?}");
    }
}

#[test]
fn a_group_that_may_be_missing_has_no_members() {
    let compiled =
        read("[[rule]]\nname = 'a'\ngroup = ['later']\ngroup_optional = true\nthen = 'deny'").unwrap();
    assert!(compiled.warnings.iter().any(|(rule, why)| rule == "a" && why.contains("no group `later`")));
    let facts = Facts { user: Some("x"), ..Facts::default() };
    let decision = compiled.config.rules.decide(&facts, &mut known(|| Some(vec![0, 65_534])), None).unwrap();
    assert_eq!(decision.rule, "default");
}

/// Look-ups of a login without a hardware key.
fn known<G>(groups: G) -> Known<G> {
    Known { groups, hardware_key: false, familiar: false }
}

fn decided(text: &str, facts: &Facts<'_>, groups: Option<Vec<u32>>) -> String {
    let compiled = read(text).unwrap();
    let decision = compiled.config.rules.decide(facts, &mut known(|| groups.clone()), None).unwrap();
    let outcome = decision.outcome.map_or("default", Outcome::as_str);
    format!("{outcome} by {}{}", decision.rule, if decision.without_groups { "?" } else { "" })
}

#[test]
fn without_its_groups_a_login_gets_the_strictest_that_they_could_have_given() {
    let facts = Facts { user: Some("x"), service: "su", ..Facts::default() };
    let rule = |name: &str, more: &str| format!("[[rule]]\nname = '{name}'\n{more}\n");
    let (skip, two) =
        (rule("a", "group = ['g0']\nthen = 'skip'"), rule("b", "group = ['g1']\nthen = 'two-codes'"));
    let elsewhere = rule("c", "service = ['sshd']\ngroup = ['g2']\nthen = 'deny'");
    let code = rule("d", "then = 'code'");
    let deny = rule("d", "then = 'deny'");
    for (text, expected) in [
        (format!("{skip}{code}"), "code by d?"),
        (format!("{skip}{two}{code}"), "two-codes by b?"),
        (format!("{two}{elsewhere}{code}"), "two-codes by b?"),
        (format!("{two}{deny}"), "deny by d?"),
        (skip.clone(), "default by default?"),
        (format!("{elsewhere}{code}"), "code by d"),
    ] {
        assert_eq!(decided(&text, &facts, None), expected, "{text}");
    }
    assert_eq!(decided(&format!("{skip}{code}"), &facts, Some(vec![100])), "skip by a");
    assert_eq!(decided(&format!("{skip}{code}"), &facts, Some(Vec::new())), "code by d");
}

#[test]
fn groups_are_looked_up_once_and_only_if_all_else_holds() {
    let text = "[[rule]]\nname = 'a'\nservice = ['su']\ngroup = ['g0']\nthen = 'code'\n\
        [[rule]]\nname = 'b'\nservice = ['su']\ngroup = ['g1']\nthen = 'code'";
    for (service, expected) in [("su", 1), ("sshd", 0)] {
        let (facts, mut asked) = (Facts { user: Some("x"), service, ..Facts::default() }, 0);
        let compiled = read(text).unwrap();
        let groups = || {
            asked += 1;
            Some(Vec::new())
        };
        compiled.config.rules.decide(&facts, &mut known(groups), None).unwrap();
        assert_eq!(asked, expected, "{service}");
    }
}

#[test]
fn a_hardware_key_is_looked_up_once_and_only_if_a_key_was_accepted_and_all_else_holds() {
    struct Counted(bool, u32);
    impl Lookups for Counted {
        fn groups(&mut self) -> Option<Vec<u32>> {
            None
        }
        fn hardware_key(&mut self) -> bool {
            self.1 += 1;
            self.0
        }
        fn familiar(&mut self) -> Option<bool> {
            None
        }
    }
    let text = "[[rule]]\nname = 'a'\nkey = 'hardware'\nuser = ['x']\nfrom = ['192.0.2.0/24']\nthen = 'skip'\n\
        [[rule]]\nname = 'b'\nkey = 'hardware'\ngroup = ['g0']\nthen = 'skip'\n\
        [[rule]]\nname = 'c'\nkey = true\nthen = 'code'";
    let compiled = read(text).unwrap();
    assert_eq!(compiled.config.rules.rules().unwrap(), compiled.rules);
    for (key, rhost, hardware, expected) in [
        (Some(true), "192.0.2.1", true, ("a", true, false, 1)),
        (Some(true), "192.0.2.1", false, ("c", false, false, 1)),
        (Some(true), "", false, ("c", false, false, 1)),
        // The stricter of two, because the group look-up fails.
        (Some(true), "", true, ("c", false, true, 1)),
        (Some(false), "192.0.2.1", true, ("default", false, false, 0)),
        (None, "192.0.2.1", true, ("default", false, false, 0)),
    ] {
        let mut lookups = Counted(hardware, 0);
        let facts = Facts { user: Some("x"), service: "sshd", key, rhost, ..Facts::default() };
        let decision = compiled.config.rules.decide(&facts, &mut lookups, None).unwrap();
        let found = (decision.rule, decision.hardware_key, decision.without_groups, lookups.1);
        assert_eq!(found, expected, "{key:?} {rhost} {hardware}");
    }
}

#[test]
fn a_rule_can_tell_new_places_from_familiar_ones_and_a_test_can_say_which_it_is() {
    let rules = "[[rule]]\nname = 'away'\nplace = 'new'\nthen = 'two-codes'\n";
    for (place, expected) in [
        ("place = 'familiar'", "code by default"),
        ("place = 'new'", "two-codes by away"),
        ("", "two-codes by away"),
    ] {
        let test =
            format!("{rules}[[test]]\nuser = 'x'\nservice = 'sshd'\n{place}\nexpect = \"{expected}\"\n");
        assert_eq!(read(&test).unwrap().failed_tests(0), (1, Vec::new()), "{place}");
    }
}

#[test]
fn a_test_at_sshd_knows_whether_a_key_was_accepted_as_a_login_does() {
    let rules = "[[rule]]\nname = 'keyless'\nkey = false\nthen = 'deny'\n";
    for (service, expected) in [("sshd", "deny by keyless"), ("su", "code by default")] {
        let test = format!("[[test]]\nuser = 'x'\nservice = '{service}'\nexpect = '{expected}'");
        assert_eq!(read(&format!("{rules}{test}")).unwrap().failed_tests(0), (1, Vec::new()), "{service}");
    }
}

#[test]
fn a_test_can_say_that_the_key_is_a_hardware_key() {
    let rules = "[[rule]]\nname = 'a'\nkey = 'hardware'\nthen = 'skip'\n[[rule]]\nname = 'b'\nkey = true\nthen = 'code'\n";
    for (key, expected) in [("'hardware'", "skip by a"), ("true", "code by b"), ("false", "code by default")]
    {
        let test = format!("[[test]]\nuser = 'x'\nservice = 'sshd'\nkey = {key}\nexpect = '{expected}'");
        let compiled = read(&format!("{rules}{test}")).unwrap();
        assert_eq!(compiled.failed_tests(0), (1, Vec::new()), "{key}");
    }
}

#[test]
fn what_is_not_known_makes_no_condition_hold() {
    for more in [
        "user = ['*']",
        "group = ['g0']",
        "tty = ['*']",
        "by = ['x']",
        "key = true",
        "key = false",
        "from = ['::/0']",
    ] {
        let text = format!("[[rule]]\nname = 'a'\n{more}\nthen = 'deny'");
        assert_eq!(decided(&text, &Facts::default(), Some(vec![100])), "default by default", "{more}");
    }
    let long = "x".repeat(65);
    let facts = Facts { user: Some(&long), service: &long, tty: &long, ..Facts::default() };
    for more in ["user = ['x*']", "tty = ['x*']"] {
        let text = format!("[[rule]]\nname = 'a'\n{more}\nthen = 'deny'");
        assert_eq!(decided(&text, &facts, None), "default by default", "{more}");
    }
}

#[test]
fn hours_and_days_go_by_the_zone() {
    let text = |more: &str| {
        format!("[policy]\nzone = 'Europe/Amsterdam'\n[[rule]]\nname = 'a'\n{more}\nthen = 'deny'")
    };
    let hours = text("hours = ['thu 09:00-10:00']");
    let until = text("until = '2026-12-03'");
    let since = text("since = '2026-12-03'");
    let midnight = 1_796_252_400; // 2026-12-03T00:00 in Amsterdam
    for (text, now, expected) in [
        (&hours, midnight + 9 * 3600, true),
        (&hours, midnight + 9 * 3600 - 1, false),
        (&hours, midnight + 10 * 3600, false),
        (&hours, midnight + 9 * 3600 - 23 * 7 * 86_400, false), // 08:00 UTC is 10:00 in summer
        (&hours, midnight + 8 * 3600 - 23 * 7 * 86_400, true),
        (&until, midnight + 86_399, true),
        (&until, midnight + 86_400, false),
        (&since, midnight, true),
        (&since, midnight - 1, false),
    ] {
        let facts = Facts { now, ..Facts::default() };
        let expected = if expected { "deny by a" } else { "default by default" };
        assert_eq!(decided(text, &facts, None), expected, "{text} {now}");
    }
}

#[test]
fn a_skip_that_any_terminal_or_place_gets_is_warned_about() {
    for (conditions, expected) in [
        ("", true),
        ("tty = ['pts/*']", true),
        ("tty = ['tty1', 'ssh']", true),
        ("service = ['sudo']\nby = ['bob']", true),
        ("tty = ['tty*', 'ttyS0', 'hvc0']", false),
        ("from = ['192.0.2.0/24']", false),
        ("key = true", false),
    ] {
        let compiled = read(&format!("[[rule]]\nname = 'a'\nthen = 'skip'\n{conditions}")).unwrap();
        let warned = compiled.warnings.iter().any(|(_, text)| text.contains("a password alone is enough"));
        assert_eq!(warned, expected, "{conditions}");
    }
}

#[test]
fn a_skip_is_warned_about_at_sshd_only_where_it_can_hold_there() {
    let warned = |conditions: &str| {
        let compiled = read(&format!("[[rule]]\nname = 'a'\nthen = 'skip'\n{conditions}")).unwrap();
        let texts: Vec<String> = compiled.warnings.into_iter().map(|(_, text)| text).collect();
        let about = |part: &str| texts.iter().any(|text| text.contains(part));
        (about("qrtotp config sshd"), about("lets in on nothing"))
    };
    for (conditions, expected) in [
        ("key = true", (true, false)),
        ("from = ['192.0.2.0/24']", (true, true)),
        ("service = ['sshd', 'su']\ntty = ['s*']", (true, true)),
        ("service = ['su']", (false, false)),
        ("tty = ['tty*']\nfrom = ['local']", (false, false)),
        ("tty = ['ssh2']", (false, false)),
        ("by = ['root']", (false, false)),
    ] {
        assert_eq!(warned(conditions), expected, "{conditions}");
    }
}

#[test]
fn what_a_host_of_a_fleet_claims_makes_a_rule_stricter_and_never_easier() {
    let rules = read(
        "[[rule]]\nname = 'office'\nfrom = ['192.0.2.0/24']\nthen = 'code'\n\
         [[rule]]\nname = 'shell'\nservice = ['su']\nthen = 'deny'\n\
         [[rule]]\nname = 'cron'\nuser = ['backup']\nthen = 'code'\n\
         [[rule]]\nname = 'strangers'\nthen = 'two-codes'",
    )
    .unwrap()
    .config
    .rules;
    let decided = |user, service, rhost| {
        let facts = Facts { user: Some(user), service, rhost, ..Facts::default() };
        let mut known = Known { groups: || Some(Vec::new()), hardware_key: true, familiar: true };
        let claimed = rules.decide_claims(&facts, &mut known).unwrap();
        (rules.decide(&facts, &mut known, None).unwrap().rule.to_owned(), claimed.rule.to_owned())
    };
    let both = |host: &str, fleet: &str| (host.to_owned(), fleet.to_owned());
    assert_eq!(decided("alice", "sshd", "192.0.2.7"), both("office", "strangers"));
    assert_eq!(decided("alice", "su", ""), both("shell", "shell"));
    assert_eq!(decided("backup", "sshd", "203.0.113.1"), both("cron", "cron"));
    assert_eq!(decided("backup", "su", ""), both("shell", "shell"));
}

#[test]
fn in_a_fleet_a_rule_remembers_codes_unless_a_stricter_one_decides_without_the_hosts_claims() {
    let rules = read(
        "[[rule]]\nname = 'admins'\nuser = ['root']\nthen = 'two-codes'\n\
         [[rule]]\nname = 'office'\nservice = ['sshd']\nfrom = ['192.0.2.0/24']\nthen = 'code'\nremember = '1h'\n\
         [[rule]]\nname = 'careful'\nuser = ['bob']\nthen = 'code'\nfresh = true",
    )
    .unwrap()
    .config
    .rules;
    let remembers = |user, rhost| {
        let facts = Facts { user: Some(user), service: "sshd", rhost, ..Facts::default() };
        let mut known = Known { groups: || Some(Vec::new()), hardware_key: true, familiar: true };
        rules.decide_claims(&facts, &mut known).unwrap().effects.remember.is_some()
    };
    assert!(remembers("alice", "192.0.2.7"));
    assert!(!remembers("alice", "203.0.113.1"), "another rule");
    assert!(!remembers("root", "192.0.2.7") && !remembers("bob", "192.0.2.7"), "a stricter rule");
}
