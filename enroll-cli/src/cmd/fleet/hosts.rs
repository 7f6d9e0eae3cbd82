//! `qrtotp fleet host`.

use super::verifier::open;
use crate::caller::{subject, syslog};
use crate::error::{Exit, Failure};
use qrtotp_audit::{Event, Kind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet_tls::Authority;
use qrtotp_values::text::utc;
use serde_json::json;
use std::io::Write;
use std::path::Path;

pub fn list(named: &Path, json: bool) -> Result<Exit, Failure> {
    let (_, hosts) = open(named)?;
    let mut out = std::io::stdout().lock();
    for host in hosts.all()? {
        let seen = hosts.seen(&Authority::key_hash(&host.public_key));
        if json {
            let (at, version) = seen.unzip();
            let object = json!({
                "name": host.name, "groups": host.groups, "joined": host.joined, "revoked": host.revoked,
                "seen": at, "version": version,
            });
            writeln!(out, "{object}")?;
            continue;
        }
        let state = match (host.revoked, seen) {
            (Some(at), _) => format!("revoked {}", utc(at)),
            (None, Some((at, version))) => format!("seen {}, version {version}", utc(at)),
            (None, None) => "never seen".into(),
        };
        writeln!(
            out,
            "{}  groups {}; joined {}; {state}",
            host.name,
            host.groups.join(" "),
            utc(host.joined)
        )?;
    }
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
