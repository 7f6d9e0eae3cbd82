//! Objections to applying a configuration.

use super::guard;
use super::host::{Accounts, asks, once_each};
use super::surroundings::{disk, settings, store};
use crate::cmd::doctor::{Files, Sshd};
use crate::context::Context;
use crate::error::{Failure, store_failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{
    Broker, Compiled, Conditions, ConfigFile, Damaged, Finding, FirstLogin, Outcome, Rule, Severity,
    applied_path, check_proof_service,
};
use qrtotp_values::{Date, UnixTime};
use std::ffi::CString;
use std::iter::once;
use std::path::Path;

/// All objections: those to the settings and the store, and the guard's.
pub fn all_objections(path: &Path, compiled: &Compiled) -> Result<Vec<Finding>, Failure> {
    let context = Context::before_applying(path, compiled);
    let mut found = settings(&context);
    found.extend(lost_store(path, &context).or_else(|| store(&context)));
    found.extend(disk(&context.config.state_dir.0));
    found.extend(passed_dates(compiled, SystemClock.now()));
    found.extend(ConfigFile::not_read(path).iter().map(|path| not_read(path)));
    found.extend(objections(path, compiled)?);
    Ok(found)
}

/// Whether `apply` refuses because of it. The look of a QR code is no matter of logins, and no rule mends a
/// store that can't be opened.
pub fn refuses(finding: &Finding) -> bool {
    finding.severity == Severity::Danger && !finding.key.starts_with("brand") && finding.key != "state_dir"
}

/// A file of conf.d that nobody reads.
fn not_read(path: &Path) -> Finding {
    let reason =
        format!("{} is not read: its name does not end in .toml; rename or remove it", path.display());
    Finding { severity: Severity::Warning, key: "conf.d", reason }
}

/// A store that can't be opened, in place of the present one, which can.
fn lost_store(path: &Path, context: &Context) -> Option<Finding> {
    let error = context.check_store().err()?;
    let present = Context::of(ConfigFile::load(path, SystemClock.now()).ok()?);
    present.check_store().ok()?;
    let reason = format!(
        "every login would be denied: {}; the present store is {}: move it, or correct state_dir",
        store_failure(&error),
        present.config.state_dir.0.display()
    );
    Some(Finding { severity: Severity::Danger, key: "store", reason })
}

/// Dates until which accounts without a device got in.
fn passed_dates(compiled: &Compiled, now: UnixTime) -> Vec<Finding> {
    let of_rules =
        compiled.rules.iter().map(|rule| (format!("rule {}", rule.name), rule.effects.allow_until));
    let defaults = &compiled.config.defaults;
    let by_default = defaults.allow_until.filter(|_| defaults.first_login == FirstLogin::Allow);
    let all = once(("[defaults]".to_owned(), by_default)).chain(of_rules);
    let finding = |(place, until): (String, Option<Date>)| {
        let until = until.filter(|until| until.days_left(now) == 0)?;
        let reason = format!(
            "{place}: {until} has passed, so accounts without a device are denied; set a later day, or another first_login"
        );
        Some(Finding { severity: Severity::Warning, key: "allow_until", reason })
    };
    let mut found: Vec<Finding> = all.filter_map(finding).collect();
    for rule in compiled.rules.iter().filter(|rule| rule.conditions.until.is_some_and(|end| end <= now)) {
        let reason = format!("rule {}: its `until` has passed, so it never holds; remove it", rule.name);
        found.push(Finding { severity: Severity::Warning, key: "until", reason });
    }
    found
}

/// The guard's objections to applying, with severity danger if it refuses.
pub fn objections(path: &Path, compiled: &Compiled) -> Result<Vec<Finding>, Failure> {
    let store = Context::before_applying(path, compiled).store().ok();
    let (now, files) = (SystemClock.now(), Files::read());
    let (accounts, asks) = (Accounts { store: store.as_deref(), now }, asks(&files));
    let sshd = Sshd::ask();
    let one_field_at = once_each(|service| one_field(service, &files).is_some());
    let mut host = accounts.host(&compiled.emergency, &asks, &one_field_at, sshd.ways(&files));
    host.root_at_sshd = sshd.lets_root_in();
    host.proves_passwords = check_proof_service().is_ok();
    let before = std::fs::read(applied_path(path)).ok();
    let before = before.and_then(|bytes| Compiled::from_applied(&bytes).ok());
    let found = guard::findings(compiled, before.as_ref(), &host, || accounts.admins(), now);
    let mut found = found.map_err(|Damaged| Failure::Error("the rules can't be decided by".into()))?;
    found.extend(super::sshd::finding(compiled, &files));
    found.extend(super::sshd::unverified_keys(&compiled.rules, &sshd));
    found.extend(no_room_for_two(&compiled.rules, &files));
    found.extend(no_such_service(&compiled.rules, &files));
    found.extend(codes_without_password(&compiled.config.broker, &files));
    Ok(found)
}

/// The argument by which a service asks for password and code in one field.
fn one_field(service: &str, files: &Files) -> Option<CString> {
    let arguments = files.asks(service)?.arguments;
    arguments.into_iter().find(|argument| [c"forward_pass", c"use_first_pass"].contains(&argument.as_c_str()))
}

/// Rules that demand two codes at services whose one field has no room for them.
fn no_room_for_two(rules: &[Rule], files: &Files) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.outcome == Outcome::TwoCodes) {
        for service in files.services.keys() {
            let Some(argument) =
                one_field(service, files).filter(|_| may_decide(rule, &rules[..at], service))
            else {
                continue;
            };
            let reason = format!(
                "rule {}: {service} has `{}` in its PAM file and no room for two codes, so it would deny; name services without \
                 it in the rule",
                rule.name,
                argument.to_string_lossy()
            );
            found.push(Finding { severity: Severity::Danger, key: "pam", reason });
        }
    }
    found
}

