//! `qrtotp fleet offline-codes`, on a login host.

use crate::cli::OfflineCodes;
use crate::context::{Context, any_record_name, known_user, syslog};
use crate::error::{Exit, Failure};
use crate::terminal::unbuffered_stdout;
use qrtotp_flow::{issue_offline, remove_offline};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

pub fn run(named: &Path, args: &OfflineCodes) -> Result<Exit, Failure> {
    let context = Context::load(named)?;
    if context.config.fleet.name.is_none() {
        let text =
            "this host is in no fleet; recovery codes of `qrtotp recovery regenerate` do the same here";
        return Err(Failure::Refused(text.into()));
    }
    if args.remove { remove(&context, args) } else { issue(&context, args) }
}

fn issue(context: &Context, args: &OfflineCodes) -> Result<Exit, Failure> {
    let accounts = args.users.iter().map(|user| known_user(user)).collect::<Result<Vec<_>, _>>()?;
    if let Some(local) = accounts.iter().find(|account| !context.config.fleet.decides(account.name.as_str()))
    {
        let text = format!("{} is an account of this host's own store and needs no verifier", local.name);
        return Err(Failure::Refused(text));
    }
    let store = context.store_or_new()?;
    // Before older codes end, so that a full or closed output can't leave an account with none.
    let mut out = unbuffered_stdout()?;
    for account in &accounts {
        let mut log = syslog();
        let ctx = &mut context.flow(&*store, account.name.as_str(), &mut log);
        let codes = issue_offline(ctx, &account.name, account.uid)
            .map_err(|error| Failure::admin(&error, account.name.as_str()))?;
        show(&mut out, account.name.as_str(), &codes).map_err(|error| {
            let text = "older ones are worth nothing now; run it again";
            Failure::Error(format!("the codes of {} could not be shown ({error}), and {text}", account.name))
        })?;
    }
    Ok(Exit::Done)
}

fn show(out: &mut File, user: &str, codes: &[Zeroizing<String>]) -> std::io::Result<()> {
    writeln!(out, "{user}, at this host, while no verifier answers; each works once:\n")?;
    for code in codes {
        out.write_all(b"  ")?;
        out.write_all(code.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.write_all(b"\n")
}

fn remove(context: &Context, args: &OfflineCodes) -> Result<Exit, Failure> {
    let store = context.store()?;
    let mut exit = Exit::Done;
    for user in &args.users {
        let name = any_record_name(user, &*store)?;
        let mut log = syslog();
        let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
        let had = remove_offline(ctx, &name).map_err(|error| Failure::admin(&error, name.as_str()))?;
        let message =
            if had { "has no break-glass codes here any more" } else { "had no break-glass codes here" };
        writeln!(std::io::stdout(), "{name} {message}.")?;
        exit = exit.max(if had { Exit::Done } else { Exit::Refused });
    }
    Ok(exit)
}
