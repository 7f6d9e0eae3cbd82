//! Objections to applying a configuration.

use super::guard;
use super::host::{Accounts, asks};
use crate::cmd::doctor::{Files, Sshd};
use crate::context::Context;
use crate::error::Failure;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Broker, Compiled, Damaged, Finding, Outcome, Rule, Severity, applied_path};
use std::ffi::CString;
use std::path::Path;

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
    found.extend(codes_without_password(&compiled.config.broker, &files));
    Ok(found)
}

/// Rules that demand two codes at services whose one field has no room for them.
fn one_field(rules: &[Rule], files: &Files) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.outcome == Outcome::TwoCodes) {
        for service in &rule.conditions.service {
            let arguments = files.asks(service).map_or_else(Vec::new, |line| line.arguments);
            let one_field =
                |argument: &CString| [c"forward_pass", c"use_first_pass"].contains(&argument.as_c_str());
            if let Some(argument) = arguments.iter().find(|argument| one_field(argument)) {
                let reason = format!(
                    "rule {}: {service} has `{}` in its PAM file and no room for two codes, so it would deny",
                    rule.name,
                    argument.to_string_lossy()
                );
                found.push(Finding { severity: Severity::Danger, key: "pam", reason });
            }
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
