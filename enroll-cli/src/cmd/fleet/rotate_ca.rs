//! `qrtotp fleet rotate ca`: a new CA for the fleet, in steps after which every host and verifier still
//! reaches the others. Hosts get the new CA with their daily certificate.

use super::ca_change::{CA, CaChange, FORMER, NEXT, Waiting};
use super::verifier;
use crate::cli::RotateCa;
use crate::error::{Exit, Failure, shown};
use qrtotp_fleet::VerifierFiles;
use qrtotp_fleet_tls::{Authority, ca_hash, hex, read_certificate, unhex, write_private};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

const RESTART: &str = "systemctl restart qrtotpd-verifier";
const KEY: &str = "ca.key";
const NEXT_KEY: &str = "next-ca.key";
/// The version of the form of the file that carries a CA.
const VERSION: u32 = 1;

/// A CA on its way to another verifier; X.509 and PKCS #8 DER in hexadecimal digits.
#[derive(Serialize, Deserialize)]
struct Carried {
    version: u32,
    ca: String,
    ca_key: String,
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.ca_key.zeroize();
    }
}

pub fn run(named: &Path, step: RotateCa) -> Result<Exit, Failure> {
    match step {
        RotateCa::Begin { file } => begin(named, &file),
        RotateCa::Add { file } => add(named, &file),
        RotateCa::Use { force } => switch(named, force),
        RotateCa::Finish { force } => finish(named, force),
    }
}

/// Makes a CA whose hosts are served, but which makes no certificate yet.
fn begin(named: &Path, file: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", shown(file)));
    let directory = verifier::directory(&verifier::config_path(named)).to_owned();
    none_yet(&directory)?;
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?; // while root
    let (authority, key) = Authority::generate()?;
    let carried = Carried { version: VERSION, ca: hex(authority.certificate()), ca_key: hex(&key) };
    let text = serde_json::to_string(&carried).map_err(|error| Failure::Error(error.to_string()))?;
    let text = Zeroizing::new(text);
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    let (_, files) = verifier::files(named)?;
    keep_next(&files.directory, authority.certificate(), &key)?;
    let file = shown(file);
    writeln!(
        std::io::stdout(),
        "Made a new CA. Copy {file} to every other verifier, and run there:\n    qrtotp fleet rotate ca add {file}\n\
         Delete the file everywhere. Then, on every verifier:\n    {RESTART}\n\
         Login hosts get the new CA within a day; `qrtotp fleet status` names those that lack it.\n\
         Then, on one verifier after the other:\n    qrtotp fleet rotate ca use && {RESTART}\n\
         Within another day the hosts have certificates of the new CA. Last, on one after the other:\n    \
         qrtotp fleet rotate ca finish && {RESTART}"
    )?;
    Ok(Exit::Done)
}

fn none_yet(directory: &Path) -> Result<(), Failure> {
    match CaChange::read(directory)? {
        None => Ok(()),
        Some(_) => Err(Failure::Refused(
            "a change of the CA has begun here already; `qrtotp fleet status` says what it waits for".into(),
        )),
    }
}

fn keep_next(directory: &Path, ca: &CertificateDer<'_>, key: &[u8]) -> Result<(), Failure> {
    write_private(&directory.join(NEXT_KEY), key)?;
    Ok(write_private(&directory.join(NEXT), ca)?) // the last: with it, all is there
}

fn add(named: &Path, file: &Path) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new); // while root
    let text = text.map_err(|error| Failure::Error(format!("{}: {error}", shown(file))))?;
    let bad = || Failure::Error(format!("{} is no file of `qrtotp fleet rotate ca begin`", shown(file)));
    let carried: Carried = serde_json::from_str(&text).map_err(|_| bad())?;
    if carried.version != VERSION {
        return Err(bad());
    }
    let (ca, key) = (unhex(&carried.ca).ok_or_else(bad)?, unhex(&carried.ca_key).ok_or_else(bad)?);
    let (ca, key) = (CertificateDer::from(ca), Zeroizing::new(key));
    Authority::load(ca.clone(), &key).map_err(|_| bad())?;
    let (_, files) = verifier::files(named)?;
    none_yet(&files.directory)?;
    keep_next(&files.directory, &ca, &key)?;
    writeln!(std::io::stdout(), "This verifier knows the new CA from its next start: {RESTART}")?;
    Ok(Exit::Done)
}

/// Lets the new CA make certificates from now on. It can be repeated after a crash.
fn switch(named: &Path, force: bool) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let directory = files.directory.as_path();
    let change = CaChange::read(directory)?.filter(|change| !change.is_used).ok_or_else(|| {
        let text =
            "there is no new CA here; `qrtotp fleet rotate ca begin` makes one, and `add` brings it here";
        Failure::Refused(text.into())
    })?;
    may_go_on(&files, change, force)?;
    let (ca, next) = (directory.join(CA), directory.join(NEXT));
    let key = Zeroizing::new(std::fs::read(directory.join(NEXT_KEY))?);
    let authority = Authority::load(read_certificate(&next)?, &key)?;
    let own = authority.verifier()?;
    if !directory.join(FORMER).exists() {
        write_private(&directory.join(FORMER), &read_certificate(&ca)?)?;
    }
    write_private(&directory.join("verifier.key"), own.key.secret_der())?;
    write_private(&directory.join("verifier.der"), &own.certificate)?;
    write_private(&directory.join(KEY), &key)?;
    write_private(&ca, authority.certificate())?;
    std::fs::remove_file(directory.join(NEXT_KEY))?;
    std::fs::remove_file(next)?;
    let hash = hex(&ca_hash(authority.certificate())[..8]);
    writeln!(
        std::io::stdout(),
        "This verifier makes certificates with the CA {hash} from its next start: {RESTART}\n\
         Invitations that were made before are worth nothing now."
    )?;
    Ok(Exit::Done)
}

/// Refuses a step that cuts hosts or verifiers off.
fn may_go_on(files: &VerifierFiles, change: CaChange, force: bool) -> Result<(), Failure> {
    if force {
        return Ok(());
    }
    let Waiting { hosts, verifiers, used } = change.waiting(&files.open_beside()?)?;
    let why = if used { "still use the former CA" } else { "lack the new CA" };
    for (names, what, advice) in [
        (verifiers, "verifiers", "go on when `qrtotp fleet status` no longer names them"),
        (
            hosts,
            "login hosts",
            "wait for their daily certificate, restart qrtotp-relay there, or revoke them",
        ),
    ] {
        if !names.is_empty() {
            let (count, names) = (names.len(), names.join(" "));
            let text = format!("{count} {what} {why}: {names}; {advice}; --force cuts them off");
            return Err(Failure::Refused(text));
        }
    }
    Ok(())
}

/// Ends the former CA.
fn finish(named: &Path, force: bool) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let change = CaChange::read(&files.directory)?.filter(|change| change.is_used).ok_or_else(|| {
        Failure::Refused("there is no former CA here; `qrtotp fleet rotate ca use` comes first".into())
    })?;
    may_go_on(&files, change, force)?;
    match std::fs::remove_file(files.directory.join(FORMER)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    writeln!(std::io::stdout(), "The former CA is worth nothing here from the next start: {RESTART}")?;
    Ok(Exit::Done)
}
