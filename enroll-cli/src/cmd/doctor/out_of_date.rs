//! Parts of an applied configuration that have become outdated: groups, the time zone, a grace period.

use super::report::Finding;
use crate::host_names::zone_end;
use qrtotp_policy::{Config, FirstLogin, Group, Names};
use qrtotp_values::{Date, UnixTime};

/// How long before its end an applied time zone is reported: 60 days.
const ZONE_NOTICE: i64 = 60 * 86_400;

/// Names that the rules resolved when they were applied, and that mean something else now: moved groups, and
/// a time zone whose offsets end.
pub fn out_of_date(config: &Config, names: &dyn Names, now: UnixTime) -> Vec<Finding> {
    const AGAIN: &str = "qrtotp config apply";
    let mut found = Vec::new();
    let rules = config.rules.rules().unwrap_or_default();
    for rule in &rules {
        let subject = format!("rule {}", rule.name);
        for Group { name, gid } in &rule.conditions.group {
            let what = match names.gid(name) {
                Ok(Some(today)) if today != *gid && *gid == u32::MAX => {
                    format!(
                        "the group {name} was made after the configuration was applied, and has no members here"
                    )
                }
                Ok(Some(today)) if today != *gid => {
                    format!(
                        "the group {name} has the gid {today}, and had {gid} when the configuration was applied"
                    )
                }
                Ok(None) if *gid != u32::MAX => {
                    format!("the group {name} is gone; the rule still holds for its gid {gid}")
                }
                Ok(_) | Err(_) => continue,
            };
            let why = "logins compare gids, so the rule holds for others than it names";
            found.push(Finding::fail("group-moved", &subject, &what).why(why).fix(AGAIN));
        }
    }
    let zone = config.rules.zone().unwrap_or_default();
    let with_hours = rules.iter().find(|rule| !rule.conditions.hours.is_empty());
    let of_watch = || (!config.watch.hours.is_empty()).then(|| "watch.hours".to_owned());
    let of_hours = with_hours.map(|rule| format!("rule {}", rule.name)).or_else(of_watch);
    if let Some(end) = zone_end(&zone).filter(|end| now + ZONE_NOTICE >= *end)
        && let Some(subject) = of_hours
    {
        let (ends, finding): (_, fn(_, &str, &str) -> Finding) =
            if now < end { ("end", Finding::warn) } else { ("ended", Finding::fail) };
        let what = format!("the applied offsets of the time zone {ends} on {}", Date::of(end));
        let why = "then summer and winter time change no more, and `hours` are off by the difference";
        found.push(finding("time-zone-ends", &subject, &what).why(why).fix(AGAIN));
    }
    found
}

/// Dates until which accounts without a device get in, that are over.
pub fn grace_period(config: &Config, now: UnixTime) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut over = |subject: &str, until: Option<Date>| {
        let Some(until) = until.filter(|until| until.days_left(now) == 0) else { return };
        let what = format!("first_login = \"allow\" ended on {until}: accounts without a device are denied");
        found.push(
            Finding::fail("grace-period-over", subject, &what)
                .why("accounts that did not enrol by then can no longer do so, not even at a login")
                .fix("set a later allow_until, or first_login = \"enroll\"; then qrtotp config apply"),
        );
    };
    if config.defaults.first_login == FirstLogin::Allow {
        over("defaults.allow_until", config.defaults.allow_until);
    }
    for rule in config.rules.rules().unwrap_or_default() {
        over(&format!("rule {}", rule.name), rule.effects.allow_until);
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::report::Severity::{Fail as FAIL, Warn as WARN};
    use super::*;
    use qrtotp_policy::{SourceFile, compile};
    use std::path::Path;

    #[test]
    fn a_grace_period_that_is_over_is_a_failure_and_one_that_runs_is_none() {
        let text = b"[defaults]\nfirst_login = \"allow\"\nallow_until = \"2026-11-28\"\n";
        let config = Config::parse(Path::new("x"), text).unwrap();
        let (before, after) = (1_795_824_000, 1_795_910_400); // 2026-11-28 and 2026-11-29, 00:00 UTC
        assert_eq!(grace_period(&config, before), []);
        let found = grace_period(&config, after);
        assert_eq!((found[0].id, found[0].subject.as_str()), ("grace-period-over", "defaults.allow_until"));
        assert!(found[0].severity == FAIL && found[0].what.contains("2026-11-28"), "{found:?}");
    }

    /// A host where wheel has this gid.
    struct Wheel(Option<u32>);

    impl Names for Wheel {
        fn gid(&self, group: &str) -> Result<Option<u32>, String> {
            Ok(self.0.filter(|_| group == "wheel"))
        }

        fn zone(&self, _: &str) -> Result<Vec<(i64, i32)>, String> {
            Ok(vec![(1_795_824_000, 3600), (1_806_195_600, 7200)]) // from 2026-11-28 on
        }
    }

    fn applied(rule: &str, host: &Wheel) -> Config {
        let text =
            format!("[policy]\nzone = 'Europe/Amsterdam'\n[[rule]]\nname = 'a'\nthen = 'code'\n{rule}");
        compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], host).unwrap().config
    }

    #[test]
    fn a_group_that_moved_since_the_configuration_was_applied_is_a_failure() {
        let found = |then, now| {
            let config = applied("group = ['wheel']\ngroup_optional = true", &Wheel(then));
            let found = out_of_date(&config, &Wheel(now), 1_795_824_000);
            let line = |found: &Finding| (found.severity, found.id, found.subject.clone(), found.fix.clone());
            (found.iter().map(line).collect::<Vec<_>>(), found.first().map(|found| found.what.clone()))
        };
        for (then, now, what) in [
            (Some(27), Some(28), "has the gid 28, and had 27"),
            (Some(27), None, "is gone; the rule still holds for its gid 27"),
            (None, Some(28), "was made after the configuration was applied"),
        ] {
            let (found, text) = found(then, now);
            assert_eq!(found, [(FAIL, "group-moved", "rule a".into(), "qrtotp config apply".into())]);
            assert!(text.unwrap().contains(what), "{what}");
        }
        assert!(found(Some(27), Some(27)).0.is_empty() && found(None, None).0.is_empty());
    }

    #[test]
    fn a_time_zone_that_ends_is_reported_for_sixty_days_and_is_a_failure_from_its_end_on() {
        let end = 1_795_824_000 + 732 * 86_400;
        let found = |rule, now| {
            let found = out_of_date(&applied(rule, &Wheel(None)), &Wheel(None), now);
            found.iter().map(|found| (found.severity, found.id, found.what.clone())).collect::<Vec<_>>()
        };
        let hours = "hours = ['mon-fri 08:00-18:00']";
        let expected = |severity, ends| {
            vec![(
                severity,
                "time-zone-ends",
                format!("the applied offsets of the time zone {ends} on 2028-11-29"),
            )]
        };
        assert_eq!(found(hours, end - 60 * 86_400 - 1), []);
        assert_eq!(found(hours, end - 60 * 86_400), expected(WARN, "end"));
        assert_eq!(found(hours, end), expected(FAIL, "ended"));
        assert_eq!(found("user = ['x']", end), [], "no rule has hours");
    }
}
