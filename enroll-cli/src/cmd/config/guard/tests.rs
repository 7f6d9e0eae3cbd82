//! Planted lock-outs, and policies that must pass.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::login_end::gets_in_at_all;
use super::*;
use crate::cmd::doctor::Ways;
use qrtotp_policy::{Names, SourceFile, compile};

struct Groups;

impl Names for Groups {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        Ok(["wheel", "staff", "guests"]
            .iter()
            .position(|name| *name == group)
            .and_then(|at| u32::try_from(at).ok()))
    }

    fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        Ok(vec![(0, 0)])
    }
}

/// 2026-11-29 12:00 UTC, a Sunday.
const NOW: UnixTime = 1_795_953_600;

fn person(name: &str, gids: &[u32], device: bool) -> GuardedPerson {
    GuardedPerson {
        name: name.into(),
        is_root: name == "root",
        gids: Some(gids.to_vec()),
        device,
        ..GuardedPerson::default()
    }
}

/// anna of wheel and staff applies over ssh from 198.51.100.7. Everything asks for codes.
fn host() -> GuardedHost<'static> {
    GuardedHost {
        actor: Some(person("anna", &[0, 1], true)),
        rhost: "198.51.100.7".into(),
        tty: "pts/0".into(),
        emergency: Vec::new(),
        root: None,
        root_at_sshd: true,
        proves_passwords: true,
        enrolled: true,
        asks: &|_| true,
        one_field: &|_| false,
        ways: Ways::default(),
        recent: Vec::new(),
    }
}

fn breakglass(person: Option<GuardedPerson>, is_expired: bool) -> Vec<Emergency> {
    let person = person.map(|person| GuardedPerson { is_expired, ..person });
    vec![Emergency { name: "breakglass".into(), person }]
}

fn found(text: &str, host: &GuardedHost<'_>) -> Vec<(&'static str, bool)> {
    found_after(None, text, host)
}

fn found_after(before: Option<&str>, text: &str, host: &GuardedHost<'_>) -> Vec<(&'static str, bool)> {
    let compiled = |text: &str| {
        let compiled = compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &Groups);
        compiled.unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    let (before, compiled) = (before.map(compiled), compiled(text));
    let admins =
        || [person("root", &[9], false), host.actor.clone().unwrap(), person("bob", &[0], true)].into_iter();
    let found = findings(&compiled, before.as_ref(), host, admins, NOW).unwrap();
    found.iter().map(|finding| (finding.key, finding.severity == Severity::Danger)).collect()
}

