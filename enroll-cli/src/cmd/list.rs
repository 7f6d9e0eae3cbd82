//! `qrtotp list`: every account as it is read, so that one that is damaged hides no other, and a hundred
//! thousand need no more memory than ten.

use super::token::users::passwd;
use crate::cli::List;
use crate::context::Context;
use crate::error::{Exit, Failure, store_failure};
use qrtotp_account::Name;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_frontend::{StatusView, Table};
use qrtotp_store::{Account, AccountStore};
use qrtotp_values::UnixTime;
use std::io::{BufWriter, StdoutLock, Write};

/// Up to this many accounts are sorted by name. More are listed in directory order, to save memory.
const SORTED: usize = 1000;

pub fn run(context: &Context, args: &List) -> Result<Exit, Failure> {
    let store = context.store()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let now = SystemClock.now();
    let mut table = Table::new(StatusView::HEADER);
    let mut put = |view: &StatusView, out: &mut BufWriter<StdoutLock<'_>>| match args.json {
        true => view.write_json_line(out),
        false => table.row(out, view.cells()),
    };
    let exit = each_account(&*store, |name, account| {
        let mut view = StatusView::new(name, Some(account), &context.config, now);
        if let Ok(user) = HostDirectory.find(name.as_str()) {
            view = view.on_host(user.as_ref());
        }
        if wanted(args, &view, now) { put(&view, &mut out) } else { Ok(()) }
    })?;
    if args.unenrolled {
        for name in without_record(&*store)? {
            put(&StatusView::new(&name, None, &context.config, now), &mut out)?;
        }
    }
    table.end(&mut out)?;
    out.flush()?;
    Ok(exit)
}

fn wanted(args: &List, view: &StatusView, now: UnixTime) -> bool {
    let all = !args.unenrolled && !args.locked && args.stale.is_none();
    all || args.unenrolled && !view.is_enrolled()
        || args.locked && view.is_locked()
        || args.stale.is_some_and(|stale| view.is_enrolled() && view.last_used() < now - stale.as_seconds())
}

/// Users of this host who could log in, as far as their shell tells, and have no record. Of a directory that
/// lists nobody, nobody.
fn without_record(store: &dyn AccountStore) -> Result<Vec<Name>, Failure> {
    let mut found = Vec::new();
    for line in passwd()?.lines() {
        let (user, shell) =
            (line.split(':').next().unwrap_or_default(), line.rsplit(':').next().unwrap_or_default());
        let no_login = ["nologin", "false", "sync", "halt", "shutdown"];
        if no_login.iter().any(|program| shell.rsplit('/').next() == Some(program)) {
            continue;
        }
        if let Ok(name) = Name::new(user)
            && !store.has_record(&name)?
        {
            found.push(name);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Gives every account that can be read to `f`; tells of the others on standard error.
pub fn each_account(
    store: &dyn AccountStore,
    mut f: impl FnMut(&Name, &Account) -> std::io::Result<()>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for name in few_sorted(store.names()?) {
        match store.load(&name) {
            Ok(Some(account)) => f(&name, &account)?,
            Ok(None) => {} // gone since its name was read
            Err(error) => {
                exit = Exit::Error;
                let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {}", store_failure(&error));
            }
        }
    }
    Ok(exit)
}

fn few_sorted(mut names: impl Iterator<Item = Name>) -> impl Iterator<Item = Name> {
    let mut first: Vec<Name> = names.by_ref().take(SORTED).collect();
    let next = names.next();
    if next.is_none() {
        first.sort();
    }
    first.into_iter().chain(next).chain(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn few_accounts_come_by_name_and_many_all_the_same() {
        let names = |many: usize| (0..many).rev().map(|number| Name::new(&format!("u{number:04}")).unwrap());
        let mut sorted: Vec<Name> = names(SORTED).collect();
        sorted.sort();
        assert_eq!(few_sorted(names(SORTED)).collect::<Vec<_>>(), sorted);
        assert_eq!(few_sorted(names(SORTED + 2)).collect::<Vec<_>>(), names(SORTED + 2).collect::<Vec<_>>());
    }
}
