//! `qrtotp status`: what is enrolled, for people and as JSON.

use crate::cli::Status;
use crate::context::{Context, record_name};
use crate::error::{Exit, Failure, store_step};
use qrtotp_core::account::Name;
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{Directory, HostDirectory};
use qrtotp_core::store::{Account, FileStore, Store};
use qrtotp_face::StatusView;
use serde::Serialize;
use std::io::Write;

pub fn run(context: &Context, args: Status) -> Result<Exit, Failure> {
    let store = context.store()?;
    match args.user {
        Some(typed) => one(context, &store, &typed, args.json),
        None => all(context, &store, args.json),
    }
}

fn one(context: &Context, store: &FileStore, typed: &str, json: bool) -> Result<Exit, Failure> {
    let name = record_name(typed, store)?;
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

/// Every account as it is read, so that one that is damaged hides no other.
fn all(context: &Context, store: &FileStore, json: bool) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    let mut list = JsonList::new(json);
    let now = SystemClock.now();
    let exit = each_account(store, |name, account| {
        let view = StatusView::new(name, Some(account), &context.config, now);
        if json { list.item(&mut out, &view) } else { view.write_line(&mut out) }
    })?;
    list.end(&mut out)?;
    Ok(exit)
}

/// Gives every account that can be read to `f`, by name; tells of the others on standard error.
pub fn each_account(
    store: &FileStore,
    mut f: impl FnMut(&Name, &Account) -> std::io::Result<()>,
) -> Result<Exit, Failure> {
    let mut names: Vec<Name> = store.names()?.collect();
    names.sort();
    let mut exit = Exit::Done;
    for name in names {
        match store.load(&name) {
            Ok(Some(account)) => f(&name, &account)?,
            Ok(None) => {} // gone since its name was read
            Err(error) => {
                exit = Exit::Error;
                let step = store_step(&error);
                let step = if step.is_empty() { String::new() } else { format!("; {step}") };
                let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {error}{step}");
            }
        }
    }
    Ok(exit)
}

/// A JSON array that is written item by item.
pub struct JsonList {
    on: bool,
    opened: bool,
}

impl JsonList {
    pub fn new(on: bool) -> Self {
        Self { on, opened: false }
    }

    pub fn item(&mut self, out: &mut impl Write, item: &impl Serialize) -> std::io::Result<()> {
        out.write_all(if self.opened { b",\n" } else { b"[\n" })?;
        serde_json::to_writer(out, item)?;
        self.opened = true;
        Ok(())
    }

    pub fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.on, self.opened) {
            (false, _) => Ok(()),
            (true, true) => writeln!(out, "\n]"),
            (true, false) => writeln!(out, "[]"),
        }
    }
}
