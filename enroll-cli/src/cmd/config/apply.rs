//! `qrtotp config apply`, `confirm` and `rollback`: what changes the applied configuration.

use super::host::{Accounts, asks};
use super::words::time;
use super::{check, diff, guard, sshd, test};
use crate::applied::{AppliedFile, compiled};
use crate::cli::Apply;
use crate::cmd::doctor::Files;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Applied, Broker, Compiled, Damaged, Finding, Outcome, Rule, Severity};
use qrtotp_values::UnixTime;
use std::ffi::CString;
use std::io::Write;
use std::path::Path;

/// The shortest and the longest time for a confirmation, in seconds.
const CONFIRM: std::ops::RangeInclusive<i64> = 60..=86_400;
/// Time zones are known for two years: what is older than this, in seconds, counts as changed.
const OLD: i64 = 365 * 86_400;

pub fn apply(path: &Path, args: &Apply) -> Result<Exit, Failure> {
    let confirm = args.confirm.map(|span| span.as_seconds());
    if confirm.is_some_and(|seconds| !CONFIRM.contains(&seconds)) {
        return Err(Failure::Error("--confirm takes 1m to 24h; give another time".into()));
    }
    if args.force.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        return Err(Failure::Error("--force needs a reason, which goes into the system log".into()));
    }
    let (place, compiled) = (AppliedFile::locked(path)?, compiled(path)?);
    let bytes = place.current()?.unwrap_or_default();
    let before = Applied::newest(&bytes).ok();
    let now = SystemClock.now();
    let mut out = std::io::stdout().lock();
    if let Some(before) =
        before.as_ref().filter(|before| args.if_changed && !is_changed(&compiled, before, now))
    {
        writeln!(out, "policy {} is applied already; nothing changed", before.generation)?;
        return Ok(Exit::Done);
    }
    check::warnings(&compiled, &mut out)?;
    if !test::write(&compiled, &mut out)? {
        return Err(Failure::Refused("not applied: correct the rules, or the tests that fail".into()));
    }
    let objections = objections(path, &compiled)?;
    for finding in &objections {
        writeln!(out, "{finding}")?;
    }
    let refused = objections.iter().any(|finding| finding.severity == Severity::Danger);
    let forced = args.force.as_deref().filter(|_| refused).unwrap_or_default();
    if refused && forced.is_empty() {
        let text = "not applied: correct what is marked as danger; --force REASON applies it all the same, and logs the reason";
        return Err(Failure::Refused(text.into()));
    }
    let generation = place.apply(&compiled, confirm, forced)?;
    let before = before.as_ref().map(|before| (before, bytes.as_slice()));
    diff::write(path, before, &compiled, &mut out)?;
    writeln!(out, "applied as policy {generation}")?;
    if let Some(seconds) = confirm {
        writeln!(
            out,
            "Confirm it until {}, or logins go by the policy before it again. First log in anew in another window, then run: qrtotp \
             config confirm",
            time(now + seconds)
        )?;
    }
    Ok(Exit::Done)
}

/// What the guard says against applying: of severity danger where it refuses.
pub fn objections(path: &Path, compiled: &Compiled) -> Result<Vec<Finding>, Failure> {
    let store = check::context(path, compiled).store().ok();
    let (now, files) = (SystemClock.now(), Files::read());
    let (accounts, asks) = (Accounts { store: store.as_ref(), now }, asks(&files));
    let host = accounts.host(&compiled.emergency, &asks);
    let found = guard::findings(compiled, &host, accounts.admins(), now);
    let mut found = found.map_err(|Damaged| Failure::Error("the rules can't be decided by".into()))?;
    found.extend(sshd::finding(compiled, &files));
    found.extend(sshd::unverified_keys(&compiled.rules));
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

/// Listed services that have a code checked before any password: there anyone can use up an account's guesses. No other module of such
/// a stack can check the password of another account, because the service does not run as root.
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

/// Whether applying would make a difference to what `before` is.
fn is_changed(compiled: &Compiled, before: &Applied, now: UnixTime) -> bool {
    // A group's number may have changed while the files did not.
    before.digest != compiled.digest
        || before.config.rules.rules().ok().as_ref() != Some(&compiled.rules)
        || now - before.applied_at > OLD
}

pub fn confirm(path: &Path) -> Result<Exit, Failure> {
    let Some(generation) = AppliedFile::locked(path)?.confirm()? else {
        let text =
            "no applied configuration awaits confirmation; `qrtotp config list` shows which one is in force";
        return Err(Failure::Refused(text.into()));
    };
    writeln!(std::io::stdout(), "policy {generation} is confirmed")?;
    Ok(Exit::Done)
}

pub fn rollback(path: &Path, number: Option<u64>) -> Result<Exit, Failure> {
    let place = AppliedFile::locked(path)?;
    let newest = place.current()?.and_then(|bytes| Applied::newest(&bytes).ok());
    let earlier = place.earlier();
    let bytes = match (number, newest) {
        (Some(number), _) => place.earlier_bytes(number)?,
        // Those between were never confirmed.
        (None, Some(newest)) if newest.confirm_by != 0 => newest.previous,
        (None, newest) => {
            let below = newest.map_or(u64::MAX, |newest| newest.generation);
            let Some(number) = earlier.into_iter().rev().find(|number| *number < below) else {
                return Err(Failure::Refused(
                    "no earlier applied configuration is kept; there is nothing to go back to".into(),
                ));
            };
            place.earlier_bytes(number)?
        }
    };
    let again = Applied::newest(&bytes).map(|earlier| earlier.generation).unwrap_or_default();
    let generation = place.apply_again(&bytes)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "logins go by policy {again} again, as policy {generation}")?;
    writeln!(out, "{} is as it was: correct it before the next `qrtotp config apply`", path.display())?;
    Ok(Exit::Done)
}