fn refused(text: &str, host: &GuardedHost<'_>) -> Vec<&'static str> {
    let mut keys: Vec<_> =
        found(text, host).into_iter().filter(|(_, danger)| *danger).map(|(key, _)| key).collect();
    keys.dedup();
    keys
}

/// Rules in short: `CONDITIONS -> OUTCOME`, one a line.
fn rules(short: &str) -> String {
    let mut text = String::new();
    for (number, line) in short.split(" | ").enumerate() {
        let (conditions, outcome) = line.split_once("->").unwrap();
        let conditions = conditions.trim().replace("; ", "\n");
        let (outcome, more) = outcome.trim().split_once("; ").unwrap_or((outcome.trim(), ""));
        let more = more.replace("; ", "\n");
        text.push_str(&format!(
            "[[rule]]\nname = \"r{number}\"\n{conditions}\nthen = \"{outcome}\"\n{more}\n"
        ));
    }
    text
}

#[test]
fn a_registered_hardware_key_lets_its_owner_in() {
    let text = rules("key = 'hardware' -> skip | service = ['sshd'] -> deny");
    let mut host = host();
    assert_eq!(refused(&text, &host), ["L1"]);
    host.actor.as_mut().unwrap().hardware_key = true;
    assert!(refused(&text, &host).is_empty());
}

#[test]
fn planted_lock_outs_of_the_person_who_applies_are_refused() {
    for (short, keys) in [
        // everybody
        ("-> deny", "L1 L2"),
        ("from = ['remote', 'local'] -> deny", "L1 L2"),
        ("user = ['*'] -> deny", "L1 L2"),
        ("hours = ['mon-sun 00:00-24:00'] -> deny", "L1 L2"),
        ("since = '2026-01-01' -> deny", "L1 L2"),
        ("until = '2027-01-01' -> deny", "L1 L2"),
        ("user = ['x'] -> code | -> deny", "L1 L2"),
        ("group = ['guests'] -> code | -> deny", "L1 L2"),
        ("service = ['su'] -> code | -> deny", "L1 L2"),
        ("user = ['root']; service = ['sshd'] -> deny | user = ['anna', 'bob'] -> deny", "L1 L2"),
        // at sshd
        ("service = ['sshd'] -> deny", "L1"),
        ("service = ['sshd']; from = ['remote'] -> deny", "L1"),
        ("service = ['sshd']; from = ['198.51.100.0/24'] -> deny", "L1"),
        ("service = ['sshd']; from = ['192.0.2.0/24'] -> code | service = ['sshd'] -> deny", "L1"),
        ("service = ['sshd']; user = ['an*'] -> deny", "L1"),
        ("service = ['sshd']; group = ['staff'] -> deny", "L1"),
        ("service = ['sshd']; group = ['guests', 'wheel'] -> deny", "L1"),
        ("service = ['sshd']; hours = ['sun 08:00-18:00'] -> deny", "L1"),
        ("service = ['sshd']; hours = ['mon-fri 08:00-18:00'] -> code | service = ['sshd'] -> deny", "L1"),
        ("service = ['sshd']; hours = ['sat 22:00-13:00'] -> deny", "L1"),
        ("from = ['198.51.100.7/32'] -> deny", "L1"),
        ("from = ['remote'] -> deny", "L1"),
        ("tty = ['ssh'] -> deny", "L1"),
        ("key = true -> deny | key = false -> deny", "L1"),
        ("service = ['sshd']; until = '2026-11-29' -> deny", "L1"),
        ("service = ['sshd']; user = ['bob'] -> code | service = ['sshd'] -> deny", "L1"),
        ("user = ['anna'] -> deny", "L1"),
        ("place = 'familiar' -> deny", "L1"),
        ("service = ['sshd']; place = 'familiar'; user = ['an*'] -> deny", "L1"),
        ("place = 'new' -> deny", "L1 L2"),
        // at sudo
        ("service = ['sudo'] -> deny", "L1 L2"),
        ("service = ['sudo']; group = ['wheel'] -> deny", "L1 L2"),
        ("service = ['sudo']; from = ['local'] -> deny", "L1 L2"),
        ("service = ['sudo']; tty = ['pts/*'] -> deny", "L1"),
        ("service = ['sudo']; tty = ['tty*'] -> code | service = ['sudo'] -> deny", "L1"),
        ("service = ['sudo']; by = ['anna'] -> deny", "L1"),
        ("service = ['sudo']; user = ['root'] -> code | service = ['sudo'] -> deny", "L1 L2"),
        ("from = ['local'] -> deny", "L1 L2"),
    ] {
        assert_eq!(refused(&rules(short), &host()).join(" "), keys, "{short}");
    }
}

#[test]
fn somebody_must_still_be_able_to_become_root() {
    let root = GuardedPerson { is_locked: true, ..person("root", &[9], true) };
    let nobody = || GuardedHost { actor: None, root_at_sshd: false, ..host() };
    let refused = |short: &str, host: &GuardedHost<'_>, bob: GuardedPerson| {
        let compiled =
            compile(&[SourceFile { path: "x".into(), bytes: rules(short).into() }], &Groups).unwrap();
        let admins = [root.clone(), bob];
        let found = findings(&compiled, None, host, || admins.clone().into_iter(), NOW).unwrap();
        found.iter().any(|finding| finding.key == "L2" && finding.severity == Severity::Danger)
    };
    let bob = || person("bob", &[0], true);
    let by_su = || GuardedHost { root: Some(person("root", &[9], true)), ..nobody() };
    let root_denied = "user = ['root']; service = ['login', 'sshd'] -> deny";
    for (rule, host, bob, expected) in [
        ("service = ['sudo'] -> deny", nobody(), bob(), true),
        ("service = ['sudo']; tty = ['pts/*'] -> deny", nobody(), bob(), false),
        ("service = ['sudo'] -> deny", by_su(), bob(), false),
        ("service = ['sudo', 'su'] -> deny", by_su(), bob(), true),
        ("by = ['bob'] -> deny", by_su(), bob(), true),
        ("user = ['x'] -> deny", nobody(), GuardedPerson { is_expired: true, ..bob() }, true),
        (
            "user = ['bob'] -> code; first_login = 'allow'; allow_until = '2026-11-29'",
            nobody(),
            person("bob", &[0], false),
            true,
        ),
    ] {
        assert_eq!(refused(&format!("{root_denied} | {rule}"), &host, bob), expected, "{rule}");
    }
}

