#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use qrtotp_account::ThrottleRules;
use qrtotp_otp::Window;
use qrtotp_values::ConfigDuration;
use std::path::Path;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/qrtotp/qrtotp.toml"), text.as_bytes())
}

#[test]
fn an_empty_file_is_the_default_configuration() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::default().verify.window(), Window { back: 1, ahead: 0 });
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let message = parse("state_dir = \"/x\"\n\n[verify]\nwindow = 3\n").unwrap_err().to_string();
    assert!(message.contains("line 4") && message.contains("window"), "{message}");
}

#[test]
fn a_mistake_is_named_with_its_line() {
    for (text, line, words) in [
        ("window = 3", 1, "`window`, expected one of `state_dir`, `issuer`, `verify`"),
        ("\n[b]\n[a]", 2, "`b`"),
        ("verify = 3", 1, "expected a table"),
        ("\n[[verify]]\nwindow_back = 1", 2, "expected a table"),
        ("[verify]\nwindow_back = \"x\"", 2, "expected an integer"),
        ("[verify]\nwindow_back = 256", 2, "`256`, expected 0 to 255"),
        ("[verify]\nwindow_back = -1", 2, "`-1`, expected 0 to 255"),
        ("[verify]\nwindow_back = 1.0", 2, "expected an integer"),
        ("[throttle]\nfree_failures = 99999999999999999999", 2, "expected 0 to"),
        ("[throttle]\nmax_wait = 5", 2, "expected a string"),
        ("[throttle]\nmax_wait = \"5\"", 2, "write a number and a unit"),
        ("[enroll]\nservices = \"su\"", 2, "expected an array"),
        ("[enroll]\nservices = [\n\"su\",\n1]", 4, "expected a string"),
        ("[broker]\nservices = [\"postgres\"]", 2, "expected a table"),
        ("[broker.services]\npostgres = \"postgresql\"", 2, "expected an array"),
        ("[broker]\n\nservice = 1", 3, "`service`, expected one of `services`"),
        ("[audit]\ndebug = 1", 2, "expected a boolean"),
        ("[defaults]\nrequire = \"none\"", 2, "`none`, expected one of `code`, `nothing`"),
        ("[defaults]\nallow_until = 2027-01-31", 2, "expected a string"),
        ("[defaults]\nallow_until = \"2027-13-31\"", 2, "not a date"),
        ("state_dir = 1", 1, "expected a string"),
        ("issuer = [\"a\"]", 1, "expected a string"),
        ("issuer = \"a\"\nissuer = \"a\"", 2, "duplicate key"),
        ("[brand]\n[audit]\n[brand]", 3, "duplicate key"),
        ("\n[verify", 2, "unclosed table"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(&format!("line {line}:")) && message.contains(words), "{text}: {message}");
    }
}

#[test]
fn every_key_and_every_form_of_toml_is_understood() {
    let config = parse(
        "state_dir = '/x'\nissuer = \"\"\"Us\"\"\"\nbrand.contact = 'desk' # a remark\n\
         verify = { window_back = 0x0, window_ahead = +2, resync = true }\n\
         [throttle]\nfree_failures = 2_0\nmax_wait = '7s'\ndisable_after = 0b1010\nfamiliar = '7d'\n\
         [enroll]\ntime_limit = '1m'\ntoken_lifetime = '2d'\nmax_shows = 4\nmax_devices = 2\n\
         account_label = '{user} on {host}'\ncode_lifetime = '3m'\nservices = [\n'su', # one\n]\n\
         key_is_enough = true\nkey_services = ['sshd-2']\n\
         [broker.services]\npostgres = ['postgresql', 'psql']\n[audit]\ndebug = true\n[defaults]\nrequire = 'nothing'\nfirst_login = 'allow'\n\
         allow_until = '2027-01-31'\nunasked = 'deny'\n[fleet]\nname = 'corp'\nlocal = ['root']\ngroups.web = ['alice']\n\
         verifier = 'v1'\netcd = '127.0.0.1:2379'\nself_service = ['web']\nremember = true\n\
         [watch]\nspray_accounts = 4\nenrollments = 20\nenrollments_by_admin = 2\nhours = ['mon-fri 08:00-18:00']",
    )
    .unwrap();
    let expected = Config {
        state_dir: config::StateDir("/x".into()),
        issuer: Some("Us".into()),
        verify: Verify { window_back: 0, window_ahead: 2, resync: true },
        throttle: config::Throttle {
            free_failures: 20,
            max_wait: ConfigDuration::seconds(7),
            disable_after: 10,
            familiar: ConfigDuration::seconds(7 * 86_400),
        },
        enroll: Enroll {
            time_limit: ConfigDuration::seconds(60),
            token_lifetime: ConfigDuration::seconds(172_800),
            max_shows: 4,
            max_devices: 2,
            account_label: "{user} on {host}".into(),
            code_lifetime: ConfigDuration::seconds(180),
            services: vec!["su".into()],
            key_is_enough: true,
            key_services: vec!["sshd-2".into()],
        },
        audit: Audit { debug: true },
        broker: Broker { services: vec![("postgres".into(), vec!["postgresql".into(), "psql".into()])] },
        brand: Brand { contact: Some("desk".into()), ..Brand::default() },
        defaults: Defaults {
            require: Require::Nothing,
            first_login: FirstLogin::Allow,
            allow_until: Some("2027-01-31".parse().unwrap()),
            unasked: config::Unasked::Deny,
        },
        fleet: config::Fleet {
            name: Some("corp".into()),
            local: vec!["root".into()],
            verifier: Some("v1".into()),
            etcd: Some("127.0.0.1:2379".into()),
            groups: vec![("web".into(), vec!["alice".into()])],
            self_service: vec!["web".into()],
            remember: true,
        },
        watch: config::Watch {
            spray_accounts: 4,
            enrollments: 20,
            enrollments_by_admin: 2,
            hours: vec!["mon-fri 08:00-18:00".parse().unwrap()],
        },
        rules: RuleSet::default(),
    };
    assert_eq!(config, expected);
    let rules = ThrottleRules { free_failures: 20, max_wait: 7, disable_after: 10, familiar: 7 * 86_400 };
    assert_eq!(config.throttle.rules(), rules, "and what is written there is what guesses meet");
}

