//! `qrtotp audit summary`.

use super::sources;
use crate::cli::Sources;
use crate::cmd::census::Census;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_audit_log::{Filter, Summary};
use qrtotp_clock::{Clock, SystemClock};
use std::io::Write;

pub fn run(context: &Context, days: u32, from: &Sources) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let since = (now - i64::from(days) * 86_400).saturating_mul(1_000_000);
    let filter = Filter { since: Some(since), ..Filter::default() };
    let mut summary = Summary::default();
    summary.know_rules(context.config.rules.rules().unwrap_or_default().into_iter().map(|rule| rule.name));
    for entry in sources::read(from, Some(since))?.filter(|entry| filter.wants(entry)) {
        summary.add(&entry);
    }
    let scope = context.log_scope(from);
    let all = if context.is_verifier() { " of the fleet" } else { "" };
    let mut out = std::io::stdout().lock();
    writeln!(out, "The last {days} days{scope}\n\n{summary}\nAccounts{all}")?;
    let census = Census::take(context, now)?;
    for (count, what) in census.rows() {
        writeln!(out, "{count:>10}  {what}")?;
    }
    Ok(census.exit.unwrap_or(Exit::Done))
}