#[test]
fn nobody_enrols_where_no_password_can_be_proven() {
    let actor = Some(person("anna", &[0, 1], false));
    let unproven = GuardedHost { actor, proves_passwords: false, ..host() };
    let short = "service = ['sshd', 'sudo'] -> code; first_login = 'enroll'";
    assert_eq!(refused(&rules(short), &unproven), ["L1"]);
}

#[test]
fn su_to_a_root_without_a_shell_is_no_way_to_root() {
    let sudo_denied = "[[rule]]\nname = 'x'\nservice = ['sudo']\nthen = 'deny'\n";
    let with_root = |has_no_shell| {
        let root = GuardedPerson { is_root: true, has_no_shell, ..person("root", &[], true) };
        refused(sudo_denied, &GuardedHost { root: Some(root), ..host() }).contains(&"L2")
    };
    assert!(!with_root(false));
    assert!(with_root(true));
}

#[test]
fn two_codes_have_no_room_in_one_field() {
    let forwards = GuardedHost { one_field: &|_| true, ..host() };
    assert_eq!(refused(&rules("-> two-codes"), &forwards), ["L1", "L2"]);
    let at_sshd = GuardedHost { one_field: &|service| service == "sshd", ..host() };
    assert_eq!(refused(&rules("group = ['wheel'] -> two-codes"), &at_sshd), ["L1"]);
    assert!(refused(&rules("service = ['sudo'] -> two-codes"), &at_sshd).is_empty());
}

#[test]
fn planted_lock_outs_of_those_without_a_device_are_refused_once_anyone_has_one() {
    let mut host = host();
    host.actor = Some(person("anna", &[0, 1], false));
    for (short, keys) in [
        ("user = ['x'] -> skip; notice = true", "L1"),
        ("service = ['sshd'] -> code", "L1"),
        ("service = ['sshd'] -> two-codes", "L1"),
        ("service = ['sshd', 'sudo'] -> code; first_login = 'token'", "L1"),
        ("service = ['sshd', 'sudo'] -> code; first_login = 'allow'; allow_until = '2026-11-28'", "L1"),
        ("user = ['bob'] -> deny", "L1 L2"),
        ("user = ['bob'] -> deny | user = ['anna'] -> code; first_login = 'deny'", "L1 L2"),
    ] {
        assert_eq!(refused(&rules(short), &host).join(" "), keys, "{short}");
        let warned = GuardedHost { enrolled: false, actor: host.actor.clone(), ..self::host() };
        assert!(!found(&rules(short), &warned).is_empty(), "{short}");
        assert_eq!(refused(&rules(short), &warned), Vec::<&str>::new(), "{short}: a fresh host");
    }
    for short in [
        "service = ['sshd', 'sudo'] -> code; first_login = 'enroll'",
        "service = ['sshd', 'sudo'] -> code; first_login = 'allow'; allow_until = '2026-11-29'",
        "user = ['anna']; from = ['198.51.100.0/24'] -> skip | service = ['sudo'] -> code; first_login = 'enroll'",
    ] {
        assert_eq!(refused(&rules(short), &host), Vec::<&str>::new(), "{short}");
    }
    let with_token = GuardedPerson { token: true, ..host.actor.clone().unwrap() };
    let with_token = GuardedHost { actor: Some(with_token), ..self::host() };
    let short = "service = ['sshd', 'sudo'] -> code; first_login = 'token'";
    assert_eq!(refused(&rules(short), &with_token), Vec::<&str>::new());
    let unasked = GuardedHost { actor: host.actor.clone(), asks: &|_| false, ..self::host() };
    assert_eq!(
        refused(&rules("service = ['sshd'] -> code"), &unasked),
        Vec::<&str>::new(),
        "PAM does not ask"
    );
    assert_eq!(refused(&rules("service = ['sshd'] -> deny"), &unasked), ["L1"], "it may ask tomorrow");
    let where_none_enrols = "[enroll]\nservices = ['su']\n[defaults]\nfirst_login = 'enroll'\n[[rule]]\nname = 'a'\nuser = ['x']\nthen = 'code'";
    assert_eq!(refused(where_none_enrols, &host), ["L1"]);
}

