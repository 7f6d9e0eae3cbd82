//! `qrtotp fleet host`.

use super::verifier::open;
use crate::caller::{subject, syslog};
use crate::error::{Exit, Failure};
use qrtotp_audit::{Event, Kind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet_tls::Authority;
use qrtotp_frontend::{Table, local};
use serde_json::json;
use std::io::Write;
use std::path::Path;

pub fn list(named: &Path, json: bool) -> Result<Exit, Failure> {
    let (_, hosts) = open(named)?;
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(["HOST", "GROUPS", "JOINED", "SEEN", "SOFTWARE", "REVOKED"]);
    for host in hosts.all()? {
        let seen = hosts.seen(&Authority::key_hash(&host.public_key));
        if json {
            let (at, software) = seen.unzip();
            let object = json!({
                "version": 1, "name": host.name, "groups": host.groups, "joined": host.joined,
                "revoked": host.revoked, "seen": at, "software": software,
            });
            writeln!(out, "{object}")?;
            continue;
        }
        let (seen, software) = seen.map_or_else(
            || ("never".to_owned(), String::new()),
            |(at, software)| (local(at), software.to_string()),
        );
        let (joined, revoked) = (local(host.joined), host.revoked.map(local).unwrap_or_default());
        table.row(&mut out, [host.name, host.groups.join(" "), joined, seen, software, revoked])?;
    }
    table.end(&mut out)?;
    Ok(Exit::Done)
}

pub fn revoke(named: &Path, host: &str) -> Result<Exit, Failure> {
    let by = subject("");
    let (_, hosts) = open(named)?;
    if !hosts.revoke(host, SystemClock.now())? {
        let text = format!("there is no host {host} that is not revoked; `qrtotp fleet host list` names all");
        return Err(Failure::Refused(text));
    }
    Event::new(Kind::HostRevoked, &by).detail(host).emit(&mut syslog());
    writeln!(std::io::stdout(), "{host} is revoked: its next request is refused.")?;
    Ok(Exit::Done)
}
