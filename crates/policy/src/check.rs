//! Valid settings that an admin should think about twice.

use super::{Config, Require};
use qrtotp_values::ConfigDuration;
use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It weakens protection severely.
    Danger,
    /// It weakens it, or will annoy users.
    Warning,
}

/// One thing to think about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The key in question.
    pub key: &'static str,
    /// The effect of its value, and what to do.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Danger => "danger",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}: {}", self.key, self.reason)
    }
}

/// Every setting in `config` that an admin should reconsider.
#[must_use]
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |severity, key, reason: String| found.push(Finding { severity, key, reason });
    if config.defaults.require == Require::Nothing {
        add(Severity::Danger, "defaults.require", "\"nothing\" lets every account in without a code".into());
    }
    let steps = config.verify.window().steps();
    if steps > 3 {
        let reason =
            format!("{steps} steps are accepted at once; 2 are enough for phones with a right clock");
        add(Severity::Warning, "verify", reason);
    }
    if config.verify.window_ahead > 1 {
        let reason =
            "codes of the future are accepted; one read over a shoulder stays good for longer".into();
        add(Severity::Warning, "verify.window_ahead", reason);
    }
    if config.throttle.free_failures > 10 {
        add(Severity::Warning, "throttle.free_failures", "more than 10 guesses at full speed".into());
    }
    if config.enroll.token_lifetime > ConfigDuration::seconds(7 * 86_400) {
        add(Severity::Warning, "enroll.token_lifetime", "an enrolment token lives longer than a week".into());
    }
    if config.enroll.key_is_enough {
        let reason = "anyone who has, or can add, an ssh key for an account can enrol its first device; see docs/THREATS.md, \
                      and `qrtotp token issue --keys-now` for the safe way";
        add(Severity::Warning, "enroll.key_is_enough", reason.into());
    }
    // Neither may contain ':'.
    let names = [
        ("issuer", config.issuer.as_deref().unwrap_or_default()),
        ("enroll.account_label", &config.enroll.account_label),
    ];
    for (key, name) in names {
        if let Some(odd) = name.chars().find(|c| "?&#%+".contains(*c)) {
            let reason = format!(
                "some apps (2FAS) decode a key URI before they read it, and take '{odd}' for the end of a name; leave it out"
            );
            add(Severity::Warning, key, reason);
        }
    }
    if config.state_dir.0.starts_with("/tmp") || config.state_dir.0.starts_with("/run") {
        add(Severity::Danger, "state_dir", "is emptied at every boot, which denies every login".into());
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    #[test]
    fn the_default_configuration_has_no_findings() {
        assert_eq!(findings(&Config::default()), []);
    }

    #[test]
    fn every_bound_is_named_once_it_is_passed_and_not_before() {
        type Setting = fn(&mut Config, u8);
        let bounds: [(&str, u8, Setting); 4] = [
            ("verify", 3, |config, steps| config.verify.window_back = steps - 1),
            ("verify.window_ahead", 1, |config, steps| {
                config.verify.window_back = 0;
                config.verify.window_ahead = steps;
            }),
            ("throttle.free_failures", 10, |config, failures| {
                config.throttle.free_failures = failures.into();
            }),
            ("enroll.token_lifetime", 7, |config, days| {
                config.enroll.token_lifetime = ConfigDuration::seconds(u32::from(days) * 86_400);
            }),
        ];
        for (key, bound, set) in bounds {
            for (value, named) in [(bound, false), (bound + 1, true), (bound + 2, true)] {
                let mut config = Config::default();
                set(&mut config, value);
                let found = findings(&config);
                let warned = found.iter().any(|one| (one.key, one.severity) == (key, Severity::Warning));
                assert_eq!(warned, named, "{key} {value}: {found:?}");
            }
        }
    }

    #[test]
    fn what_takes_the_protection_away_is_a_danger() {
        for (text, key) in [
            ("[defaults]\nrequire = 'nothing'", "defaults.require"),
            ("state_dir = '/tmp/qrtotp'", "state_dir"),
            ("state_dir = '/run/qrtotp'", "state_dir"),
        ] {
            let found = findings(&Config::parse(Path::new("qrtotp.toml"), text.as_bytes()).unwrap());
            assert_eq!((found.len(), found[0].severity, found[0].key), (1, Severity::Danger, key), "{text}");
        }
    }

    #[test]
    fn a_name_that_apps_misread_is_a_warning() {
        for (issuer, warned) in [
            ("Who?", true),
            ("A & B", true),
            ("C#", true),
            ("100% Us", true),
            ("Us+", true),
            ("Us, Inc. (EU)", false),
        ] {
            let found = findings(&Config { issuer: Some(issuer.into()), ..Config::default() });
            assert_eq!(
                found.iter().any(|one| (one.key, one.severity) == ("issuer", Severity::Warning)),
                warned,
                "{issuer}"
            );
            let mut config = Config::default();
            config.enroll.account_label = format!("{{user}} {issuer}").into();
            let found = findings(&config);
            assert_eq!(found.iter().any(|one| one.key == "enroll.account_label"), warned, "{issuer}");
        }
    }

    #[test]
    fn a_key_that_is_enough_by_itself_is_a_warning() {
        let text = b"[enroll]\nkey_is_enough = true";
        let found = findings(&Config::parse(Path::new("qrtotp.toml"), text).unwrap());
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
        assert!(found[0].reason.contains("can add, an ssh key"), "{}", found[0]);
    }

    #[test]
    fn a_finding_is_shown_with_its_weight_and_its_key() {
        for (severity, shown) in
            [(Severity::Danger, "danger: verify: why"), (Severity::Warning, "warning: verify: why")]
        {
            assert_eq!(Finding { severity, key: "verify", reason: "why".into() }.to_string(), shown);
        }
    }
}
