//! `qrtotp revoke`: also for names that the host no longer knows.

use crate::cli::Revoke;
use crate::context::{Context, named_or_self, record_name, syslog};
use crate::error::{Exit, Failure};
use qrtotp_core::account::{Name, Standing};
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{self, AdminError, Selection};
use qrtotp_core::store::{FileStore, Store};
use std::io::Write;

pub fn run(context: &Context, args: Revoke) -> Result<Exit, Failure> {
    let typed = named_or_self(args.user, "revoke")?;
    let store = context.store()?;
    let name = record_name(&typed, &store)?;
    let which = match (args.credential, args.all) {
        (Some(id), _) => Selection::One(id),
        (None, true) => Selection::All,
        (None, false) => the_only_one(&store, &name)?,
    };
    let gone =
        flow::revoke(&store, &name, which, SystemClock.now(), &context.subject(name.as_str()), &mut syslog())
            .map_err(|error| Failure::admin(&error, name.as_str()))?;
    let mut out = std::io::stdout().lock();
    for credential in &gone {
        writeln!(out, "Revoked {} of {name}.", credential.id)?;
    }
    if store.load(&name)?.is_some_and(|account| account.record.standing() == Standing::Revoked) {
        writeln!(out, "{name} has no device left: logins are denied until `qrtotp enroll {name}`.")?;
    }
    Ok(Exit::Done)
}

/// Which one is meant where neither an id nor --all was given.
fn the_only_one(store: &FileStore, name: &Name) -> Result<Selection, Failure> {
    let account = store.load(name)?;
    let credentials = account.as_ref().map(|account| &*account.record.credentials).unwrap_or_default();
    match credentials {
        [] => Err(Failure::admin(&AdminError::NotEnrolled(name.clone()), name.as_str())),
        [only] => Ok(Selection::One(only.id)),
        several => {
            let ids: Vec<String> = several.iter().map(|credential| credential.id.to_string()).collect();
            Err(Failure::Refused(format!(
                "{name} has several devices ({}); say which with --credential ID, or --all",
                ids.join(", ")
            )))
        }
    }
}