#[test]
fn values_out_of_bounds_are_refused_by_key() {
    for (text, key) in [
        ("state_dir = \"relative\"", "state_dir"),
        ("issuer = \"a:b\"", "issuer"),
        ("issuer = \"\"", "issuer"),
        ("[verify]\nwindow_back = 11", "verify.window_back"),
        ("[throttle]\ndisable_after = 101", "throttle.disable_after"),
        ("[throttle]\nmax_wait = \"1h\"", "throttle.max_wait"),
        ("[throttle]\nfamiliar = \"23h\"", "throttle.familiar"),
        ("[throttle]\nfamiliar = \"91d\"", "throttle.familiar"),
        ("[enroll]\nmax_shows = 0", "enroll.max_shows"),
        ("[watch]\nspray_accounts = 1", "watch.spray_accounts"),
        ("[watch]\nspray_accounts = 33", "watch.spray_accounts"),
        ("[watch]\nenrollments = 1", "watch.enrollments"),
        ("[watch]\nenrollments_by_admin = 0", "watch.enrollments_by_admin"),
        ("[enroll]\naccount_label = ''", "enroll.account_label"),
        ("[enroll]\naccount_label = '{host}'", "enroll.account_label"),
        ("[enroll]\naccount_label = '{user}:{host}'", "enroll.account_label"),
        ("[enroll]\naccount_label = '{user} {site}'", "enroll.account_label"),
        ("[enroll]\ntime_limit = \"2h\"", "enroll.time_limit"),
        ("[enroll]\ncode_lifetime = \"2h\"", "enroll.code_lifetime"),
        ("[enroll]\nservices = [\"../x\"]", "enroll.services"),
        ("[enroll]\nservices = [\"other\"]", "enroll.services"),
        ("[enroll]\nkey_services = [\"../x\"]", "enroll.key_services"),
        ("[broker.services]\n\"\" = [\"apache\"]", "broker.services"),
        ("[broker.services]\n\"a\\n\" = [\"apache\"]", "broker.services"),
        ("[broker.services]\nwww-data = []", "broker.services"),
        ("[broker.services]\nwww-data = [\"\"]", "broker.services"),
        ("[broker.services]\nwww-data = [\"Apache\"]", "broker.services"),
        ("[fleet]\nname = 'A corp'", "fleet.name"),
        ("[fleet]\nverifier = 'V1'", "fleet.verifier"),
        ("[fleet]\netcd = '127.0.0.1'", "fleet.etcd"),
        ("[fleet]\nlocal = ['']", "fleet.local"),
        ("[fleet]\nself_service = ['the web']", "fleet.self_service"),
        ("[fleet.groups]\nweb = ['']", "fleet.groups"),
        ("[fleet.groups]\n\"the web\" = []", "fleet.groups"),
        ("[brand]\naccent = \"blue\"", "brand.accent"),
        ("[brand]\naccent_text = \"#ffffff\"", "brand.accent_text"),
        ("[brand]\ndark = \"#fff\"", "brand.dark"),
        ("[brand]\nlight = \"ffffff\"", "brand.light"),
        ("[brand]\nlogo = \"logo.png\"", "brand.logo"),
        ("[brand]\nlogo_size = 4", "brand.logo_size"),
        ("[brand]\nlogo_size = 41", "brand.logo_size"),
        ("[brand]\ncorrection = \"h\"", "brand.correction"),
        ("[defaults]\nfirst_login = \"allow\"", "defaults.allow_until"),
        ("[defaults]\nallow_until = \"2027-01-31\"", "defaults.allow_until"),
    ] {
        assert!(parse(text).unwrap_err().to_string().contains(&format!("`{key}`")), "{text}");
    }
}

