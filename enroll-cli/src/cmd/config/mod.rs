//! `qrtotp config …`: from the files that people edit to what logins go by. Nothing here decides a login: all
//! call `RuleSet::decide`, as a login does.

mod apply;
mod check;
mod diff;
mod edit;
mod explain;
mod guard;
mod host;
mod list;
mod login_end;
mod objections;
mod sshd;
mod test;
mod words;

pub use check::{disk, settings, store};
pub use explain::explained;

use crate::applied::{self, expire};
use crate::cli;
use crate::cmd::doctor::Ways;
use crate::context::config_file;
use crate::error::{Exit, Failure};
use nix::unistd::{Uid, User};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Applied, Config, ConfigError, Damaged, applied_path};
use qrtotp_store::FileStore;
use std::collections::BTreeSet;
use std::path::Path;

pub fn run(path: &Path, what: cli::Config) -> Result<Exit, Failure> {
    let path = &config_file(path)?;
    expire(path)?;
    match what {
        cli::Config::Check => check::run(path),
        cli::Config::Apply(args) => apply::apply(path, &args),
        cli::Config::Confirm => apply::confirm(path),
        cli::Config::Rollback { number } => apply::rollback(path, number),
        cli::Config::List => list::run(path),
        cli::Config::Explain(args) => explain::run(path, &args),
        cli::Config::Test { file } => test::run(path, file.as_deref()),
        cli::Config::Diff => diff::run(path),
        cli::Config::Show { number } => list::show(path, number),
        cli::Config::Edit => edit::run(path),
        cli::Config::Sshd => sshd::run(path),
    }
}

/// Whether anybody who can become root has a device, or gets in without one at each of these services once
/// they ask for codes: by a rule, or by enrolling there.
pub fn an_admin_gets_in(config: &Config, store: &FileStore, services: &[String]) -> Result<bool, Failure> {
    let now = SystemClock.now();
    let accounts = host::Accounts { store: Some(store), now };
    let host = accounts.host(&[], &|_| true, Ways::default());
    let found =
        accounts.admins().map(|admin| login_end::gets_in_at_all(config, &host, &admin, services, now));
    let found: Result<Vec<bool>, Damaged> = found.collect();
    let damaged = |Damaged| Failure::Error("the rules are damaged; run `qrtotp config apply`".into());
    Ok(found.map_err(damaged)?.contains(&true))
}

/// Whether this account has a device and can become root, and no other.
pub fn is_last_admin(store: &FileStore, name: &str) -> bool {
    let accounts = host::Accounts { store: Some(store), now: SystemClock.now() };
    let admins = accounts.admins().filter(|admin| admin.device).map(|admin| admin.name);
    admins.collect::<BTreeSet<_>>().into_iter().eq([name.to_owned()])
}

/// The configuration in force, the newest applied one if it differs, and the bytes of the file.
struct Stored {
    in_force: Applied,
    newest: Applied,
    bytes: Vec<u8>,
}

/// The applied configuration; `None` if none was ever applied.
fn stored(path: &Path) -> Result<Option<Stored>, Failure> {
    let now = SystemClock.now();
    match applied::read(path) {
        Err(ConfigError::NotApplied(_)) => return Ok(None),
        loaded => loaded?,
    };
    let applied = applied_path(path);
    let bytes =
        std::fs::read(&applied).map_err(|error| Failure::Error(format!("{}: {error}", applied.display())))?;
    let damaged = |_| ConfigError::Damaged(applied.clone());
    let in_force = Applied::in_force(&bytes, now).map_err(damaged)?;
    let newest = Applied::newest(&bytes).map_err(damaged)?;
    Ok(Some(Stored { in_force, newest, bytes }))
}

/// The name of an account, for people.
fn user_name(uid: u32) -> String {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}
