//! `qrtotp token`: issue, list, show and revoke enrolment tokens.

use super::status::{JsonList, each_account};
use crate::cli;
use crate::context::{Account, Context, known_user, record_name};
use crate::error::{Exit, Failure};
use crate::sink::Syslog;
use qrtotp_core::account::{Name, Token};
use qrtotp_core::clock::{Clock, SystemClock, UnixTime};
use qrtotp_core::flow::{self, AdminError, Issue};
use qrtotp_core::policy::Span;
use qrtotp_core::store::Store;
use qrtotp_core::text::{clean, utc};
use serde::Serialize;
use std::io::Write;

/// A token as it is shown.
#[derive(Serialize)]
pub struct TokenView {
    user: String,
    id: String,
    pub state: &'static str,
    /// When it came into this state; the time of issue for one that nobody has seen.
    since: UnixTime,
    issued: UnixTime,
    expires: UnixTime,
    shows: u8,
    max_shows: u8,
    issued_by: String,
}

impl TokenView {
    pub fn new(name: &Name, token: &Token, now: UnixTime) -> Self {
        let state = token.state_at(now);
        Self {
            user: name.to_string(),
            id: token.id.to_string(),
            state: state.as_str(),
            since: state.at().unwrap_or(token.issued),
            issued: token.issued,
            expires: token.expires,
            shows: token.shows,
            max_shows: token.max_shows,
            issued_by: clean(token.issued_by.as_deref().unwrap_or("first_login"), 64),
        }
    }

    pub fn sentence(&self) -> String {
        format!(
            "{} {} {}; issued {} by {}, expires {}, QR code shown {} of {} times",
            self.id,
            self.state,
            utc(self.since),
            utc(self.issued),
            self.issued_by,
            utc(self.expires),
            self.shows,
            self.max_shows
        )
    }
}

pub fn run(context: &Context, what: cli::Token) -> Result<Exit, Failure> {
    match what {
        cli::Token::Issue { user, expires } => issue(context, &user, expires),
        cli::Token::List { json } => list(context, json),
        cli::Token::Show { user, json } => show(context, &user, json),
        cli::Token::Revoke { user } => revoke(context, &user),
    }
}

fn issue(context: &Context, user: &str, expires: Option<Span>) -> Result<Exit, Failure> {
    let Account { name, uid } = known_user(user)?;
    let store = context.store_or_new()?;
    let enroll = &context.config.enroll;
    let lifetime = expires.unwrap_or(enroll.token_lifetime);
    let issue = Issue { name: &name, uid, lifetime, max_shows: enroll.max_shows, code: None };
    let subject = context.subject(name.as_str());
    let (token, _) = flow::issue_token(&store, &issue, SystemClock.now(), &subject, &mut Syslog::open())
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(
        std::io::stdout(),
        "Issued {} for {name}; it is worth nothing after {}. `qrtotp enroll {name}` uses it.",
        token.id,
        utc(token.expires)
    )?;
    Ok(Exit::Done)
}

fn list(context: &Context, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let now = SystemClock.now();
    let mut out = std::io::stdout().lock();
    let mut list = JsonList::new(json);
    let exit = each_account(&store, |name, account| {
        let Some(token) = &account.record.token else { return Ok(()) };
        let view = TokenView::new(name, token, now);
        if json { list.item(&mut out, &view) } else { writeln!(out, "{:<20} {}", view.user, view.sentence()) }
    })?;
    list.end(&mut out)?;
    Ok(exit)
}

fn show(context: &Context, user: &str, json: bool) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = record_name(user, &store)?;
    let account = store.load(&name)?;
    let token = account.as_ref().and_then(|account| account.record.token.as_ref());
    let token = token.ok_or_else(|| Failure::admin(&AdminError::NoToken(name.clone()), name.as_str()))?;
    let view = TokenView::new(&name, token, SystemClock.now());
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&view).map_err(std::io::Error::from)?)?;
    } else {
        writeln!(out, "{}: {}", view.user, view.sentence())?;
    }
    Ok(Exit::Done)
}

fn revoke(context: &Context, user: &str) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = record_name(user, &store)?;
    let subject = context.subject(name.as_str());
    let id = flow::revoke_token(&store, &name, SystemClock.now(), &subject, &mut Syslog::open())
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(std::io::stdout(), "Revoked {id} of {name}.")?;
    Ok(Exit::Done)
}
