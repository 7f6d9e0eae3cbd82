//! `qrtotp fleet import`.

use super::verifier;
use crate::cli::FleetImport;
use crate::context::{subject, syslog};
use crate::error::{Exit, Failure, shown, store_failure};
use qrtotp_clock::SystemClock;
use qrtotp_flow::{Ctx, HostDirectory, take_over};
use qrtotp_policy::{ConfigFile, DEFAULT_PATH};
use qrtotp_store::{Account, AccountStore, FileStore, Store};
use std::io::Write;
use std::path::Path;

pub fn run(named: &Path, args: &FleetImport) -> Result<Exit, Failure> {
    let (from, accounts) = read(args)?; // while we are root
    let (context, files) = verifier::files(named)?;
    let store = files.open_beside()?;
    let (mut out, mut log) = (std::io::stdout().lock(), syslog());
    let (mut taken, mut exit) = (0, Exit::Done);
    for account in &accounts {
        let name = &account.record.name;
        let mut ctx = Ctx {
            config: &context.config,
            store: &store,
            directory: &HostDirectory,
            clock: &SystemClock,
            audit: &mut log,
            subject: subject(name.as_str()),
        };
        match take_over(&mut ctx, account, from.key()) {
            Ok(true) => taken += 1,
            Ok(false) => {
                writeln!(out, "{name}  is in the fleet already; nothing was changed")?;
                exit = exit.max(Exit::Refused);
            }
            Err(error) => {
                writeln!(out, "{name}  {error}")?;
                exit = exit.max(Exit::Error);
            }
        }
    }
    writeln!(out, "{taken} of {} accounts were imported.", accounts.len())?;
    Ok(exit)
}

/// The accounts of a host's own store.
fn read(args: &FleetImport) -> Result<(FileStore, Vec<Account>), Failure> {
    let (state, keys) = match (&args.store, &args.keys) {
        (Some(state), Some(keys)) => (state.clone(), keys.clone()),
        _ => {
            let host = ConfigFile::load(Path::new(DEFAULT_PATH), qrtotp_clock::Clock::now(&SystemClock))
                .map_err(|error| Failure::Error(error.to_string()))?;
            (host.config.state_dir.0, host.dir_path)
        }
    };
    let failed = |error| Failure::Error(format!("{}: {}", shown(&state), store_failure(&error)));
    let store = FileStore::open(&state, &keys).map_err(failed)?;
    let mut accounts = Vec::new();
    for name in AccountStore::names(&store).map_err(failed)? {
        let account = store.load(&name).map_err(|error| {
            Failure::Error(format!("{name}: {}; nothing was imported", store_failure(&error)))
        })?;
        accounts.extend(account);
    }
    accounts.sort_by(|a, b| a.record.name.as_str().cmp(b.record.name.as_str()));
    Ok((store, accounts))
}
