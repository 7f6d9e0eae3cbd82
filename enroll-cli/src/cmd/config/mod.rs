//! `qrtotp config …`: from the files that people edit to what logins go by. Nothing here decides a login: all
//! call `RuleSet::decide`, as a login does.

mod admins;
mod apply;
mod check;
mod diff;
mod edit;
mod explain;
#[cfg(test)]
mod explain_tests;
mod guard;
mod host;
mod list;
mod login_end;
mod objections;
mod share;
mod sshd;
mod surroundings;
mod test;
mod words;

pub use admins::{an_admin_gets_in, no_admin_is_left};
pub use explain::explained;
pub use objections::objections;
pub use sshd::blocks as sshd_blocks;
pub use surroundings::{disk, settings, store};
pub use words::count;

use crate::applied::{self, expire};
use crate::cli::Config;
use crate::context::config_file;
use crate::error::{Exit, Failure};
use nix::unistd::{Uid, User};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Applied, ConfigError, applied_path};
use std::path::Path;

pub fn run(path: &Path, what: Config) -> Result<Exit, Failure> {
    let path = &config_file(path)?;
    expire(path)?;
    match what {
        Config::Check => check::run(path),
        Config::Apply(args) => apply::apply(path, &args),
        Config::Confirm => apply::confirm(path),
        Config::Rollback(args) => apply::rollback(path, &args),
        Config::List => list::run(path),
        Config::Explain(args) => explain::run(path, &args),
        Config::Test { file } => test::run(path, file.as_deref()),
        Config::Diff => diff::run(path),
        Config::Show { number } => list::show(path, number),
        Config::Edit => edit::run(path),
        Config::Sshd => sshd::run(path),
    }
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