#[test]
fn planted_lock_outs_of_an_emergency_account_are_refused() {
    let host = |person, expired| GuardedHost { emergency: breakglass(person, expired), ..host() };
    let there = || Some(person("breakglass", &[5], false));
    for short in [
        "user = ['breakglass'] -> deny",
        "user = ['break*'] -> deny",
        "tty = ['tty1'] -> deny",
        "tty = ['tty*']; from = ['local'] -> deny",
        "service = ['login'] -> deny",
    ] {
        assert_eq!(refused(&rules(short), &host(there(), false)), ["L3"], "{short}");
    }
    for tty in ["tty2", "ttyS0", "ttyS*", "hvc0", "hvc*"] {
        let short = format!(
            "user = ['breakglass']; from = ['local']; tty = ['{tty}'] -> skip | user = ['breakglass'] -> deny"
        );
        assert!(refused(&rules(&short), &host(there(), false)).is_empty(), "{short}");
    }
    let fine = rules("user = ['breakglass']; from = ['local']; tty = ['tty*'] -> skip; alert = true");
    assert_eq!(refused(&fine, &host(there(), false)), Vec::<&str>::new());
    assert_eq!(refused(&fine, &host(there(), true)), ["L3"]);
    assert_eq!(refused(&fine, &host(None, false)), ["L3"]);
    let needs_code = found(&rules("user = ['x'] -> code"), &host(there(), false));
    assert_eq!(needs_code, [("L3", false)]);
}

#[test]
fn a_locked_root_at_the_console_is_warned_about_and_a_locked_emergency_account_refused() {
    let locked = |name| GuardedPerson { is_locked: true, ..person(name, &[9], true) };
    let text = "[[rule]]\nname = 'a'\nservice = ['sshd', 'sudo']\nthen = 'deny'";
    let compiled = compile(&[SourceFile { path: "x".into(), bytes: text.into() }], &Groups).unwrap();
    for (admin, warned) in [(person("root", &[9], true), false), (locked("root"), true)] {
        let host = GuardedHost { actor: None, ..host() };
        let found = findings(&compiled, None, &host, || [admin.clone()].into_iter(), NOW).unwrap();
        let said = found.iter().find(|finding| finding.key == "L2").map(|finding| finding.severity);
        assert_eq!(said, warned.then_some(Severity::Warning));
    }
    let emergency = breakglass(Some(locked("breakglass")), false);
    let fine = rules("user = ['breakglass']; from = ['local']; tty = ['tty*'] -> skip; alert = true");
    assert_eq!(refused(&fine, &GuardedHost { emergency, ..host() }), ["L3"]);
}

