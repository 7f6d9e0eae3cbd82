//! Configurations that are compiled, applied and read again.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::rules::NoNames;
use std::path::Path;

fn compiled(text: &str) -> Compiled {
    compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &NoNames).unwrap()
}

const TEXT: &str = "issuer = 'Us'\n[broker.services]\npostgres = ['postgresql']\n[verify]\nwindow_back = 2\n[enroll]\nservices = ['sshd', 'su']\n\
    [[rule]]\nname = 'a'\nuser = ['x*']\nthen = 'deny'\nmessage = 'no'";

#[test]
fn an_applied_configuration_is_what_was_compiled() {
    let compiled = compiled(TEXT);
    let file = compiled.encode(Stamp { generation: 7, applied_at: 100, by: 1000, confirm: None });
    let applied = Applied::in_force(&file, 50).unwrap();
    assert_eq!((applied.generation, applied.applied_at, applied.by), (7, 100, 1000));
    assert_eq!(applied.digest, compiled.digest);
    assert_eq!(applied.config.rules.rules().unwrap(), compiled.rules);
    let rules = applied.config.rules.clone();
    assert_eq!(Config { rules, ..compiled.config.clone() }, applied.config);
}

#[test]
fn settings_are_told_as_they_are_written() {
    let compiled = compiled(TEXT);
    let expected = [
        ("issuer", "\"Us\""),
        ("broker.services.postgres", "[\"postgresql\"]"),
        ("verify.window_back", "2"),
        ("enroll.services", "[\"sshd\", \"su\"]"),
    ];
    let settings = compiled.settings();
    let mut listed: Vec<(&str, &str)> =
        settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    listed.sort_by_key(|(key, _)| expected.iter().position(|(known, _)| known == key));
    assert_eq!(listed, expected);
    assert_eq!(super::settings(&compiled.encode(Stamp::default())).unwrap(), settings);
}

#[test]
fn the_tests_of_one_file_can_be_had_without_the_others() {
    let test = "[[test]]\nservice = 'sshd'\nexpect = 'deny by x'";
    let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
    let files = [file("t.toml", test), file("qrtotp.toml", test)];
    let mut compiled = compile(&files, &NoNames).unwrap();
    assert_eq!(compiled.failed_tests(0).0, 2);
    compiled.keep_tests_of(Path::new("t.toml"));
    assert_eq!(compiled.failed_tests(0).1[0].place, "t.toml:1");
    assert_eq!(compiled.failed_tests(0).0, 1);
}

#[test]
fn a_verifier_refuses_enrolment_at_a_login_by_file_and_line_and_other_hosts_do_not() {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
    let rule = |name: &str, first: &str| {
        format!("[[rule]]\nname = '{name}'\nuser = ['{name}']\nthen = 'code'\nfirst_login = '{first}'\n")
    };
    let (token, enroll) = (rule("a", "token"), rule("b", "enroll"));
    let verifier = "[fleet]\nverifier = 'v1'\n";
    for (part, main, place) in [
        ("", format!("{verifier}[defaults]\nfirst_login = 'enroll'\n"), "qrtotp.toml, line 4:"),
        ("", format!("{verifier}{token}{enroll}"), "qrtotp.toml, line 12:"),
        (&format!("{token}{enroll}"), verifier.to_owned(), "10.toml, line 10:"),
    ] {
        let error = compile(&[file("10.toml", part), file("qrtotp.toml", &main)], &NoNames);
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(place) && error.ends_with("`qrtotp token issue`"), "{error}");
        let other = main.replace("verifier", "name");
        compile(&[file("10.toml", part), file("qrtotp.toml", &other)], &NoNames).unwrap();
    }
    let tokens = format!("{verifier}[defaults]\nfirst_login = 'token'\n{token}");
    compile(&[file("qrtotp.toml", &tokens)], &NoNames).unwrap();
}

#[test]
fn settings_in_nested_tables_read_back() {
    let text = "[broker.services]\npostgres = ['postgresql', 'x']\nwww-data = ['nginx']\n[defaults]\n\
        first_login = 'allow'\nallow_until = '2027-01-31'\n[brand]\ncontact = 'x'";
    let compiled = compiled(text);
    let applied = Applied::newest(&compiled.encode(Stamp::default())).unwrap();
    assert_eq!(applied.config.broker, compiled.config.broker);
    assert_eq!(applied.config.broker.services.len(), 2);
}

#[test]
fn any_changed_or_missing_byte_is_noticed() {
    let file = compiled(TEXT).encode(Stamp::default());
    for place in 0..file.len() {
        assert!(Applied::newest(&file[..place]).is_err(), "{place}");
        let mut changed = file.clone();
        changed[place] ^= 1;
        assert!(Applied::newest(&changed).is_err(), "{place}");
    }
    assert!(Applied::newest(&[&file[..], &[0]].concat()).is_err());
}

#[test]
fn an_applied_configuration_can_be_checked_as_it_was_when_it_was_applied() {
    let compiled = compiled(&format!("{TEXT}\n[policy]\nemergency = ['breakglass', 'ops']"));
    let file = compiled.encode(Stamp { generation: 7, ..Stamp::default() });
    let again = Compiled::from_applied(&file).unwrap();
    assert_eq!(again.emergency, ["breakglass", "ops"]);
    assert_eq!((&again.rules, again.digest), (&compiled.rules, compiled.digest));
    assert_eq!(again.settings(), compiled.settings());
    assert_eq!(again.encode(Stamp { generation: 7, ..Stamp::default() }), file);
    assert!(Compiled::from_applied(&file[1..]).is_err());
}

#[test]
fn what_is_not_confirmed_in_its_time_gives_way_to_what_was_before() {
    let old = compiled("issuer = 'Old'").encode(Stamp { generation: 1, ..Stamp::default() });
    let stamp = Stamp { generation: 2, applied_at: 100, by: 0, confirm: Some((160, old)) };
    let file = compiled("issuer = 'New'").encode(stamp);
    let issuer = |file: &[u8], now| Applied::in_force(file, now).unwrap().config.issuer.unwrap();
    for (now, expected) in [(99, "Old"), (100, "New"), (160, "New"), (161, "Old")] {
        assert_eq!(issuer(&file, now), expected, "{now}");
    }
    let file = restamped(&file, Stamp { generation: 2, applied_at: 100, ..Stamp::default() }).unwrap();
    assert_eq!((issuer(&file, 99), issuer(&file, 1000)), ("New".to_owned(), "New".to_owned()));
    assert!(restamped(&file[1..], Stamp::default()).is_err());
}

#[test]
fn a_file_beside_the_main_one_has_rules_tests_and_networks_only() {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
    let main = file("qrtotp.toml", "[[rule]]\nname = 'b'\nuser = ['bob']\nthen = 'code'");
    let extra = "[networks]\nx = ['192.0.2.0/24']\n[[rule]]\nname = 'a'\nfrom = ['x']\nthen = 'deny'";
    let compiled = compile(&[file("10.toml", extra), main.clone()], &NoNames).unwrap();
    let names: Vec<&str> = compiled.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "the main file's rules come last");
    for (text, key) in [("\nissuer = 'x'", "issuer"), ("\n[policy]\nemergency = ['x']", "policy")] {
        let error = compile(&[file("10.toml", text), main.clone()], &NoNames).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("10.toml, line 2: `{key}` stands in the main file only")),
            "{error}"
        );
    }
}