#[test]
fn a_value_is_taken_up_to_its_bound_and_no_further() {
    for (key, least, most, beside) in [
        ("verify.window_back", 0, 10, "enroll.max_devices = 1"),
        ("verify.window_ahead", 0, 10, "enroll.max_devices = 1"),
        ("throttle.free_failures", 1, 20, ""),
        ("throttle.disable_after", 10, 100, ""),
        ("enroll.max_shows", 1, 10, ""),
        ("enroll.max_devices", 1, 10, "verify.window_back = 0"),
    ] {
        for (value, taken) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            assert_eq!(parse(&format!("{key} = {value}\n{beside}")).is_ok(), taken, "{key} {value}");
        }
    }
    for (key, most) in
        [("throttle.max_wait", 30), ("enroll.time_limit", 3600), ("enroll.code_lifetime", 3600)]
    {
        for (seconds, taken) in [(most, true), (most + 1, false), (2 * most, false)] {
            assert_eq!(parse(&format!("{key} = \"{seconds}s\"")).is_ok(), taken, "{key} {seconds}");
        }
    }
}

#[test]
fn an_issuer_has_at_most_64_characters_that_can_be_seen_and_no_colon() {
    for (issuer, taken) in [
        ("\u{e4}".repeat(64), true),
        ("a".repeat(65), false),
        ("a\u{202e}b".into(), false),
        ("a:b".into(), false),
        ("A b-c, d".into(), true),
    ] {
        assert_eq!(parse(&format!("issuer = \"{issuer}\"")).is_ok(), taken, "{issuer}");
    }
}

#[test]
fn without_an_issuer_the_codes_are_for_the_host() {
    assert_eq!(Config::default().issuer_on("bastion:1\n"), "bastion-1?");
    assert_eq!(parse("issuer = \"Us\"").unwrap().issuer_on("bastion"), "Us");
}

#[test]
fn the_account_in_the_app_is_the_users_name_and_the_hosts_short_one_unless_the_label_says_otherwise() {
    let on = |text: &str, host: &str, user: &str| parse(text).unwrap().account_on(host, user);
    assert_eq!(on("", "web1.example.org", "bob"), "bob@web1");
    assert_eq!(on("", "web1", "bob@example.org"), "bob@example.org@web1");
    assert_eq!(on("", "web:1\n", "bob"), "bob@web-1?");
    assert_eq!(on("enroll.account_label = '{user}'", "web1", "bob"), "bob");
    assert_eq!(on("enroll.account_label = 'EU {host}/{user}'", "web1", "{host}"), "EU web1/{host}");
}

#[test]
fn a_byte_that_is_no_text_is_named_with_its_line() {
    for (bytes, line) in [(b"\xff".as_slice(), 1), (b"issuer = 'a'\n\n#\xff\n", 3)] {
        let message = Config::parse(Path::new("/x"), bytes).unwrap_err().to_string();
        assert_eq!(message, format!("/x, line {line}: not UTF-8"));
    }
}

#[test]
fn services_are_named_as_files_of_pam_are() {
    for (name, taken) in [
        ("sudo-i", true),
        ("my_service.2", true),
        ("", false),
        (".hidden", false),
        ("other", false),
        ("SSHD", false),
        ("a/b", false),
        ("a b", false),
    ] {
        assert_eq!(parse(&format!("[enroll]\nservices = [\"{name}\"]")).is_ok(), taken, "{name}");
    }
}

#[test]
fn steps_times_devices_above_fifteen_is_refused() {
    assert!(parse("[verify]\nwindow_back = 2").is_ok(), "3 steps × 5 devices");
    assert!(parse("[verify]\nwindow_back = 3").is_err(), "4 steps × 5 devices");
    assert!(parse("[verify]\nwindow_back = 10\nwindow_ahead = 4\n[enroll]\nmax_devices = 1").is_ok());
}

/// The keys of a table, as the reader lists them if one is unknown. `header` is empty for the top level.
fn keys_of(header: &str) -> Vec<String> {
    let message = read::read(&document::Table::from_toml(&format!("{header}\nsurprise = 1")).ok().unwrap())
        .err()
        .unwrap()
        .message;
    let (_, keys) = message.split_once("expected one of").unwrap();
    let beside = ["networks", "policy", "rule", "test"]; // not settings: POLICY.md has them
    let keys = keys.split('`').skip(1).step_by(2).filter(|key| !beside.contains(key));
    keys.map(str::to_owned).collect()
}

