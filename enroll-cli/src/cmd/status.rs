//! `qrtotp status`: what one account has enrolled, for people and as JSON.

use super::list;
use crate::cli::{List, Status};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::language::catalogue;
use qrtotp_account::Name;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_frontend::StatusView;
use std::io::Write;

pub fn run(context: &Context, args: Status) -> Result<Exit, Failure> {
    match args.user {
        Some(typed) => one(context, &typed, args.json),
        None => list::run(context, &List { json: args.json, ..List::default() }),
    }
}

fn one(context: &Context, typed: &str, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = context.record_name(typed, &*store)?;
    let account = store.load(&name)?;
    let mut view = StatusView::new(&name, account.as_ref(), &context.config, SystemClock.now());
    let user = HostDirectory.find(name.as_str());
    if let Ok(user) = &user {
        view = view.on_host(user.as_ref());
    }
    let mut out = std::io::stdout().lock();
    if json {
        view.write_json(&mut out)?;
        return Ok(Exit::Done);
    }
    view.write(&mut out, catalogue())?;
    if let Some(account) = account {
        match user {
            Ok(Some(user)) if user.uid != account.record.uid => writeln!(
                out,
                "  Logins are denied: the name belongs to uid {} now.\n  {}",
                user.uid,
                other_uid_advice(&name)
            )?,
            Ok(None) => {
                writeln!(
                    out,
                    "  The host knows no user of this name any more.\n  {}",
                    no_user_advice(&name)
                )?;
            }
            Ok(Some(_)) | Err(_) => {}
        }
    }
    Ok(Exit::Done)
}

/// What to do about a record whose user has another uid.
pub fn other_uid_advice(name: &Name) -> String {
    format!(
        "`qrtotp account adopt-uid {name}` if it is the same person; for anyone else `qrtotp enroll {name}` starts anew"
    )
}

/// What to do about a record without a user.
pub fn no_user_advice(name: &Name) -> String {
    format!(
        "`qrtotp account rename {name} NEW` if the person has a new name; `qrtotp account remove {name}` if they are gone"
    )
}
