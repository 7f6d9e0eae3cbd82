//! `qrtotp list`: every account as it is read, so that one that is damaged hides no other, and a hundred thousand need no more
//! memory than ten.

use crate::context::Context;
use crate::error::{Exit, Failure, store_step};
use qrtotp_core::account::Name;
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::store::{Account, FileStore, Store};
use qrtotp_face::StatusView;
use serde::Serialize;
use std::io::{BufWriter, Write};

/// So many accounts come by name; of more, the names are not kept, and they come as the disk has them.
const SORTED: usize = 1000;

pub fn run(context: &Context, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let now = SystemClock.now();
    let exit = each_account(&store, |name, account| {
        let view = StatusView::new(name, Some(account), &context.config, now);
        if json { view.write_json_line(&mut out) } else { view.write_line(&mut out) }
    })?;
    out.flush()?;
    Ok(exit)
}

/// Gives every account that can be read to `f`; tells of the others on standard error.
pub fn each_account(
    store: &FileStore,
    mut f: impl FnMut(&Name, &Account) -> std::io::Result<()>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for name in few_sorted(store.names()?) {
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

fn few_sorted(mut names: impl Iterator<Item = Name>) -> impl Iterator<Item = Name> {
    let mut first: Vec<Name> = names.by_ref().take(SORTED).collect();
    let next = names.next();
    if next.is_none() {
        first.sort();
    }
    first.into_iter().chain(next).chain(names)
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
