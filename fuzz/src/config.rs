//! The configuration file.

use qrtotp_policy::{Config, ConfigError, FirstLogin};
use std::path::Path;

/// Every key that the manual names.
const KEYS: &[(&str, &[&str])] = &[
    ("verify", &["window_back", "window_ahead", "resync"]),
    ("throttle", &["free_failures", "max_wait", "disable_after", "familiar"]),
    (
        "enroll",
        &[
            "time_limit",
            "token_lifetime",
            "max_shows",
            "max_devices",
            "account_label",
            "code_lifetime",
            "services",
            "key_is_enough",
            "key_services",
        ],
    ),
    ("broker", &["services"]),
    ("audit", &["debug"]),
    ("brand", &["contact", "accent", "accent_text", "dark", "light", "logo", "logo_size", "correction"]),
    ("defaults", &["require", "first_login", "allow_until", "unasked"]),
];

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text) {
        Ok(config) => {
            within_bounds(&config);
            only_known_keys(text);
            assert!(parse(&format!("nonsense = 1\n{text}")).is_err(), "an unknown key is accepted");
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(|c: char| c.is_control() && c != '\n'), "{message:?}");
            if let ConfigError::Syntax { line, .. } = error {
                assert!((1..=text.split('\n').count().max(1)).contains(&line), "line {line}");
            }
        }
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::parse(Path::new("/etc/qrtotp/qrtotp.toml"), text.as_bytes())?;
    if crate::planted() && config.throttle.free_failures > 5 {
        config.throttle.disable_after = 10_000;
    }
    Ok(config)
}

fn within_bounds(config: &Config) {
    let (verify, throttle, enroll) = (&config.verify, config.throttle, &config.enroll);
    let targets = (usize::from(verify.window_back) + 1 + usize::from(verify.window_ahead))
        * usize::from(enroll.max_devices);
    assert!(targets <= 15, "too many codes are right at once");
    assert!((1..=20).contains(&throttle.free_failures) && (10..=100).contains(&throttle.disable_after));
    assert!((1..=30).contains(&throttle.max_wait.as_seconds()));
    assert!((86_400..=90 * 86_400).contains(&throttle.familiar.as_seconds()));
    assert!((1..=3600).contains(&enroll.time_limit.as_seconds()));
    assert!((1..=3600).contains(&enroll.code_lifetime.as_seconds()));
    assert!((1..=10).contains(&enroll.max_shows) && (1..=10).contains(&enroll.max_devices));
    assert!(config.state_dir.0.is_absolute());
    assert_eq!(config.defaults.allow_until.is_some(), config.defaults.first_login == FirstLogin::Allow);
    let plain = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    assert!(config.issuer.as_deref().is_none_or(|text| plain(text) && !text.contains(':')));
    assert!(config.brand.contact.as_deref().is_none_or(plain));
    let listed = &config.broker.services;
    assert!(listed.iter().all(|(account, services)| plain(account) && !services.is_empty()));
    let services = listed.iter().flat_map(|(_, services)| services);
    let mut services = services.chain(&enroll.services).chain(&enroll.key_services);
    assert!(services.all(|name| plain(name) && !name.contains('/')));
}

fn only_known_keys(text: &str) {
    let table: toml::Table = text.parse().expect("a reader of all of TOML refuses it");
    for (key, value) in &table {
        let Some((_, known)) = KEYS.iter().find(|(table, _)| table == key) else {
            assert!(matches!(&**key, "state_dir" | "issuer"), "{key} is accepted");
            continue;
        };
        let table = value.as_table().expect("something else than a table is accepted");
        assert!(table.keys().all(|key| known.contains(&&**key)), "a key in {key} is accepted");
    }
}
