//! `qrtotp revoke` for many accounts. A failure does not stop the others, and a second run continues where
//! the first one ended.

use super::bulk::{Outcome, Target, Targets, Which, confirm, is_over};
use crate::cli::Bulk;
use crate::context::{Context, subject, syslog};
use crate::error::{Exit, Failure};
use qrtotp_audit::{Event, Kind};
use qrtotp_flow::{AdminError, Selection};
use qrtotp_store::FileStore;
use std::io::Write;

pub fn run(context: &Context, bulk: &Bulk) -> Result<Exit, Failure> {
    let store = context.store()?;
    let targets = Targets::find(context, &store, bulk, true)?;
    let mut outcome = Outcome::default();
    if is_over(bulk, &targets, "revoke")? {
        return Ok(outcome.exit(&targets));
    }
    confirm(bulk.confirm, &targets, "revoke", "their logins are denied until they enrol again")?;
    let mut out = std::io::stdout();
    for target in &targets.all {
        match revoke(context, &store, target) {
            Ok(_) => {
                outcome.done += 1;
                let what = target.what();
                if let Err(error) = writeln!(out, "{:<20} {what} revoked", target.name.as_str()) {
                    outcome.fail(&target.name, &format!("{what} revoked, but that was not shown: {error}"));
                }
            }
            Err(error) => outcome.fail(&target.name, &error),
        }
    }
    let subject = subject("");
    let event = Event::new(Kind::BulkRevoked, &subject).count(outcome.done);
    context.host_chain().log(&event, &outcome.detail(bulk));
    writeln!(out, "Revoked devices of {} accounts.", outcome.done)?;
    Ok(outcome.exit(&targets))
}

fn revoke(context: &Context, store: &FileStore, target: &Target) -> Result<usize, AdminError> {
    let mut log = syslog();
    let mut ctx = context.flow(store, target.name.as_str(), &mut log);
    let mut one = |which| qrtotp_flow::revoke(&mut ctx, &target.name, which).map(|gone| gone.len());
    match &target.which {
        Which::Devices { all: true, .. } => one(Selection::All),
        Which::Token => qrtotp_flow::revoke_token(&mut ctx, &target.name).map(|_| 0),
        Which::Devices { ids, .. } => ids.iter().try_fold(0, |gone, id| Ok(gone + one(Selection::One(*id))?)),
    }
}
