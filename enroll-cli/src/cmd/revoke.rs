//! `qrtotp revoke` for many accounts. A failure does not stop the others, and a second run continues where
//! the first one ended.

use super::bulk::{AccountResult, BulkCounts, BulkReport, Changed, Target, Targets, Which, confirm, is_over};
use super::config::count;
use crate::cli::Bulk;
use crate::context::{Context, syslog};
use crate::error::{Exit, Failure};
use qrtotp_flow::{AdminError, Selection};
use qrtotp_store::AccountStore;
use std::fs::File;
use std::io::{self, Write};

pub fn run(context: &Context, bulk: &Bulk) -> Result<Exit, Failure> {
    let store = context.store()?;
    let targets = Targets::find(context, &*store, bulk, true)?;
    let mut report = BulkReport::new("revoke", bulk)?;
    if is_over(bulk, &targets, "revoke", &mut report)? {
        return Ok(BulkCounts::default().exit(&targets));
    }
    let then = "logins of these accounts are denied until they enrol again";
    confirm(bulk.confirm, &*store, &targets, "revoke", then)?;
    let outcome = report.change((context, "bulk_revoked", bulk), &targets.all, |target| {
        revoke(context, &*store, target).map(|_| Revoked)
    });
    let text = format!("Revoked the devices of {}.\n", count(outcome.done as usize, "account"));
    report.end(&outcome, !targets.unread, &text)?;
    Ok(outcome.exit(&targets))
}

struct Revoked;

impl Changed for Revoked {
    fn put(&self, target: &Target, out: &mut File) -> io::Result<()> {
        writeln!(out, "{} {} revoked", target.column(), target.what())
    }

    fn view<'a>(&'a self, target: &'a Target) -> AccountResult<'a> {
        AccountResult::of(target)
    }

    fn not_shown(&self, target: &Target, error: &io::Error) -> String {
        format!("{} revoked, but that was not shown: {error}", target.what())
    }
}

/// Revokes what is meant of an account; returns how many devices.
pub fn revoke(context: &Context, store: &dyn AccountStore, target: &Target) -> Result<usize, AdminError> {
    let mut log = syslog();
    let mut ctx = context.flow(store, target.name.as_str(), &mut log);
    let mut one = |which| qrtotp_flow::revoke(&mut ctx, &target.name, which).map(|gone| gone.len());
    match &target.which {
        Which::Devices { all: true, .. } => one(Selection::All),
        Which::Token => qrtotp_flow::revoke_token(&mut ctx, &target.name).map(|_| 0),
        Which::Devices { ids, .. } => ids.iter().try_fold(0, |gone, id| Ok(gone + one(Selection::One(*id))?)),
    }
}
