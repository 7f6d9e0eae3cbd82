//! `qrtotp init`: makes the files that a host needs before anybody enrols: configuration, its applied form,
//! sealing key and store. Existing files stay unchanged.

use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use qrtotp_policy::applied_path;
use qrtotp_store::FileStore;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The configuration that the package ships: defaults.
const DEFAULTS: &[u8] = include_bytes!("../../../conf/qrtotp.toml");

pub fn run(path: &Path) -> Result<Exit, Failure> {
    let path = &config_file(path)?;
    let mut made = Vec::new();
    if write_defaults(path).map_err(|error| Failure::Error(format!("{}: {error}", path.display())))? {
        made.push(path.display().to_string());
    }
    let applied = applied_path(path);
    let was_applied = applied.exists();
    let context = Context::load(path)?;
    if !was_applied {
        made.push(applied.display().to_string());
    }
    let store = &context.config.state_dir.0;
    let was_made = FileStore::is_made(store, &context.key_dir)?;
    context.store_or_new()?;
    if !was_made {
        made.push(context.key_dir.join("seal.key").display().to_string());
        made.push(store.display().to_string());
    }
    let mut out = std::io::stdout().lock();
    if made.is_empty() {
        writeln!(out, "Everything is there already; nothing was changed.")?;
    } else {
        writeln!(out, "Made {}.", made.join(", "))?;
        writeln!(
            out,
            "Back up seal.key now, apart from the store. Nobody is enrolled yet: qrtotp enroll USER"
        )?;
    }
    Ok(Exit::Done)
}

/// Whether there was no configuration, so that the defaults are written.
pub fn write_defaults(path: &Path) -> std::io::Result<bool> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Ok(mut file) => {
            file.write_all(DEFAULTS)?;
            file.sync_all()?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
