//! `qrtotp fleet status`.

use super::verifier;
use crate::context::config_file;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_fleet_tls::{Identity, TlsError, addresses, client_config, connect, read_certificate};
use qrtotp_frames::{FleetRequest, FleetResponse, receive, send};
use qrtotp_policy::ConfigFile;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one verifier may take.
const LIMIT: Duration = Duration::from_secs(2);

pub fn run(named: &Path) -> Result<Exit, Failure> {
    let path = config_file(named)?;
    let fleet = ConfigFile::load(&path, SystemClock.now()).ok().and_then(|source| source.config.fleet.name);
    match fleet {
        Some(fleet) => login_host(&path, &fleet),
        None if verifier::config_path(named).exists() => on_verifier(named),
        None => Err(Failure::Refused(
            "this host is in no fleet; `qrtotp fleet join` makes it a login host".into(),
        )),
    }
}

fn login_host(path: &Path, fleet: &str) -> Result<Exit, Failure> {
    let directory = path.parent().unwrap_or(Path::new("/")).join("relay");
    let file = |name: &str| directory.join(name);
    let list = file("verifiers");
    let verifiers = std::fs::read_to_string(&list)
        .map_err(|error| Failure::Error(format!("{}: {error}; run `qrtotp fleet join`", list.display())))?;
    let identity = Identity::read(&file("host.der"), &file("host.key"))?;
    let config = client_config(&read_certificate(&file("ca.der"))?, identity)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "login host of the fleet {fleet}")?;
    let mut reached = 0;
    for verifier in verifiers.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let begun = Deadline::after(LIMIT);
        let told = match report(verifier, &config) {
            Ok(FleetResponse::Done) => {
                reached += 1;
                format!("ok, {} ms", LIMIT.saturating_sub(begun.left()).as_millis())
            }
            Ok(FleetResponse::Refused(text)) => format!("refuses: {text}"),
            Ok(_) => "can't decide now".into(),
            Err(error) => error.to_string(),
        };
        writeln!(out, "{verifier}  {told}")?;
    }
    Ok(if reached > 0 { Exit::Done } else { Exit::Refused })
}

fn report(verifier: &str, config: &Arc<rustls::ClientConfig>) -> Result<FleetResponse, TlsError> {
    let address = addresses(verifier)?.next().ok_or(io::Error::from(ErrorKind::NotFound))?;
    let mut stream = connect(address, config, LIMIT)?;
    stream.sock.last(LIMIT);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    send(&mut stream, &FleetRequest::Report { version }).map_err(io::Error::other)?;
    stream.flush()?;
    Ok(receive(&mut stream).map_err(io::Error::other)?)
}

fn on_verifier(named: &Path) -> Result<Exit, Failure> {
    let (context, hosts) = verifier::open(named)?;
    let all = hosts.all()?;
    let revoked = all.iter().filter(|host| host.revoked.is_some()).count();
    writeln!(
        std::io::stdout(),
        "verifier of the fleet {}: {} hosts, {revoked} revoked",
        context.issuer(),
        all.len() - revoked
    )?;
    Ok(Exit::Done)
}