/// The manual page with its escapes resolved.
fn manual_page() -> String {
    include_str!("../../../docs/qrtotp.toml.5").replace("\\(dq", "\"").replace("\\-", "-")
}

#[test]
fn the_manual_page_has_every_key_with_its_default() {
    let (mut defaults, mut documented, mut known, mut table) = (String::new(), Vec::new(), keys_of(""), "");
    let page = manual_page();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix(".SH \"TABLE [").and_then(|rest| rest.strip_suffix("]\"")) {
            table = name;
            documented.push(table.to_owned());
            let header = format!("[{table}]");
            known.extend(keys_of(&header).iter().map(|key| format!("{table}.{key}")));
            defaults += &format!("{header}\n");
        } else if line == ".TP" {
            let entry = lines.next().unwrap();
            let setting =
                entry.strip_prefix(".B ").and_then(|setting| Some((setting, setting.split_once(" = ")?.0)));
            let unset = entry.strip_prefix(".BR ").and_then(|entry| entry.strip_suffix(" \" (no default)\""));
            let Some(key) = setting.map(|(_, key)| key).or(unset) else { continue };
            documented.push(if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") });
            if let Some((setting, _)) = setting {
                defaults += &format!("{setting}\n");
            }
        }
    }
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
    let read = parse(&defaults).unwrap();
    // The brand remembers whether a default was written out.
    let of_brand = |config: &Config| {
        let Brand { logo, .. } = &config.brand;
        (config.brand.dark(), config.brand.light(), config.brand.logo_size(), logo.clone())
    };
    assert_eq!(of_brand(&read), of_brand(&Config::default()));
    assert_eq!(Config { brand: Brand::default(), ..read }, Config::default());
}

#[test]
fn the_examples_of_the_manual_page_are_valid() {
    let page = manual_page();
    let examples: Vec<_> =
        page.split(".nf\n").skip(1).map(|rest| rest.split(".fi\n").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        assert_ne!(parse(example).unwrap(), Config::default(), "{example}");
    }
}

#[test]
fn the_shipped_file_is_short_has_the_defaults_and_names_the_manual_page() {
    let shipped = include_str!("../../../conf/qrtotp.toml");
    assert!(shipped.lines().count() <= 15, "each login reads it");
    assert!(shipped.contains("man 5 qrtotp.toml"));
    assert_eq!(parse(shipped).unwrap(), Config::default());
    let settings = shipped
        .replace("\n#", "\n")
        .lines()
        .filter(|line| line.contains(" = ") || line.starts_with('['))
        .collect::<Vec<_>>()
        .join("\n");
    let read = parse(&settings).unwrap();
    assert_eq!(Config { issuer: None, ..read }, Config::default(), "{settings}");
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_a_panic(text in "(\\[?[a-z_.]{0,12}\\]? ?=? ?\"?[a-z0-9]{0,6}\"?\n?){0,6}") {
        let _ = parse(&text);
    }
}

#[test]
fn a_service_account_is_listed_by_its_own_name_only() {
    let broker = parse("[broker.services]\npostgres = ['postgresql']").unwrap().broker;
    assert_eq!(broker.services_of("postgres").unwrap(), ["postgresql"]);
    for other in ["postgresql", "Postgres", ""] {
        assert_eq!(broker.services_of(other), None, "{other}");
    }
}

#[test]
fn a_host_of_a_fleet_asks_for_accounts_of_its_groups_and_keeps_its_local_ones() {
    let fleet = parse("[fleet]\nname = 'corp'\nlocal = ['root']").unwrap().fleet;
    assert!(fleet.decides("alice") && !fleet.decides("root"));
    assert!(!parse("[fleet]\nlocal = []").unwrap().fleet.decides("alice"), "no fleet");
    let fleet = parse("[fleet.groups]\nweb = ['alice', 'bob']\nall = ['*']").unwrap().fleet;
    let may = |groups: &[&str], account| {
        fleet.may_ask(&groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>(), account)
    };
    assert!(may(&["web"], "bob") && may(&["db", "web"], "alice") && may(&["all"], "carol"));
    assert!(!may(&["web"], "carol") && !may(&["db"], "alice") && !may(&[], "alice"));
    let serves = |text: &str, group: &str| parse(text).unwrap().fleet.serves_users(&[group.to_owned()]);
    assert!(serves("", "web") && serves("[fleet]\nself_service = ['desk', 'web']", "web"));
    assert!(!serves("[fleet]\nself_service = ['desk']", "web"));
}
