//! `qrtotp status`: what one account has enrolled, for people and as JSON.

use super::list;
use crate::cli::Status;
use crate::context::{Context, record_name};
use crate::error::{Exit, Failure};
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{Directory, HostDirectory};
use qrtotp_core::store::Store;
use qrtotp_face::StatusView;
use std::io::Write;

pub fn run(context: &Context, args: Status) -> Result<Exit, Failure> {
    match args.user {
        Some(typed) => one(context, &typed, args.json),
        None => list::run(context, args.json),
    }
}

fn one(context: &Context, typed: &str, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = record_name(typed, &store)?;
    let account = store.load(&name)?;
    let view = StatusView::new(&name, account.as_ref(), &context.config, SystemClock.now());
    let mut out = std::io::stdout().lock();
    if json {
        view.write_json(&mut out)?;
        return Ok(Exit::Done);
    }
    view.write(&mut out)?;
    if let Some(account) = account {
        let uid = HostDirectory.find(name.as_str()).ok().map(|person| person.map(|person| person.uid));
        match uid {
            Some(Some(uid)) if uid != account.record.uid => writeln!(
                out,
                "  Logins are denied: the name belongs to uid {uid} now. `qrtotp enroll {name}` starts anew."
            )?,
            Some(None) => writeln!(out, "  The host knows no user of this name any more.")?,
            Some(Some(_)) | None => {}
        }
    }
    Ok(Exit::Done)
}