/// Whether a rule can decide at a service, below the rules `above`.
fn may_decide(rule: &Rule, above: &[Rule], service: &String) -> bool {
    let conditions = &rule.conditions;
    let named = conditions.service.is_empty() || conditions.service.contains(service);
    // sshd alone says anything of keys.
    let holds = match service.as_str() {
        "sshd" => conditions.can_hold_at_sshd(),
        _ => conditions.key.is_none() || conditions.service.contains(service),
    };
    let there = Conditions { service: vec![service.clone()], ..conditions.clone() };
    named && holds && !above.iter().any(|earlier| earlier.conditions.include(&there))
}

/// Services of rules that have no PAM file, so the rules never hold there.
fn no_such_service(rules: &[Rule], files: &Files) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules {
        for service in rule.conditions.service.iter().filter(|name| !files.services.contains_key(*name)) {
            let hint = if service == "ssh" { "; sshd's service is `sshd`" } else { "" };
            let reason = format!("rule {}: there is no /etc/pam.d/{service}{hint}", rule.name);
            found.push(Finding { severity: Severity::Warning, key: "service", reason });
        }
    }
    found
}

/// Listed services that have a code checked before any password: there anyone can use up an account's
/// guesses. No other module of such a stack can check the password of another account, because the service
/// does not run as root.
fn codes_without_password(broker: &Broker, files: &Files) -> Vec<Finding> {
    let finding = |account: &String, service: &str| {
        let line = files.asks(service)?;
        if line.arguments.iter().any(|argument| argument.as_c_str() == c"forward_pass") {
            return None;
        }
        let reason = format!(
            "{account}: the line in /etc/pam.d/{service} has no `forward_pass`, so anyone without the password can use up the \
             guesses of an account and close the service to it; add `forward_pass` (docs/SERVICES.md)"
        );
        Some(Finding { severity: Severity::Warning, key: "broker.services", reason })
    };
    let services = &broker.services;
    services
        .iter()
        .flat_map(|(account, names)| names.iter().filter_map(|name| finding(account, name)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cmd::doctor::tests::host;
    use qrtotp_policy::{Names, SourceFile, compile};

    struct Nobody;

    impl Names for Nobody {
        fn gid(&self, _: &str) -> Result<Option<u32>, String> {
            Ok(None)
        }

        fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
            Ok(Vec::new())
        }
    }

    fn compiled(text: &str) -> Compiled {
        compile(&[SourceFile { path: "x".into(), bytes: text.into() }], &Nobody).unwrap()
    }

    #[test]
    fn rules_are_held_against_the_pam_files() {
        let (_dir, files) = host(&[
            ("sshd", "auth required pam_qrtotp.so\n"),
            (
                "xrdp-sesman",
                "auth required pam_qrtotp.so forward_pass\nauth required pam_unix.so use_first_pass\n",
            ),
        ]);
        let rule = |text: &str| compiled(&format!("[[rule]]\nname = 'a'\n{text}\n")).rules;
        let above = "service = ['xrdp-sesman']\nthen = 'code'\n[[rule]]\nname = 'b'\nthen = 'two-codes'";
        for (text, refused, services) in [
            ("then = 'two-codes'", 1, 0),
            ("user = ['x']\nthen = 'two-codes'", 1, 0),
            ("service = ['xrdp-sesman']\nthen = 'two-codes'", 1, 0),
            (above, 0, 0),
            ("service = ['sshd']\nthen = 'two-codes'", 0, 0),
            ("key = true\nthen = 'two-codes'", 0, 0),
            ("then = 'code'", 0, 0),
            ("service = ['ssh', 'sshd']\nthen = 'code'", 0, 1),
        ] {
            let rules = rule(text);
            let found = no_room_for_two(&rules, &files);
            assert_eq!(found.iter().filter(|one| refuses(one)).count(), refused, "{text}");
            assert_eq!(no_such_service(&rules, &files).len(), services, "{text}");
        }
    }

    #[test]
    fn a_day_that_has_passed_is_told() {
        let text = "[defaults]\nfirst_login = 'allow'\nallow_until = '2026-01-01'\n";
        for (now, count) in [(1_700_000_000, 0), (1_800_000_000, 1)] {
            assert_eq!(passed_dates(&compiled(text), now).len(), count);
        }
    }
}
