//! `qrtotp fleet init`, `join-verifier` and `bundle`.

use super::ca_change::CaChange;
use super::etcd_files::EtcdSettings;
use super::install::InstallTarget;
use super::shared::Shared;
use super::verifier::{self, config_path};
use crate::cli::{Init, JoinVerifier};
use crate::error::{Exit, Failure, shown};
use crate::fleet_member::Member;
use qrtotp_fleet_tls::{TlsError, write_private};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Debian starts an etcd of its own when it installs one.
const STOP_DEBIANS: &str = "systemctl disable --now etcd";
const START_ETCD: &str = "systemctl enable --now qrtotp-etcd";
const START: &str = "systemctl enable --now qrtotpd-verifier";

/// Makes a fleet, and this host its first verifier.
pub fn init(named: &Path, args: &Init) -> Result<Exit, Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if args.name.is_empty() || !args.name.chars().all(plain) || args.name.starts_with('.') {
        return Err(Failure::Error("--name takes small letters, digits, dots and dashes".into()));
    }
    let members = members(&args.verifiers)?;
    let place = InstallTarget::new(config_path(named), &args.users)?;
    let shared = Shared::generate(&args.name, members)?;
    let own = shared.members.first().cloned().unwrap_or_else(Member::alone);
    let others = shared.members.get(1..).unwrap_or_default();
    let bundle = place.parent().join(format!("{}.bundle", args.name));
    if !others.is_empty() {
        write_private(&bundle, shared.to_bundle()?.as_bytes())?; // in a directory of root's
    }
    place.install(&shared, &own, false)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "This host is the verifier {} of the new fleet {}.", own.name, args.name)?;
    if let Some(first) = others.first() {
        let (bundle, names) = (shown(&bundle), names(others));
        writeln!(
            out,
            "\nCopy {bundle} to {names}. It holds all secrets of the fleet. Then run on {}:",
            first.name
        )?;
        writeln!(out, "    qrtotp fleet join-verifier --name {} {bundle}", first.name)?;
        writeln!(out, "Then delete it here: rm {bundle}")?;
    }
    let (on, majority) =
        if others.is_empty() { ("", "") } else { (" on every verifier", "; it waits for a majority") };
    writeln!(out, "\nThen{on}:\n    {STOP_DEBIANS}\n    {START_ETCD}")?;
    writeln!(out, "Once, here{majority}:\n    qrtotp fleet create-store")?;
    writeln!(out, "And{on}:\n    {START}")?;
    Ok(Exit::Done)
}

/// The verifiers, this host first.
fn members(given: &[Member]) -> Result<Vec<Member>, Failure> {
    let mut members = given.to_vec();
    if members.is_empty() {
        members.push(Member::alone());
    }
    if members.len().is_multiple_of(2) {
        let text = "a fleet has one, three or five verifiers: an even number bears no more failures";
        return Err(Failure::Error(text.into()));
    }
    for (at, member) in members.iter().enumerate() {
        let same = |other: &Member| other.name == member.name || other.address == member.address;
        if members.iter().skip(at + 1).any(same) {
            return Err(Failure::Error(format!("two verifiers have the name or address of {}", member.name)));
        }
    }
    Ok(members)
}

fn names(members: &[Member]) -> String {
    members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(" and ")
}

/// Makes this host one more verifier of a fleet.
pub fn join(named: &Path, args: &JoinVerifier) -> Result<Exit, Failure> {
    let place = match args.renew {
        true => InstallTarget::of_verifier(config_path(named), &args.users)?,
        false => InstallTarget::new(config_path(named), &args.users)?,
    };
    let text = std::fs::read_to_string(&args.bundle)
        .map_err(|error| Failure::Error(format!("{}: {error}", shown(&args.bundle))))?;
    let shared = Shared::from_bundle(&text)?;
    let own = shared.member(&args.name)?.clone();
    place.install(&shared, &own, shared.running)?;
    writeln!(
        std::io::stdout(),
        "This host is the verifier {} of the fleet {} now. Delete the bundle: rm {}\n\nThen:\n    {STOP_DEBIANS}\n    {START_ETCD}\n    {START}",
        own.name,
        shared.fleet,
        shown(&args.bundle)
    )?;
    verifier::files(named)?; // applies the new configuration, without which the daemon does not start
    Ok(Exit::Done)
}

/// Writes a bundle anew, for a verifier that takes the place of a lost one.
pub fn bundle(named: &Path, file: &Path) -> Result<Exit, Failure> {
    if CaChange::read(verifier::directory(&config_path(named)))?.is_some() {
        let text = "the CA is being changed; run `qrtotp fleet rotate ca finish` first";
        return Err(Failure::Refused(text.into()));
    }
    let members = EtcdSettings::read(&verifier::etcd_directory(named))?.members();
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", shown(file)));
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?; // while root
    let (context, files) = verifier::files(named)?;
    let mut shared = Shared::read(&files.directory, &context.issuer(), members)?;
    shared.running = true;
    out.write_all(shared.to_bundle()?.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    writeln!(
        std::io::stdout(),
        "{} holds every secret of the fleet: delete it once it was used.",
        shown(file)
    )?;
    Ok(Exit::Done)
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Error(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_verifiers_or_one_named_twice_is_refused() {
        let parse = |all: &[&str]| -> Vec<Member> {
            all.iter().filter_map(|text| Member::parse(text).ok()).collect()
        };
        assert_eq!(members(&[]).ok(), Some(vec![Member::alone()]));
        assert!(members(&parse(&["v1=10.0.0.1", "v2=10.0.0.2", "v3=10.0.0.3"])).is_ok());
        for bad in [
            &["v1=10.0.0.1", "v2=10.0.0.2"][..],
            &["v1=10.0.0.1", "v2=10.0.0.2", "v1=10.0.0.3"],
            &["v1=10.0.0.1", "v2=10.0.0.2", "v3=10.0.0.1"],
        ] {
            assert!(members(&parse(bad)).is_err(), "{bad:?}");
        }
    }
}