#[test]
fn a_key_alone_that_the_account_part_denies_lets_nobody_in() {
    let deny = "[defaults]\nunasked = 'deny'";
    let ways = |asks, account_part| GuardedHost {
        ways: Ways { asks, asks_behind_key: false, key_alone: true, account_part },
        ..host()
    };
    assert_eq!(refused(deny, &ways(false, true)), ["L1"]);
    assert!(refused(deny, &ways(true, true)).is_empty(), "a password and a code let in");
    assert!(refused(deny, &ways(false, false)).is_empty(), "our account line is not there");
    assert!(refused(deny, &host()).is_empty());
    let skip = format!("{deny}\n{}", rules("service = ['sshd']; key = true -> skip"));
    assert!(refused(&skip, &ways(false, true)).is_empty());
    let two_codes = rules("service = ['sshd'] -> two-codes");
    assert_eq!(refused(&two_codes, &ways(false, true)), ["L1"]);
}

#[test]
fn a_way_in_that_sshd_does_not_offer_lets_nobody_in() {
    let ways = |asks, asks_behind_key| GuardedHost {
        ways: Ways { asks, asks_behind_key, ..Ways::default() },
        ..host()
    };
    let keys_only = rules("service = ['sshd']; key = true -> code | service = ['sshd'] -> deny");
    let no_keys = rules("service = ['sshd']; key = true -> deny");
    for (text, asks, behind_key, keys) in [
        (&keys_only, true, false, &["L1"][..]),
        (&keys_only, true, true, &[]),
        (&keys_only, false, true, &[]),
        (&no_keys, false, true, &["L1"]),
        (&no_keys, true, false, &[]),
        (&rules("key = false -> deny"), true, false, &["L1"]),
    ] {
        assert_eq!(refused(text, &ways(asks, behind_key)), keys, "{asks} {behind_key}: {text}");
    }
}

#[test]
fn a_locked_root_who_alone_is_left_later_is_warned_about() {
    let admins = [GuardedPerson { is_locked: true, ..person("root", &[9], true) }, person("bob", &[0], true)];
    let host = GuardedHost { actor: None, ..host() };
    let text = rules(
        "since = '2026-12-24'; user = ['bob'] -> deny | since = '2026-12-24'; service = ['sshd'] -> deny",
    );
    let compiled = compile(&[SourceFile { path: "x".into(), bytes: text.into() }], &Groups).unwrap();
    let found = findings(&compiled, None, &host, || admins.clone().into_iter(), NOW).unwrap();
    let found: Vec<_> = found.iter().map(|finding| (finding.key, finding.severity)).collect();
    assert_eq!(found, [("L2", Severity::Warning)]);
}

#[test]
fn an_emergency_account_without_a_shell_is_refused() {
    let no_shell = GuardedPerson { has_no_shell: true, ..person("breakglass", &[5], true) };
    let host = GuardedHost { emergency: breakglass(Some(no_shell), false), ..host() };
    assert_eq!(refused(&rules("user = ['x'] -> code"), &host), ["L3"]);
}

#[test]
fn those_who_logged_in_lately_and_have_no_device_are_told() {
    let recent: Vec<GuardedPerson> = (0..7).map(|n| person(&format!("user{n}"), &[5], false)).collect();
    let host = GuardedHost { recent, ..host() };
    for (short, is_found) in [
        ("user = ['x'] -> code", true),
        ("user = ['user*'] -> skip; notice = true", false),
        ("service = ['sshd'] -> code; first_login = 'enroll'", false),
    ] {
        let found = found(&rules(short), &host);
        assert_eq!(found.contains(&("L5", false)), is_found, "{short}");
    }
}

