//! `qrtotp fleet host`.

use super::report::{failures_by_host, state_word};
use super::verifier;
use crate::caller::{subject, syslog};
use crate::error::{Exit, Failure};
use qrtotp_audit::{Event, Kind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet::{Host, HostName, HostState};
use qrtotp_frontend::{Table, local};
use serde_json::json;
use std::io::Write;
use std::path::Path;

pub fn list(named: &Path, json: bool) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let store = files.open_beside()?;
    let (failures, reports) = (failures_by_host(&store, SystemClock.now())?, store.host_reports()?);
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(["HOST", "STATE", "GROUPS", "JOINED", "SEEN", "SOFTWARE", "FAILURES"]);
    for (name, host) in store.hosts()? {
        let counted = failures.get(&name).copied().unwrap_or_default();
        let (state, report) = (state_word(&host), reports.get(&name));
        if json {
            let object = json!({
                "version": 1, "name": name.as_str(), "groups": host.groups, "joined": host.joined, "state": state,
                "failures": counted.failures, "accounts": counted.accounts, "noisy": counted.is_noisy(),
                "seen": report.map(|report| report.seen), "software": report.map(|report| &report.version),
            });
            writeln!(out, "{object}")?;
            continue;
        }
        let (seen, software) = report.map_or_else(
            || ("never".to_owned(), String::new()),
            |report| (local(report.seen), report.version.clone()),
        );
        let failures = format!("{}{}", counted.failures, if counted.is_noisy() { " NOISY" } else { "" });
        let (name, groups) = (name.as_str().to_owned(), host.groups.join(" "));
        table
            .row(&mut out, [name, state.to_owned(), groups, local(host.joined), seen, software, failures])?;
    }
    table.end(&mut out)?;
    Ok(Exit::Done)
}

/// A change of a host's state.
#[derive(Clone, Copy)]
pub enum Change {
    Hold,
    Release,
    Revoke,
}

impl Change {
    /// The new state, if the host may get it.
    fn of(self, state: HostState) -> Option<HostState> {
        match (self, state) {
            (Self::Hold, HostState::Active) => Some(HostState::Held),
            (Self::Release, HostState::Held) => Some(HostState::Active),
            (Self::Revoke, HostState::Active | HostState::Held) => Some(HostState::Revoked),
            _ => None,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Hold => Kind::HostHeld,
            Self::Release => Kind::HostReleased,
            Self::Revoke => Kind::HostRevoked,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Hold => "is held: its requests are refused until `qrtotp fleet host release`",
            Self::Release => "may ask again",
            Self::Revoke => "is revoked: its next request is refused",
        }
    }
}

pub fn change(named: &Path, typed: &str, change: Change) -> Result<Exit, Failure> {
    let by = subject("");
    let name = HostName::new(typed).map_err(|error| Failure::Error(error.to_string()))?;
    let (_, files) = verifier::files(named)?;
    let store = files.open_beside()?;
    let mut before = None;
    store.change_host(&name, &mut |host| {
        before = host.as_ref().map(|host| host.state);
        if let Some(Host { state, .. }) = host
            && let Some(next) = change.of(*state)
        {
            *state = next;
        }
    })?;
    match before {
        None => {
            let text = format!("there is no host {name}; `qrtotp fleet host list` names all");
            return Err(Failure::Refused(text));
        }
        Some(state) if change.of(state).is_none() => {
            let is = match state {
                HostState::Active => "active",
                HostState::Held => "held already",
                HostState::Revoked => "revoked; it can only join again",
            };
            return Err(Failure::Refused(format!("host {name} is {is}; nothing was changed")));
        }
        Some(_) => {}
    }
    Event::new(change.kind(), &by).detail(name.as_str()).emit(&mut syslog());
    writeln!(std::io::stdout(), "{name} {}.", change.done())?;
    Ok(Exit::Done)
}
