//! `qrtotp token`: issue, list, show and revoke enrolment tokens.

mod authorized_keys;
mod issue;
pub(super) mod json;
mod keys;
pub(super) mod users;

use super::list::each_account;
use crate::cli;
use crate::context::{Context, syslog};
use crate::error::{Exit, Failure};
pub(super) use issue::advice;
use json::JsonList;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::AdminError;
use qrtotp_frontend::{Table, TokenView, Versioned};
use qrtotp_messages::Catalogue;
use std::io::Write;

pub fn run(context: &Context, what: cli::Token) -> Result<Exit, Failure> {
    match what {
        cli::Token::Issue(args) => issue::run(context, args),
        cli::Token::List { json } => list(context, json),
        cli::Token::Show { user, json } => show(context, &user, json),
        cli::Token::Revoke { user } => revoke(context, &user),
    }
}

fn list(context: &Context, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let now = SystemClock.now();
    let mut out = std::io::stdout().lock();
    let (mut list, mut table) = (JsonList::of_tokens(json), Table::new(TokenView::HEADER));
    let exit = each_account(&*store, |_, account| {
        let Some(view) = TokenView::new(&account.record, context.config.enroll.time_limit, now) else {
            return Ok(());
        };
        if json { list.item(&mut out, &view) } else { table.row(&mut out, view.cells()) }
    })?;
    table.end(&mut out)?;
    list.end(&mut out)?;
    Ok(exit)
}

fn show(context: &Context, user: &str, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = context.record_name(user, &*store)?;
    let account = store.load(&name)?;
    let view = account.as_ref().and_then(|account| {
        TokenView::new(&account.record, context.config.enroll.time_limit, SystemClock.now())
    });
    let view = view.ok_or_else(|| Failure::admin(&AdminError::NoToken(name.clone()), name.as_str()))?;
    let mut out = std::io::stdout().lock();
    if json {
        let json = serde_json::to_string_pretty(&Versioned::new(view)).map_err(std::io::Error::from)?;
        writeln!(out, "{json}")?;
    } else {
        writeln!(out, "{}: {}", view.user(), view.sentence(Catalogue::ENGLISH))?;
    }
    Ok(Exit::Done)
}

fn revoke(context: &Context, user: &str) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = context.record_name(user, &*store)?;
    let mut log = syslog();
    let id = qrtotp_flow::revoke_token(&mut context.flow(&*store, name.as_str(), &mut log), &name)
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(std::io::stdout(), "Revoked {id} of {name}.")?;
    Ok(Exit::Done)
}
