//! `qrtotp config list` and `show`: what was applied, and when.

use super::words::{demanded, then, time};
use super::{Stored, stored, user_name};
use crate::applied::AppliedFile;
use crate::error::{Exit, Failure};
use qrtotp_frontend::{Table, local};
use qrtotp_policy::{Applied, Condition, Damaged, settings};
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    let Some(stored) = stored(path)? else {
        writeln!(out, "nothing was applied yet; `qrtotp config apply` applies {}", path.display())?;
        return Ok(Exit::Done);
    };
    let place = AppliedFile::locked(path)?;
    let mut table = Table::new(["POLICY", "APPLIED", "BY", "RULES", "STATE"]);
    for number in place.earlier().into_iter().filter(|number| *number != stored.newest.generation) {
        let unread = |why| [number.to_string(), String::new(), String::new(), String::new(), why];
        let row = match place.earlier_bytes(number).map(|bytes| Applied::newest(&bytes)) {
            Ok(Ok(earlier)) => cells(&earlier, state(&earlier, &stored)),
            Ok(Err(_)) => unread("damaged".into()),
            Err(failure) => unread(failure.to_string()),
        };
        table.row(&mut out, row)?;
    }
    table.row(&mut out, cells(&stored.newest, state(&stored.newest, &stored)))?;
    table.end(&mut out)?;
    Ok(Exit::Done)
}

pub fn show(path: &Path, number: Option<u64>) -> Result<Exit, Failure> {
    let stored = stored(path)?.ok_or_else(|| Failure::Refused("nothing was applied yet".into()))?;
    let bytes = match number {
        Some(number) if number != stored.newest.generation => {
            AppliedFile::locked(path)?.earlier_bytes(number)?
        }
        None if stored.in_force.generation != stored.newest.generation => stored.newest.previous.clone(),
        _ => stored.bytes.clone(),
    };
    let damaged =
        |Damaged| Failure::Error("it is damaged; `qrtotp config list` shows those that can be used".into());
    let applied = Applied::newest(&bytes).map_err(damaged)?;
    let mut out = std::io::stdout().lock();
    let Applied { generation, applied_at, by, .. } = &applied;
    let state = state(&applied, &stored);
    let state = if state.is_empty() { state } else { format!("; {state}") };
    writeln!(out, "policy {generation}, applied {} by {}{state}", time(*applied_at), user_name(*by))?;
    for (key, value) in settings(&bytes).map_err(damaged)? {
        writeln!(out, "{key} = {value}")?;
    }
    for rule in applied.config.rules.rules().map_err(damaged)? {
        writeln!(out, "\nrule {}", rule.name)?;
        for condition in Condition::ALL {
            let offset = applied.config.rules.offset(applied.applied_at).map_err(damaged)?;
            let demanded = demanded(&rule.conditions, condition, offset);
            if !demanded.is_empty() {
                writeln!(out, "  {:<8} {demanded}", condition.as_str())?;
            }
        }
        writeln!(out, "  {:<8} {}", "then", then(&rule))?;
    }
    Ok(Exit::Done)
}

fn state(applied: &Applied, stored: &Stored) -> String {
    match applied.confirm_by {
        _ if applied.generation != stored.in_force.generation && applied.confirm_by != 0 => {
            "was not confirmed".into()
        }
        _ if applied.generation != stored.in_force.generation => String::new(),
        0 => "in force".into(),
        until => format!("in force; awaits `qrtotp config confirm` until {}", time(until)),
    }
}

fn cells(applied: &Applied, state: String) -> [String; 5] {
    let rules = applied.config.rules.rules().map_or(0, |rules| rules.len());
    let Applied { generation, applied_at, by, .. } = applied;
    [generation.to_string(), local(*applied_at), user_name(*by), rules.to_string(), state]
}
