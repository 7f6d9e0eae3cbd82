//! `qrtotp config list`: what was applied, and when.

use super::words::{count, time};
use super::{Stored, stored, user_name};
use crate::applied::Place;
use crate::error::{Exit, Failure};
use qrtotp_core::policy::Applied;
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    let Some(stored) = stored(path)? else {
        writeln!(out, "nothing was applied yet; `qrtotp config apply` applies {}", path.display())?;
        return Ok(Exit::Done);
    };
    let place = Place::locked(path)?;
    for number in place.earlier().into_iter().filter(|number| *number != stored.newest.generation) {
        match place.earlier_bytes(number).map(|bytes| Applied::newest(&bytes)) {
            Ok(Ok(earlier)) => writeln!(out, "{}", line(&earlier, &state(&earlier, &stored)))?,
            Ok(Err(_)) => writeln!(out, "{number:>5}  damaged")?,
            Err(failure) => writeln!(out, "{number:>5}  {failure}")?,
        }
    }
    writeln!(out, "{}", line(&stored.newest, &state(&stored.newest, &stored)))?;
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

fn line(applied: &Applied, state: &str) -> String {
    let rules = applied.config.rules.rules().map_or(0, |rules| rules.len());
    let Applied { generation, applied_at, by, .. } = applied;
    let line = format!(
        "{generation:>5}  {}  by {:<16} {:>9}  {state}",
        time(*applied_at),
        user_name(*by),
        count(rules, "rule")
    );
    line.trim_end().to_owned()
}
