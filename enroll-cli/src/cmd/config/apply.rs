//! `qrtotp config apply`, `confirm` and `rollback`: what changes the applied configuration.

use super::objections::{all_objections, refuses};
use super::share::share;
use super::words::time;
use super::{check, diff, test};
use crate::applied::{AppliedFile, compiled};
use crate::cli::{Apply, Rollback};
use crate::cmd::audit::checkpoint;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Applied, Compiled};
use qrtotp_values::UnixTime;
use std::io::Write;
use std::path::Path;

/// The shortest and the longest time for a confirmation, in seconds.
const CONFIRM: std::ops::RangeInclusive<i64> = 60..=86_400;
/// Time zones are known for two years: what is older than this, in seconds, counts as changed.
const OLD: i64 = 365 * 86_400;

pub fn apply(path: &Path, args: &Apply) -> Result<Exit, Failure> {
    let confirm = args.confirm.map(|duration| duration.as_seconds());
    if confirm.is_some_and(|seconds| !CONFIRM.contains(&seconds)) {
        return Err(Failure::Error("--confirm takes 1m to 24h; give another time".into()));
    }
    check_reason(args.force.as_deref())?;
    let (place, compiled) = (AppliedFile::locked(path)?, compiled(path)?);
    let bytes = place.current()?.unwrap_or_default();
    let before = Applied::newest(&bytes).ok();
    let now = SystemClock.now();
    let mut out = std::io::stdout().lock();
    if let Some(before) =
        before.as_ref().filter(|before| args.if_changed && !is_changed(&compiled, before, now))
    {
        let awaited =
            if before.confirm_by == 0 { "" } else { "; `qrtotp config confirm` keeps it, else it ends" };
        writeln!(out, "policy {} is applied already; nothing changed{awaited}", before.generation)?;
        share(path, &place, &mut out)?;
        return Ok(Exit::Done);
    }
    check::warnings(&compiled, &mut out)?;
    if !test::write(&compiled, &mut out)? {
        return Err(Failure::Refused("not applied: correct the rules, or the tests that fail".into()));
    }
    let text = "not applied: correct what is marked as danger; --force REASON applies it all the same, and logs the reason";
    let forced = guarded(path, &compiled, args.force.as_deref(), text, &mut out)?;
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
    share(path, &place, &mut out)?;
    drop(place);
    if let Err(error) = checkpoint(path) {
        writeln!(
            std::io::stderr(),
            "qrtotp: it is applied, but there is no checkpoint of the audit log: {error}"
        )?;
    }
    Ok(Exit::Done)
}

/// Makes a checkpoint of the audit log, if there is a store: the policy's line then leaves the host together
/// with the ends of all chains.
fn checkpoint(path: &Path) -> Result<(), Failure> {
    let context = Context::load(path)?;
    if context.store_if_made()?.is_some() {
        checkpoint::make(&context, checkpoint::Accepts::NothingMissing)?;
    }
    Ok(())
}

fn check_reason(force: Option<&str>) -> Result<(), Failure> {
    if force.is_some_and(|reason| reason.trim().is_empty()) {
        return Err(Failure::Error("--force needs a reason, which goes into the system log".into()));
    }
    Ok(())
}

/// Writes the guard's objections. Returns the reason for which they are overruled; empty: they need none.
///
/// # Errors
/// They are refusals, with the text `refusal`, and nothing overrules them.
fn guarded<'f>(
    path: &Path,
    compiled: &Compiled,
    force: Option<&'f str>,
    refusal: &str,
    out: &mut impl Write,
) -> Result<&'f str, Failure> {
    let objections = all_objections(path, compiled)?;
    for finding in &objections {
        writeln!(out, "{finding}")?;
    }
    if !objections.iter().any(refuses) {
        return Ok("");
    }
    force.ok_or_else(|| Failure::Refused(refusal.into()))
}

/// Whether applying would make a difference to what `before` is.
fn is_changed(compiled: &Compiled, before: &Applied, now: UnixTime) -> bool {
    // A group's number may have changed while the files did not.
    before.digest != compiled.digest
        || before.config.rules.rules().ok().as_ref() != Some(&compiled.rules)
        || now - before.applied_at > OLD
}

pub fn confirm(path: &Path) -> Result<Exit, Failure> {
    let place = AppliedFile::locked(path)?;
    let Some(generation) = place.confirm()? else {
        let text =
            "no applied configuration awaits confirmation; `qrtotp config list` shows which one is in force";
        return Err(Failure::Refused(text.into()));
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "policy {generation} is confirmed")?;
    share(path, &place, &mut out)?;
    Ok(Exit::Done)
}

pub fn rollback(path: &Path, args: &Rollback) -> Result<Exit, Failure> {
    check_reason(args.force.as_deref())?;
    let place = AppliedFile::locked(path)?;
    let newest = place.current()?.and_then(|bytes| Applied::newest(&bytes).ok());
    let newest_number =
        newest.as_ref().filter(|newest| newest.confirm_by == 0).map(|newest| newest.generation);
    let bytes = match (args.number, newest) {
        (Some(number), _) => place.earlier_bytes(number)?,
        // Those between were never confirmed.
        (None, Some(newest)) if newest.confirm_by != 0 => newest.previous,
        (None, newest) => {
            let below = newest.map_or(u64::MAX, |newest| newest.generation);
            let Some(number) = place.before(below) else {
                return Err(Failure::Refused(
                    "no earlier applied configuration is kept; there is nothing to go back to".into(),
                ));
            };
            place.earlier_bytes(number)?
        }
    };
    let damaged =
        |_| Failure::Refused("it is damaged; `qrtotp config list` shows those that can be used".into());
    let again = Applied::newest(&bytes).map_err(damaged)?.generation;
    let compiled = Compiled::from_applied(&bytes).map_err(damaged)?;
    let mut out = std::io::stdout().lock();
    let text = format!(
        "nothing was changed: policy {again} would lock out today; give another number, correct what is marked as danger, or \
         --force REASON goes back all the same, and logs the reason"
    );
    let forced = guarded(path, &compiled, args.force.as_deref(), &text, &mut out)?;
    let generation = place.apply_again(&bytes, forced)?;
    writeln!(out, "logins go by policy {again} again, as policy {generation}")?;
    if let Some(newest) = args.number.is_none().then_some(newest_number).flatten() {
        writeln!(
            out,
            "`qrtotp config rollback` would now go back to policy {newest}; for an older one, give its number"
        )?;
    }
    writeln!(out, "{} is as it was: correct it before the next `qrtotp config apply`", path.display())?;
    share(path, &place, &mut out)?;
    Ok(Exit::Done)
}
