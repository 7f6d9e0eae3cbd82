//! `qrtotp account`: also for names that the host no longer knows.

use crate::cli::Account;
use crate::cmd::audit::records::id_of;
use crate::context::{Context, any_record_name, known_user, syslog};
use crate::error::{Exit, Failure};
use crate::input;
use qrtotp_account::Name;
use qrtotp_flow::{AdminError, Directory, HostDirectory};
use qrtotp_store::StoreError;
use std::io::Write;

pub fn run(context: &Context, what: Account) -> Result<Exit, Failure> {
    match what {
        Account::Add { user } => add(context, &user),
        Account::Rename { old, new } => rename(context, &old, &new),
        Account::AdoptUid { user } => adopt_uid(context, &user),
        Account::Remove { user, yes } => remove(context, &user, yes),
    }
}

fn add(context: &Context, user: &str) -> Result<Exit, Failure> {
    let (store, person) = (context.store()?, known_user(user)?);
    let name = &person.name;
    context.refuse_fleets(name)?;
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    let add = || qrtotp_flow::add_account(ctx, name, person.uid);
    context.host_chain().noting(&*store, name, add).map_err(|error| failed(&error, name))?;
    writeln!(std::io::stdout(), "{name} has a record without devices now.")?;
    Ok(Exit::Done)
}

fn rename(context: &Context, old: &str, new: &str) -> Result<Exit, Failure> {
    let store = context.store()?;
    let old = any_record_name(old, &*store)?;
    let old_user = HostDirectory.find(old.as_str())?;
    let person = known_user(new).map_err(|failure| match failure {
        Failure::Refused(text) => {
            Failure::Refused(format!("{text}; rename the user first, for example: usermod -l {new} {old}"))
        }
        other => other,
    })?;
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, person.name.as_str(), &mut log);
    let to = (&person.name, person.uid);
    let left = qrtotp_flow::rename_account(ctx, &*store, &old, old_user.as_ref(), to)
        .map_err(|error| failed(&error, &old))?;
    warn(left.as_ref(), &old);
    writeln!(std::io::stdout(), "The record of {old} is that of {} (uid {}) now.", person.name, person.uid)?;
    Ok(Exit::Done)
}

fn adopt_uid(context: &Context, user: &str) -> Result<Exit, Failure> {
    let (store, person) = (context.store()?, known_user(user)?);
    let (name, uid) = (&person.name, person.uid);
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    let former = qrtotp_flow::adopt_uid(ctx, &*store, name, uid).map_err(|error| failed(&error, name))?;
    let mut out = std::io::stdout();
    if former == uid {
        writeln!(out, "The record of {name} is bound to uid {uid} already; nothing was changed.")?;
    } else {
        writeln!(out, "The record of {name} was bound to uid {former}, and is bound to uid {uid} now.")?;
    }
    Ok(Exit::Done)
}

fn remove(context: &Context, user: &str, yes: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = any_record_name(user, &*store)?;
    // A damaged record can be removed too.
    if matches!(store.load(&name), Ok(None)) {
        return Err(failed(&AdminError::NoRecord(name.clone()), &name));
    }
    if !yes {
        let mut out = std::io::stdout();
        write!(
            out,
            "Delete the record of {name} for good, with its devices, recovery codes and token?\n\
             The account is then one that was never enrolled. [y/N] "
        )?;
        out.flush()?;
        let answer = input::line(std::io::stdin()).unwrap_or_default();
        if !matches!(answer.as_slice(), b"y" | b"Y" | b"yes") {
            return Err(Failure::Refused("nothing was changed; answer y, or add --yes".into()));
        }
    }
    let record = id_of(context, &*store, &name)?;
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    let remove = || qrtotp_flow::remove_account(ctx, &*store, &name);
    let left = context.host_chain().removing(&record, remove).map_err(|error| failed(&error, &name))?;
    warn(left.as_ref(), &name);
    writeln!(std::io::stdout(), "The record of {name} is deleted.")?;
    Ok(Exit::Done)
}

/// The record is moved or deleted, and something else of it is left.
fn warn(left: Option<&StoreError>, name: &Name) {
    if let Some(error) = left {
        let _ = writeln!(
            std::io::stderr(),
            "qrtotp: warning: the broker's count of wrong passwords of {name} stays: {error}"
        );
    }
}

fn failed(error: &AdminError, name: &Name) -> Failure {
    Failure::admin(error, name.as_str())
}
