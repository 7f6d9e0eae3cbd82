//! `qrtotp device`, and `qrtotp revoke`: also for names that the host no longer knows.

use super::config;
use super::list::each_account;
use crate::cli::{Device, Rename, Revoke};
use crate::context::{Context, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::input;
use crate::language::catalogue;
use qrtotp_account::{CredentialId, EnrolmentStatus, Label, Name};
use qrtotp_flow::{Directory, HostDirectory, Selection};
use qrtotp_frontend::DeviceList;
use qrtotp_store::AccountStore;
use std::io::{IsTerminal, Write};

pub fn run(context: &Context, what: Device) -> Result<Exit, Failure> {
    match what {
        Device::List { user, json } => list(context, user, json),
        Device::Rename(args) => rename(context, args),
        Device::Revoke(args) => revoke(context, args),
    }
}

fn list(context: &Context, user: Option<String>, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let mut devices = DeviceList::default();
    let exit = match user {
        None => each_account(&*store, |name, account| {
            devices.add(name, account);
            Ok(())
        })?,
        Some(typed) => {
            let name = context.record_name(&typed, &*store)?;
            if let Some(account) = store.load(&name)? {
                devices.add(&name, &account);
            }
            Exit::Done
        }
    };
    devices.write(&mut std::io::stdout().lock(), json, catalogue())?;
    Ok(exit)
}

fn rename(context: &Context, args: Rename) -> Result<Exit, Failure> {
    let typed = named_or_self(args.user, "device rename")?;
    let store = context.store()?;
    let name = context.record_name(&typed, &*store)?;
    let id = args.credential.map_or_else(|| only(&*store, &name), Ok)?;
    let label = Label::new(&args.label);
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    qrtotp_flow::rename_device(ctx, &name, id, &label)
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(std::io::stdout(), "{id} of {name} is called \"{}\" now.", label.as_str())?;
    Ok(Exit::Done)
}

fn revoke(context: &Context, args: Revoke) -> Result<Exit, Failure> {
    let typed = named_or_self(args.user, "revoke")?;
    let store = context.store()?;
    let name = context.record_name(&typed, &*store)?;
    let which = match (args.credential, args.all) {
        (Some(id), _) => Selection::One(id),
        (None, true) => Selection::All,
        (None, false) => Selection::One(only(&*store, &name)?),
    };
    if !args.yes && std::io::stdin().is_terminal() && is_last(&*store, &name, which)? {
        ask(&*store, &name)?;
    }
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    let gone =
        qrtotp_flow::revoke(ctx, &name, which).map_err(|error| Failure::admin(&error, name.as_str()))?;
    let mut out = std::io::stdout().lock();
    for (id, _) in &gone {
        writeln!(out, "Revoked {id} of {name}.")?;
    }
    if store.load(&name)?.is_some_and(|account| account.record.enrolment_status() == EnrolmentStatus::Revoked)
    {
        let until = match HostDirectory.find(name.as_str()) {
            Ok(None) => String::new(), // nobody of this name can log in, nor enrol
            _ => format!(": logins are denied until `qrtotp enroll {name}`"),
        };
        writeln!(out, "{name} has no device left{until}.")?;
    }
    Ok(Exit::Done)
}

/// Whether no device is left then.
fn is_last(store: &dyn AccountStore, name: &Name, which: Selection) -> Result<bool, Failure> {
    let apps = store.load(name)?.map_or_else(Vec::new, |account| account.record.credentials);
    let goes = |id: CredentialId| match which {
        Selection::All => true,
        Selection::One(gone) => id == gone,
    };
    Ok(!apps.is_empty() && apps.iter().all(|app| goes(app.id)))
}

/// # Errors
/// The answer is no.
fn ask(store: &dyn AccountStore, name: &Name) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    if config::no_admin_is_left(store, |admin| admin == name.as_str()) {
        writeln!(out, "{name} is the only account with a device that can become root.")?;
    }
    write!(out, "{name} has no device left then, and every login is denied. Revoke? [y/N] ")?;
    out.flush()?;
    let answer = input::line(std::io::stdin()).unwrap_or_default();
    match answer.as_slice() {
        b"y" | b"Y" | b"yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was changed; answer y, or add --yes".into())),
    }
}

/// The one that is meant where none was named.
fn only(store: &dyn AccountStore, name: &Name) -> Result<CredentialId, Failure> {
    qrtotp_flow::only_device(store, name, None).map_err(|error| Failure::admin(&error, name.as_str()))
}