#[test]
fn a_lock_out_that_begins_later_is_refused_too() {
    let host = GuardedHost { emergency: breakglass(Some(person("breakglass", &[5], true)), false), ..host() };
    for (short, keys) in [
        ("hours = ['sun 08:00-18:00'] -> code | -> deny", "L2 L3"),
        ("hours = ['mon 03:00-03:01'] -> deny", "L2 L3"),
        ("since = '2026-12-24' -> deny", "L2 L3"),
        ("until = '2026-12-24' -> code | -> deny", "L2 L3"),
        ("hours = ['fri 22:00-06:00']; user = ['root', 'anna', 'bob'] -> deny", "L2"),
        ("since = '2030-01-01'; hours = ['wed 00:00-24:00']; user = ['break*'] -> deny", "L3"),
        (
            "user = ['root']; from = ['local']; tty = ['tty*'] -> skip | hours = ['mon-sat 00:00-24:00']; user = ['root', 'anna', 'bob'] -> deny",
            "",
        ),
        ("hours = ['mon 03:00-03:01']; service = ['sshd'] -> deny", ""),
    ] {
        assert_eq!(refused(&rules(short), &host).join(" "), keys, "{short}");
    }
    let at_night = rules("hours = ['sun 08:00-18:00'] -> skip | -> code");
    let nobody =
        |enrolled| GuardedHost { actor: Some(person("anna", &[0, 1], false)), enrolled, ..self::host() };
    let admins = [person("root", &[9], false)].into_iter();
    let compiled = compile(&[SourceFile { path: "x".into(), bytes: at_night.into() }], &Groups).unwrap();
    for (enrolled, severity) in [(true, Severity::Danger), (false, Severity::Warning)] {
        let found = findings(&compiled, None, &nobody(enrolled), || admins.clone(), NOW).unwrap();
        let said = found.iter().find(|finding| finding.key == "L2").map(|finding| finding.severity);
        assert_eq!(said, Some(severity), "who lacks a device on a fresh host is warned about only");
    }
    let reason = |short: &str| {
        let source = SourceFile { path: "x".into(), bytes: rules(short).into() };
        let admins = [person("root", &[9], true)];
        findings(&compile(&[source], &Groups).unwrap(), None, &host, || admins.clone().into_iter(), NOW)
            .unwrap()
            .remove(0)
            .reason
    };
    let why = reason("hours = ['sun 08:00-18:00'] -> code | -> deny");
    assert!(why.contains("from 2026-11-29 18:00 UTC on"), "{why}");
}

#[test]
fn the_person_at_the_console_is_judged_there() {
    let at = |tty: &str| GuardedHost { rhost: String::new(), tty: tty.into(), ..host() };
    for (short, tty, keys) in [
        ("service = ['login'] -> deny", "tty2", vec!["L1"]),
        ("tty = ['tty2'] -> deny", "tty2", vec!["L1"]),
        ("tty = ['tty2'] -> deny", "tty3", vec![]),
        ("service = ['login'] -> deny", "pts/1", vec!["L1"]),
        ("service = ['sshd'] -> deny", "tty1", vec![]),
    ] {
        assert_eq!(refused(&rules(short), &at(tty)), keys, "{short} {tty}");
    }
}

#[test]
fn root_has_no_need_of_sudo_and_groups_that_can_not_be_had_are_the_strictest() {
    let root = GuardedHost { actor: Some(person("root", &[9], true)), ..host() };
    assert_eq!(refused(&rules("service = ['sudo'] -> deny"), &root), Vec::<&str>::new());
    let gids = None;
    let unknown = GuardedHost { actor: Some(GuardedPerson { gids, ..person("anna", &[], true) }), ..host() };
    assert_eq!(refused(&rules("group = ['guests'] -> deny"), &unknown), ["L1"]);
}

