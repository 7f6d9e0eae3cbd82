//! `qrtotp doctor`: what is wrong on this host, and what to do about it. Changes nothing. Each file looks at one thing and
//! reports; what a login decides by is asked of the core, never judged here a second time.

mod accounts;
mod files;
mod host;
mod module;
mod pam;
pub mod report;
mod sshd;
mod store;

pub use files::Files;
pub use sshd::lets_in_on_nothing;

use super::config;
use crate::applied;
use crate::context::Context;
use crate::error::{Exit, Failure};
use nix::errno::Errno;
use nix::unistd::geteuid;
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::policy::{ConfigError, Source};
use qrtotp_core::store::TrustError;
use report::Report;
use std::path::{Path, PathBuf};

/// What to do about what only root can see.
const AS_ROOT: &str = "run it as root, for example: sudo qrtotp doctor";

pub fn run(config: &Path, socket: Option<PathBuf>, json: bool) -> Result<Exit, Failure> {
    let mut report = Report::new(SystemClock.now());
    let config = &std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let context = configuration(config, &mut report);
    let files = files::Files::read();
    let in_use = pam::check(&files, config, context.as_ref().map(|context| &context.config), &mut report);
    module::check(&files, &mut report);
    sshd::check(&files, &mut report);
    sshd::hardware_keys(context.as_ref(), &mut report);
    if let Some(context) = &context {
        store::check(context, in_use, &mut report);
    }
    host::clock(&SystemClock, &mut report);
    host::broker(socket.as_deref(), &mut report);
    host::log(Path::new(host::LOG), &mut report);
    let mut out = std::io::stdout().lock();
    if json {
        report.write_json(&mut out)?
    } else {
        report.write(&mut out)?
    }
    Ok(if report.failed() { Exit::Refused } else { Exit::Done })
}

/// Its mode, its owner and what is in it, as a login sees them.
fn configuration(path: &Path, report: &mut Report) -> Option<Context> {
    let shown = path.display().to_string();
    let mut about = report.about("configuration", &shown);
    match Source::load(path, SystemClock.now()) {
        Ok(source) => {
            about.ok("can be used; nobody but root may write to it");
            match (applied::is_pending(path), applied::compiled(path)) {
                _ if !geteuid().is_root() => {}
                (_, Err(failure)) => about.warn(
                    &format!("logins go by what was applied before; the files can't be applied: {failure}"),
                    "",
                ),
                (true, Ok(_)) => about.warn(
                    "was changed after it was applied, and logins don't know of it yet",
                    "`qrtotp config diff` shows the change, `qrtotp config apply` applies it",
                ),
                (false, Ok(_)) => {}
            }
            let context = Context::of(source);
            for finding in config::settings(&context) {
                report.about("configuration", finding.key).finding(&finding);
            }
            Some(context)
        }
        Err(ConfigError::Trust(TrustError::Io { errno: Errno::EACCES, .. })) if !geteuid().is_root() => {
            about.skip("only root may read it", AS_ROOT);
            None
        }
        Err(error) => {
            about.fail(&format!("every login is denied: {}", Failure::from(error)), "");
            None
        }
    }
}
