//! What a valid configuration allows that an admin should think about twice.

use super::{Config, Require, Span};
use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It takes protection away.
    Danger,
    /// It weakens it, or will annoy somebody.
    Warning,
}

/// One thing to think about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The key in question.
    pub key: &'static str,
    /// What follows from its value, and what to do.
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

/// Everything in `config` that deserves a second thought.
#[must_use]
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |severity, key, reason: String| found.push(Finding { severity, key, reason });
    if config.defaults.require == Require::Nothing {
        add(Severity::Danger, "defaults.require", "\"nothing\" lets everybody in without a code".into());
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
    if config.enroll.token_lifetime > Span::seconds(7 * 86_400) {
        add(Severity::Warning, "enroll.token_lifetime", "an enrolment token lives longer than a week".into());
    }
    if config.state_dir.0.starts_with("/tmp") || config.state_dir.0.starts_with("/run") {
        add(Severity::Danger, "state_dir", "is emptied at every boot, which denies everybody".into());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_has_no_findings() {
        assert_eq!(findings(&Config::default()), []);
    }

    #[test]
    fn letting_everybody_in_is_a_danger() {
        let mut config = Config::default();
        config.defaults.require = Require::Nothing;
        assert_eq!(findings(&config)[0].severity, Severity::Danger);
    }
}