#[test]
fn harmless_policies_pass() {
    let host = GuardedHost { emergency: breakglass(Some(person("breakglass", &[5], true)), false), ..host() };
    for short in [
        "user = ['x'] -> deny",
        "group = ['guests'] -> deny",
        "service = ['su', 'su-l'] -> deny",
        "service = ['sshd']; from = ['192.0.2.0/24'] -> deny",
        "service = ['sshd']; user = ['root'] -> deny",
        "service = ['sshd']; hours = ['mon-sat 00:00-24:00'] -> deny",
        "service = ['sshd']; since = '2026-11-30' -> deny",
        "service = ['sshd']; until = '2026-11-28' -> deny",
        "service = ['sshd']; from = ['198.51.100.0/24'] -> code | service = ['sshd'] -> deny",
        "group = ['wheel'] -> two-codes | service = ['sshd'] -> deny",
        "key = true -> code | service = ['sshd'] -> deny",
        "service = ['sudo'] -> two-codes",
        "service = ['sudo']; tty = ['pts/*'] -> code | service = ['sudo'] -> deny",
        "user = ['svc-*']; key = true; from = ['10.0.0.0/8'] -> skip | user = ['svc-*'] -> deny",
        "-> code; first_login = 'deny'",
        "-> two-codes; fresh = true; recovery = false",
        "user = ['breakglass']; from = ['local']; tty = ['tty*'] -> skip | user = ['breakglass'] -> deny",
        "service = ['sshd']; group = ['staff'] -> code | service = ['sshd'] -> deny",
        "by = ['deploy'] -> deny",
        "tty = ['ttyS0'] -> deny",
    ] {
        assert_eq!(refused(&rules(short), &host), Vec::<&str>::new(), "{short}");
    }
}

#[test]
fn without_rules_only_those_are_missed_who_got_in_before() {
    let anna = || GuardedHost { actor: Some(person("anna", &[], false)), ..host() };
    let no_breakglass = GuardedHost { emergency: breakglass(None, false), ..anna() };
    assert_eq!(found("[policy]\nemergency = ['breakglass']", &no_breakglass), [], "nothing was applied");
    let skipped = "[[rule]]\nname = 'a'\nuser = ['anna']\nthen = 'skip'\n";
    let enrols = "[defaults]\nfirst_login = 'enroll'\n[enroll]\nservices = ['sshd', 'sudo']\n";
    for (before, after, expected) in [
        (skipped, "", &[("L1", true)][..]),
        (skipped, "[verify]\nwindow_back = 2\n", &[("L1", true)]),
        (enrols, "[defaults]\nfirst_login = 'deny'\n", &[("L1", true)]),
        (enrols, "[defaults]\nfirst_login = 'enroll'\n[enroll]\nservices = ['login']\n", &[("L1", true)]),
        (enrols, enrols, &[]),
        ("", "[verify]\nwindow_back = 2\n", &[]),
        ("[defaults]\nfirst_login = 'deny'\n", "", &[]),
    ] {
        let mut found = found_after(Some(before), after, &anna());
        found.dedup();
        assert_eq!(found, expected, "{before} -> {after}");
    }
}

#[test]
fn an_admin_without_a_device_gets_in_only_at_services_that_let_them_enrol_or_ask_for_no_code() {
    let text = |more: &str| format!("{more}\n[[rule]]\nname = 'a'\nuser = ['robot']\nthen = 'skip'\n");
    let enrols = text("[defaults]\nfirst_login = 'enroll'\n[enroll]\nservices = ['sshd']");
    let tokens = text("[defaults]\nfirst_login = 'token'");
    let anna = || person("anna", &[0], false);
    let locked = |token| GuardedPerson { is_locked: true, token, ..anna() };
    for (text, admin, services, gets_in) in [
        (text(""), person("anna", &[0], true), &["sshd", "sudo"][..], true),
        (text(""), anna(), &["sshd"], false),
        (
            text(""),
            GuardedPerson { is_locked: true, ..person("robot", &[0], false) },
            &["sshd", "sudo"],
            true,
        ),
        (enrols.clone(), anna(), &["sshd"], true),
        (enrols.clone(), anna(), &["sshd", "sudo"], false),
        (enrols, locked(false), &["sshd"], false),
        (tokens.clone(), anna(), &["sshd"], false),
        (tokens, locked(true), &["sshd"], true),
    ] {
        let source = SourceFile { path: "x".into(), bytes: text.clone().into() };
        let config = compile(&[source], &Groups).unwrap().config;
        let services: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
        let found = gets_in_at_all(&config, &host(), &admin, &services, NOW).unwrap();
        assert_eq!(found, gets_in, "{admin:?} at {services:?}: {text}");
    }
}
