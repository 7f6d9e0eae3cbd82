//! `qrtotp config check`: what deserves a second thought, in the configuration and around it. Changes
//! nothing.

use super::objections::all_objections;
use super::words::time;
use super::{stored, test, user_name};
use crate::applied::compiled;
use crate::error::{Exit, Failure};
use qrtotp_policy::{Applied, Compiled, Severity};
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path) -> Result<Exit, Failure> {
    let compiled = compiled(path)?;
    let found = all_objections(path, &compiled)?;
    let mut out = std::io::stdout().lock();
    let passed = test::write(&compiled, &mut out)?;
    for finding in &found {
        writeln!(out, "{finding}")?;
    }
    warnings(&compiled, &mut out)?;
    writeln!(out, "{}", activation(path, &compiled)?)?;
    let path = path.display();
    if found.iter().any(|finding| finding.severity == Severity::Danger) {
        writeln!(out, "{path}: change what is marked as danger")?;
        return Ok(Exit::Refused);
    }
    if !passed {
        writeln!(out, "{path}: correct the rules, or the tests that fail")?;
        return Ok(Exit::Refused);
    }
    let warned = !found.is_empty() || !compiled.warnings.is_empty() || !compiled.unknown.is_empty();
    writeln!(out, "{path}: fine{}", if warned { ", but read the warnings" } else { "" })?;
    Ok(Exit::Done)
}

/// Writes the valid but questionable parts of the rules.
pub fn warnings(compiled: &Compiled, out: &mut impl Write) -> std::io::Result<()> {
    compiled.warnings.iter().try_for_each(|(rule, text)| writeln!(out, "warning: rule {rule}: {text}"))?;
    compiled.unknown.iter().try_for_each(|text| writeln!(out, "warning: {text}"))
}

/// Whether logins go by these files.
fn activation(path: &Path, compiled: &Compiled) -> Result<String, Failure> {
    let Some(stored) = stored(path)? else {
        return Ok(
            "not applied: nothing ever was; the next `qrtotp` command of root's that needs it applies it"
                .into(),
        );
    };
    let Applied { generation, applied_at, by, confirm_by, digest, .. } = &stored.newest;
    let (at, by) = (time(*applied_at), user_name(*by));
    Ok(match (digest == &compiled.digest, *confirm_by) {
        (true, 0) => format!("applied: policy {generation}, {at} by {by}"),
        (true, until) => {
            format!(
                "applied: policy {generation}, {at} by {by}; `qrtotp config confirm` keeps it, else it ends at {}",
                time(until)
            )
        }
        (false, _) => format!(
            "not applied: logins go by policy {generation}, {at} by {by}; `qrtotp config diff` shows the change, `qrtotp config \
             apply` applies it"
        ),
    })
}
