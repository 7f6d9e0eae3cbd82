//! `qrtotp status`: what is enrolled, for people and as JSON. Never a secret: what is sealed is not even opened.

use super::token::TokenView;
use crate::cli::Status;
use crate::context::{Context, record_name};
use crate::error::{Exit, Failure, store_step};
use qrtotp_core::account::{Credential, Means, Name, Standing, Throttle, ThrottleRules};
use qrtotp_core::clock::{Clock, SystemClock, UnixTime};
use qrtotp_core::flow::{Directory, HostDirectory};
use qrtotp_core::policy::Config;
use qrtotp_core::store::{Account, FileStore, Store};
use qrtotp_core::text::utc;
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct View {
    user: String,
    uid: Option<u32>,
    standing: &'static str,
    revoked: Option<UnixTime>,
    credentials: Vec<CredentialView>,
    recovery_codes_left: u32,
    /// Of codes of apps.
    lock: Lock,
    recovery_lock: Lock,
    token: Option<TokenView>,
}

#[derive(Serialize)]
struct CredentialView {
    id: String,
    label: String,
    algorithm: &'static str,
    digits: u8,
    period: u32,
    created: UnixTime,
    last_used: Option<UnixTime>,
    origin: &'static str,
}

#[derive(Serialize)]
struct Lock {
    state: &'static str,
    /// Seconds until an answer is looked at.
    wait: u32,
    failures: u32,
}

/// What a look depends on besides the records.
struct Look<'a> {
    config: &'a Config,
    now: UnixTime,
}

pub fn run(context: &Context, args: Status) -> Result<Exit, Failure> {
    let store = context.store()?;
    let look = Look { config: &context.config, now: SystemClock.now() };
    match args.user {
        Some(typed) => one(&store, &typed, &look, args.json),
        None => all(&store, &look, args.json),
    }
}

fn one(store: &FileStore, typed: &str, look: &Look<'_>, json: bool) -> Result<Exit, Failure> {
    let name = record_name(typed, store)?;
    let account = store.load(&name)?;
    let view = View::new(&name, account.as_ref(), look);
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&view).map_err(std::io::Error::from)?)?;
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
fn all(store: &FileStore, look: &Look<'_>, json: bool) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    let mut list = JsonList::new(json);
    let exit = each_account(store, |name, account| {
        let view = View::new(name, Some(account), look);
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

impl View {
    /// Without a record: somebody who never enrolled.
    fn new(name: &Name, account: Option<&Account>, look: &Look<'_>) -> Self {
        let (now, rules) = (look.now, &look.config.throttle.rules());
        let time_limit = look.config.enroll.time_limit;
        let record = account.map(|account| &account.record);
        let state = account.map(|account| &account.state);
        let left = record.zip(state).and_then(|(record, state)| {
            let set = record.recovery.as_ref()?;
            Some(u32::try_from(set.hashes.len()).unwrap_or(0).saturating_sub(state.recovery_used(set.id)))
        });
        let throttle = state.map(|state| state.throttle).unwrap_or_default();
        let credentials = record.map(|record| &*record.credentials).unwrap_or_default();
        Self {
            user: name.to_string(),
            uid: record.map(|record| record.uid),
            standing: match record.map(|record| record.standing()) {
                Some(Standing::Enrolled) => "enrolled",
                Some(Standing::Revoked) => "revoked",
                Some(Standing::Unenrolled) | None => "unenrolled",
            },
            revoked: record.and_then(|record| record.revoked),
            credentials: credentials
                .iter()
                .map(|credential| {
                    let mark = state.and_then(|state| state.mark(credential.id));
                    let last_used = mark.map(|mark| mark.last_used).filter(|at| *at != 0);
                    CredentialView::new(credential, last_used)
                })
                .collect(),
            recovery_codes_left: left.unwrap_or(0),
            lock: Lock::new(&throttle, Means::Code, rules, now),
            recovery_lock: Lock::new(&throttle, Means::Recovery, rules, now),
            token: record.and_then(|record| TokenView::new(record, time_limit, now)),
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let uid = self.uid.map(|uid| format!(" (uid {uid})")).unwrap_or_default();
        let since = self.revoked.map(|at| format!(" on {}", utc(at))).unwrap_or_default();
        writeln!(out, "{}{uid}: {}{since}", self.user, self.standing)?;
        for credential in &self.credentials {
            credential.write(out)?;
        }
        writeln!(out, "  Recovery codes left: {}", self.recovery_codes_left)?;
        writeln!(out, "  Lock: {}", self.lock.sentence())?;
        if self.recovery_lock.failures > 0 {
            writeln!(out, "  Lock of recovery codes: {}", self.recovery_lock.sentence())?;
        }
        match &self.token {
            None => writeln!(out, "  Token: none"),
            Some(token) => writeln!(out, "  Token: {}", token.sentence()),
        }
    }

    fn write_line(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(
            out,
            "{:<20} {:<10} devices {:<2} recovery codes {:<2} lock {:<8} token {}",
            self.user,
            self.standing,
            self.credentials.len(),
            self.recovery_codes_left,
            self.lock.state,
            self.token.as_ref().map_or("none", |token| token.state),
        )
    }
}

impl Lock {
    fn new(throttle: &Throttle, means: Means, rules: &ThrottleRules, now: UnixTime) -> Self {
        let wait = throttle.wait(means, now, rules);
        let state = match (means == Means::Code && throttle.is_disabled(rules), wait) {
            (true, _) => "disabled",
            (false, 0) => "open",
            (false, _) => "waiting",
        };
        Self { state, wait, failures: throttle.failures_of(means) }
    }

    fn sentence(&self) -> String {
        let Self { state, wait, failures } = self;
        match *state {
            "disabled" => {
                format!("disabled after {failures} failures; a recovery code or `qrtotp unlock` lifts it")
            }
            "waiting" => format!("the next answer counts in {wait} s ({failures} failures)"),
            _ => format!("open ({failures} failures)"),
        }
    }
}

impl CredentialView {
    fn new(credential: &Credential, last_used: Option<UnixTime>) -> Self {
        Self {
            id: credential.id.to_string(),
            label: credential.label.as_str().to_owned(),
            algorithm: credential.params.algorithm().as_str(),
            digits: credential.params.digits(),
            period: credential.params.period(),
            created: credential.created,
            last_used,
            origin: credential.origin.as_str(),
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let label = if self.label.is_empty() { String::new() } else { format!(" \"{}\"", self.label) };
        writeln!(
            out,
            "  Device {}{label}: {}, {} digits, {} s; {} {}, last used {}",
            self.id,
            self.algorithm,
            self.digits,
            self.period,
            self.origin,
            utc(self.created),
            self.last_used.map_or("never".into(), utc),
        )
    }
}
