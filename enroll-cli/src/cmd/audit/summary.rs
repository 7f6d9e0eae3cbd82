//! `qrtotp audit summary`.

use super::sources;
use crate::cli::Sources;
use crate::cmd::list::each_account;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_audit::{Filter, Summary};
use qrtotp_core::account::Standing;
use qrtotp_core::clock::{Clock, SystemClock};
use std::io::Write;

/// An account whose devices were not used for so long is worth a look.
const STALE: i64 = 90 * 86_400;

pub fn run(context: &Context, days: u32, from: &Sources) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let since = (now - i64::from(days) * 86_400).saturating_mul(1_000_000);
    let filter = Filter { since: Some(since), ..Filter::default() };
    let mut summary = Summary::default();
    for entry in sources::open(from, Some(since))?.filter(|entry| filter.wants(entry)) {
        summary.add(&entry);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "The last {days} days\n\n{summary}")?;
    accounts(context, now, &mut out)
}

fn accounts(context: &Context, now: i64, out: &mut impl Write) -> Result<Exit, Failure> {
    let (mut all, mut unenrolled, mut revoked, mut stale, mut few_codes) =
        (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    let (mut tokens, mut disabled) = (0_u64, 0_u64);
    let store = context.store()?;
    let exit = each_account(&store, |_, account| {
        let (record, state) = (&account.record, &account.state);
        all += 1;
        match record.standing() {
            Standing::Unenrolled => unenrolled += 1,
            Standing::Revoked => revoked += 1,
            Standing::Enrolled => {
                let last = record.credentials.iter().filter_map(|device| state.mark(device.id));
                let last = last.map(|mark| mark.last_used).max().unwrap_or(0);
                stale += u64::from(last < now - STALE);
                let left = record.recovery.as_ref().map_or(0, |set| {
                    set.hashes.len().saturating_sub(usize::try_from(state.recovery_used(set.id)).unwrap_or(0))
                });
                few_codes += u64::from(left <= 2);
            }
        }
        tokens += u64::from(record.token.as_ref().is_some_and(|token| token.is_live(now)));
        disabled += u64::from(state.throttle.failures() >= context.config.throttle.rules().disable_after);
        Ok(())
    })?;
    writeln!(out, "Accounts")?;
    for (count, what) in [
        (all, "records"),
        (unenrolled, "without a device"),
        (revoked, "revoked"),
        (stale, "not used for 90 days, or never"),
        (few_codes, "with two recovery codes or fewer"),
        (tokens, "with an open enrolment token"),
        (disabled, "disabled by wrong codes"),
    ] {
        writeln!(out, "{count:>10}  {what}")?;
    }
    Ok(exit)
}
