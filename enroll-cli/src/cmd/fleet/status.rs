//! `qrtotp fleet status`.

use super::ca_change::{CaChange, Waiting};
use super::report::{BreakGlass, VerifierFacts, VerifierReport};
use super::{etcd_files, verifier};
use crate::context::config_file;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_fleet_tls::{CaHash, HostTls, RENEWED, TlsError, addresses, connect};
use qrtotp_frames::{FleetRequest, FleetResponse, receive, send};
use qrtotp_frontend::local;
use qrtotp_policy::ConfigFile;
use serde_json::json;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one verifier may take.
const LIMIT: Duration = Duration::from_secs(2);
/// The state directory of qrtotp-relay.service.
const RELAY_STATE: &str = "/var/lib/qrtotp-relay";

pub fn run(named: &Path, json: bool) -> Result<Exit, Failure> {
    let path = config_file(named)?;
    let fleet = ConfigFile::load(&path, SystemClock.now()).ok().and_then(|source| source.config.fleet.name);
    match fleet {
        Some(fleet) => login_host(&path, &fleet, json),
        None if verifier::config_path(named).exists() => on_verifier(named, json),
        None => Err(Failure::Refused(
            "this host is in no fleet; `qrtotp fleet join` makes it a login host".into(),
        )),
    }
}

fn login_host(path: &Path, fleet: &str, json: bool) -> Result<Exit, Failure> {
    let directory = path.parent().unwrap_or(Path::new("/")).join("relay");
    let file = |name: &str| directory.join(name);
    let list = file("verifiers");
    let verifiers = std::fs::read_to_string(&list)
        .map_err(|error| Failure::Error(format!("{}: {error}; run `qrtotp fleet join`", list.display())))?;
    let HostTls { config, authorities } =
        HostTls::read(&directory, Some(&Path::new(RELAY_STATE).join(RENEWED)))?;
    let mut out = std::io::stdout().lock();
    if !json {
        writeln!(out, "login host of the fleet {fleet}")?;
    }
    let (mut reached, mut all) = (0, Vec::new());
    for verifier in verifiers.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let begun = Deadline::after(LIMIT);
        let result = match report(verifier, &config, &authorities) {
            Ok(FleetResponse::Done) => {
                reached += 1;
                format!("ok, {} ms", LIMIT.saturating_sub(begun.left()).as_millis())
            }
            Ok(FleetResponse::Refused(text)) => format!("refuses: {text}"),
            Ok(_) => "can't decide now".into(),
            Err(error) => error.to_string(),
        };
        if json {
            all.push(json!({"name": verifier, "result": result}));
        } else {
            writeln!(out, "{verifier}  {result}")?;
        }
    }
    if json {
        writeln!(out, "{}", json!({"version": 1, "fleet": fleet, "reached": reached, "verifiers": all}))?;
    }
    Ok(if reached > 0 { Exit::Done } else { Exit::Refused })
}

fn report(
    verifier: &str,
    config: &Arc<rustls::ClientConfig>,
    authorities: &[CaHash],
) -> Result<FleetResponse, TlsError> {
    let address = addresses(verifier)?.next().ok_or(io::Error::from(ErrorKind::NotFound))?;
    let mut stream = connect(address, config, LIMIT)?;
    stream.sock.last(LIMIT);
    let (version, authorities) = (env!("CARGO_PKG_VERSION").to_owned(), authorities.to_vec());
    send(&mut stream, &FleetRequest::Report { version, authorities }).map_err(io::Error::other)?;
    stream.flush()?;
    Ok(receive(&mut stream).map_err(io::Error::other)?)
}

fn on_verifier(named: &Path, json: bool) -> Result<Exit, Failure> {
    // While we are root.
    let quota =
        etcd_files::EtcdSettings::read(&verifier::etcd_directory(named)).ok().and_then(|read| read.quota);
    let (context, files) = verifier::files(named)?;
    let keys = files.ring()?.ids().iter().map(ToString::to_string).collect();
    let (etcd, store) = (files.etcd()?, files.open_beside()?);
    let change = CaChange::read(&files.directory)?;
    let report = VerifierReport::take(context.issuer(), &etcd, &store, keys, quota, change);
    let mut out = std::io::stdout().lock();
    if json {
        let text = serde_json::to_string(&report).map_err(|error| Failure::Error(error.to_string()))?;
        writeln!(out, "{text}")?;
    } else {
        print(&mut out, &report)?;
    }
    Ok(if report.decides { Exit::Done } else { Exit::Refused })
}

fn print(out: &mut dyn Write, report: &VerifierReport) -> io::Result<()> {
    let VerifierReport { verifier, fleet, program, keys, hosts, .. } = report;
    writeln!(out, "verifier {verifier} of the fleet {fleet}, version {program}")?;
    if let Some(etcd) = &report.etcd {
        let names = |names: &[String]| names.join(" ");
        let members = etcd.members.as_deref().map_or_else(|| "no quorum".into(), names);
        let leader = etcd.leader.as_deref().unwrap_or("none");
        writeln!(
            out,
            "etcd       {}; members {members}; leader {leader}; revision {}",
            etcd.version, etcd.revision
        )?;
        let quota =
            etcd.quota.map_or_else(|| "an unknown quota".into(), |quota| format!("{} MB", megabytes(quota)));
        let (size, used) = (megabytes(etcd.database), megabytes(etcd.in_use));
        writeln!(out, "database   {size} MB of {quota}, {used} MB in use")?;
        let alarms = if etcd.alarms.is_empty() { "none".into() } else { etcd.alarms.join(", ") };
        writeln!(out, "alarms     {alarms}")?;
    }
    if let Some(store) = &report.store {
        writeln!(out, "store      generation {}", store.generation)?;
        writeln!(out, "hosts      {} active, {} held, {} revoked", hosts.active, hosts.held, hosts.revoked)?;
    }
    writeln!(out, "keys       {}", keys.join(" "))?;
    if let Some(waiting) = &report.ca {
        print_change(out, waiting)?;
    }
    for VerifierFacts { name, version, age, ahead } in &report.verifiers {
        let age = (*age).max(0);
        writeln!(out, "verifier   {name}, version {version}, seen {age} s ago, clock {ahead:+} s")?;
    }
    for BreakGlass { host, account, at, left } in &report.break_glass {
        writeln!(out, "break-glass code of {account} used at {host}, {}; {left} left there", local(*at))?;
    }
    for problem in &report.problems {
        writeln!(out, "PROBLEM    {problem}")?;
    }
    Ok(())
}

fn print_change(out: &mut dyn Write, waiting: &Waiting) -> io::Result<()> {
    let Waiting { used, hosts, verifiers } = waiting;
    let (which, next) = if *used { ("use the former one", "finish") } else { ("lack the new one", "use") };
    writeln!(out, "CA         changing; {} hosts and {} verifiers {which}", hosts.len(), verifiers.len())?;
    for names in [hosts, verifiers].into_iter().filter(|names| !names.is_empty()) {
        writeln!(out, "           {}", names.join(" "))?;
    }
    if hosts.is_empty() && verifiers.is_empty() {
        writeln!(out, "           next: qrtotp fleet rotate ca {next}")?;
    }
    Ok(())
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
