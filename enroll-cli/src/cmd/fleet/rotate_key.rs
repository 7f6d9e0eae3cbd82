//! `qrtotp fleet rotate key`: a new key for the fleet, in steps that leave every verifier able to read all
//! values at any time.

use super::verifier;
use crate::cli::RotateKey;
use crate::error::{Exit, Failure, shown};
use qrtotp_fleet::{FLEET_KEYS, Ring};
use qrtotp_fleet_tls::write_private;
use qrtotp_store::SealKey;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const RESTART: &str = "systemctl restart qrtotpd-verifier";

pub fn run(named: &Path, step: RotateKey) -> Result<Exit, Failure> {
    match step {
        RotateKey::Begin { file } => begin(named, &file),
        RotateKey::Add { file } => add(named, &file),
        RotateKey::Use { key } => switch(named, &key),
        RotateKey::Finish => finish(named),
    }
}

/// Makes a key that opens, but does not seal yet.
fn begin(named: &Path, file: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", shown(file)));
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?; // while root
    let (key, text) = SealKey::generate().map_err(|error| Failure::Error(error.to_string()))?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    change(named, |keys| keys.push(text.trim_end().to_owned()))?;
    let (id, file) = (key.id(), shown(file));
    writeln!(
        std::io::stdout(),
        "Made the key {id}. Copy {file} to every other verifier, and run there:\n    qrtotp fleet rotate key add {file}\n\
         Delete the file everywhere. Then, on every verifier:\n    {RESTART}\n\
         Then, on one after the other:\n    qrtotp fleet rotate key use {id} && {RESTART}\n\
         Last, on one of them:\n    qrtotp fleet rotate key finish"
    )?;
    Ok(Exit::Done)
}

fn add(named: &Path, file: &Path) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::Error(format!("{}: {error}", shown(file))))?; // while root
    let key = SealKey::parse(text.as_bytes())
        .map_err(|error| Failure::Error(format!("{}: {error}", shown(file))))?;
    change(named, |keys| {
        if !keys.iter().any(|line| line == text.trim_end()) {
            keys.push(text.trim_end().to_owned());
        }
    })?;
    writeln!(std::io::stdout(), "This verifier has the key {} from its next start: {RESTART}", key.id())?;
    Ok(Exit::Done)
}

/// Lets a key seal from now on.
fn switch(named: &Path, id: &str) -> Result<Exit, Failure> {
    let mut is_there = false;
    change(named, |keys| {
        let is_it =
            |line: &String| SealKey::parse(line.as_bytes()).is_ok_and(|key| key.id().to_string() == id);
        if let Some(at) = keys.iter().position(is_it) {
            let line = keys.remove(at);
            keys.insert(0, line);
            is_there = true;
        }
    })?;
    if !is_there {
        let text = format!("this verifier has no key {id}; `qrtotp fleet rotate key add` brings it here");
        return Err(Failure::Refused(text));
    }
    writeln!(std::io::stdout(), "This verifier seals with {id} from its next start: {RESTART}")?;
    Ok(Exit::Done)
}

/// Seals everything with the key that all verifiers use.
fn finish(named: &Path) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let store = files.open_beside()?;
    let others = store.verifiers_with_other_keys()?;
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(ToString::to_string).collect();
        let text = format!(
            "{} seal with another key; run `qrtotp fleet rotate key use` there, and restart qrtotpd-verifier",
            names.join(", ")
        );
        return Err(Failure::Refused(text));
    }
    let mut after = String::new();
    while let Some(next) = store.renew(&after)? {
        after = next;
    }
    let id = files.ring()?.current().id();
    writeln!(
        std::io::stdout(),
        "Every value is sealed with {id} now. Older keys stay in {FLEET_KEYS}: backups and journals need them."
    )?;
    Ok(Exit::Done)
}

/// Changes the lines of the verifier's keys; the process is its user from now on.
fn change(named: &Path, f: impl FnOnce(&mut Vec<String>)) -> Result<(), Failure> {
    let (_, files) = verifier::files(named)?;
    let path = files.directory.join(FLEET_KEYS);
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", path.display()));
    let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(failed)?);
    let mut lines = text.lines().map(str::to_owned).collect();
    f(&mut lines);
    let text = Zeroizing::new(format!("{}\n", lines.join("\n")));
    Ring::parse(text.as_bytes()).map_err(|error| Failure::Error(format!("{}: {error}", path.display())))?;
    write_private(&path, text.as_bytes()).map_err(failed)
}
