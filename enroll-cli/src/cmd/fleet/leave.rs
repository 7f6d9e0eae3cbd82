//! `qrtotp fleet leave`.

use crate::applied::AppliedFile;
use crate::cmd::census::Census;
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure, shown};
use crate::host_names::HostNames;
use crate::replaced_file::replace;
use nix::sys::stat::Mode;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{ConfigFile, compile};
use std::io::Write;
use std::path::Path;

pub fn run(named: &Path, force: bool) -> Result<Exit, Failure> {
    let path = config_file(named)?;
    let mut files = ConfigFile::files(&path)?;
    let Some(fleet) = compile(&files, &HostNames)?.config.fleet.name else {
        return Err(Failure::Refused("this host is in no fleet; nothing was changed".into()));
    };
    let main = files.last_mut().ok_or(Failure::Error("no configuration".into()))?;
    let text = without_name(&String::from_utf8_lossy(&main.bytes));
    main.bytes = text.clone().into_bytes();
    let compiled = compile(&files, &HostNames)?;
    if compiled.config.fleet.name.is_some() {
        let text = "a file of conf.d names the fleet, too; remove `name` from its [fleet] first";
        return Err(Failure::Refused(text.into()));
    }
    let context = Context::before_applying(&path, &compiled);
    let enrolled = match context.store_if_made()? {
        Some(_) => Census::take(&context, SystemClock.now())?.enrolled,
        None => 0,
    };
    if enrolled == 0 && !force {
        let text = "nobody has a device in this host's own store, and its rules would decide all logins; enrol an administrator as an account of [fleet] local first, or use --force";
        return Err(Failure::Refused(text.into()));
    }
    replace(&path, text.as_bytes(), Mode::from_bits_truncate(0o644))?;
    AppliedFile::locked(&path)?.apply(&compiled, None, "")?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    for name in ["verdict.key", "relay/host.key", "relay/host.der", "relay/ca.der", "relay/verifiers"] {
        let _ = std::fs::remove_file(directory.join(name)); // worth nothing without the others
    }
    writeln!(
        std::io::stdout(),
        "This host is in the fleet {fleet} no more. Its own store decides logins, with {enrolled} enrolled accounts; {} has its rules.\n\
         Stop the relay here: systemctl disable --now qrtotp-relay.socket qrtotp-relay\n\
         And on a verifier: qrtotp fleet host revoke, with this host's name",
        shown(&path)
    )?;
    Ok(Exit::Done)
}

/// The configuration without the fleet's name.
fn without_name(text: &str) -> String {
    let mut is_fleet = false;
    let mut keep = |line: &&str| {
        let line = line.trim();
        if line.starts_with('[') {
            is_fleet = line == "[fleet]";
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        !(is_fleet && key == "name" && line.contains('='))
    };
    text.split_inclusive('\n').filter(|line| keep(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fleets_name_goes() {
        let text =
            "issuer = \"x\"\n[[rule]]\nname = \"a\"\n[fleet]\nname = \"corp\"\nlocal = [\"root\"]\n[brand]\n";
        let left = "issuer = \"x\"\n[[rule]]\nname = \"a\"\n[fleet]\nlocal = [\"root\"]\n[brand]\n";
        assert_eq!(without_name(text), left);
        assert_eq!(without_name(left), left);
    }
}
