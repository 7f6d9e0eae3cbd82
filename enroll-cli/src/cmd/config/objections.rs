//! Objections to applying a configuration.

use super::guard;
use super::host::{Accounts, asks};
use super::surroundings::{disk, settings, store};
use crate::cmd::doctor::{Files, Sshd};
use crate::context::Context;
use crate::error::Failure;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Broker, Compiled, Damaged, Finding, FirstLogin, Outcome, Rule, Severity, applied_path};
use qrtotp_values::{Date, UnixTime};
use std::ffi::CString;
use std::iter::once;
use std::path::Path;

/// All objections: those to the settings and the store, and the guard's.
pub fn all_objections(path: &Path, compiled: &Compiled) -> Result<Vec<Finding>, Failure> {
    let context = Context::before_applying(path, compiled);
    let mut found = settings(&context);
    found.extend(store(&context));
    found.extend(disk(&context.config.state_dir.0));
    found.extend(passed_dates(compiled, SystemClock.now()));
    found.extend(objections(path, compiled)?);
    Ok(found)
}

/// Whether `apply` refuses because of it. The look of a QR code is no matter of logins, and no rule mends a
/// store that can't be opened.
pub fn refuses(finding: &Finding) -> bool {
    finding.severity == Severity::Danger && !finding.key.starts_with("brand") && finding.key != "state_dir"
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
    all.filter_map(finding).collect()
}

/// The guard's objections to applying, with severity danger if it refuses.
pub fn objections(path: &Path, compiled: &Compiled) -> Result<Vec<Finding>, Failure> {
    let store = Context::before_applying(path, compiled).store().ok();
    let (now, files) = (SystemClock.now(), Files::read());
    let (accounts, asks) = (Accounts { store: store.as_deref(), now }, asks(&files));
    let sshd = Sshd::ask();
    let host = accounts.host(&compiled.emergency, &asks, sshd.ways(&files));
    let before = std::fs::read(applied_path(path)).ok();
    let before = before.and_then(|bytes| Compiled::from_applied(&bytes).ok());
    let found = guard::findings(compiled, before.as_ref(), &host, || accounts.admins(), now);
    let mut found = found.map_err(|Damaged| Failure::Error("the rules can't be decided by".into()))?;
    found.extend(super::sshd::finding(compiled, &files));
    found.extend(super::sshd::unverified_keys(&compiled.rules, &sshd));
    found.extend(one_field(&compiled.rules, &files));
    found.extend(no_such_service(&compiled.rules, &files));
    found.extend(codes_without_password(&compiled.config.broker, &files));
    Ok(found)
}

/// Rules that demand two codes at services whose one field has no room for them.
fn one_field(rules: &[Rule], files: &Files) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.outcome == Outcome::TwoCodes) {
        let named = &rule.conditions.service;
        // sshd alone says anything of keys; it is tried as if it were named.
        let may_match = |service: &&String| match named.is_empty() {
            true => rule.conditions.key.is_none() || service.as_str() == "sshd",
            false => named.contains(service),
        };
        for service in files.services.keys().filter(may_match) {
            let arguments = files.asks(service).map_or_else(Vec::new, |line| line.arguments);
            let one_field =
                |argument: &CString| [c"forward_pass", c"use_first_pass"].contains(&argument.as_c_str());
            if let Some(argument) = arguments.iter().find(|argument| one_field(argument)) {
                let reason = format!(
                    "rule {}: {service} has `{}` in its PAM file and no room for two codes, so it would deny",
                    rule.name,
                    argument.to_string_lossy()
                );
                // An earlier rule or another condition may keep it from a service that it does not name.
                let severity = if named.is_empty() { Severity::Warning } else { Severity::Danger };
                found.push(Finding { severity, key: "pam", reason });
            }
        }
    }
    found
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
        for (text, fields, services) in [
            ("then = 'two-codes'", 1, 0),
            ("service = ['xrdp-sesman']\nthen = 'two-codes'", 1, 0),
            ("service = ['sshd']\nthen = 'two-codes'", 0, 0),
            ("key = true\nthen = 'two-codes'", 0, 0),
            ("then = 'code'", 0, 0),
            ("service = ['ssh', 'sshd']\nthen = 'code'", 0, 1),
        ] {
            let rules = rule(text);
            assert_eq!(one_field(&rules, &files).len(), fields, "{text}");
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
