//! `qrtotp doctor`: what is wrong on this host, and what to do about it. Changes nothing. Each file looks at
//! one thing and gives findings; what a login decides by is asked of the core, and what PAM files say of
//! their one interpreter, `pam-stack`.

mod accounts;
mod files;
mod host;
mod last;
mod login;
mod login_verdict;
mod methods;
mod module;
mod out_of_date;
mod pam;
mod people;
mod proof;
pub mod report;
mod sshd;
mod sshd_files;
mod sshd_rules;
mod sshd_running;
mod stacks;
mod store;
#[cfg(test)]
pub mod tests;

pub use files::Files;
pub use people::is_no_shell;
pub use sshd::{NOT_STARTED, Sshd, Ways, lets_in_on_nothing};
pub use sshd_files::SshdFiles;
pub use stacks::{Primary, Service};

use super::config;
use crate::applied;
use crate::cli::{Doctor, DoctorWhat};
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use crate::host_names::HostNames;
use nix::errno::Errno;
use nix::unistd::geteuid;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Compiled, Config, ConfigError, ConfigFile, applied_path, check_proof_service};
use qrtotp_store::TrustError;
use report::{Finding, Report, Severity};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Advice if only root can see something.
const AS_ROOT: &str = "run it as root, for example: sudo qrtotp doctor";

pub fn run(config: &Path, socket: Option<PathBuf>, args: &Doctor) -> Result<Exit, Failure> {
    match &args.what {
        Some(DoctorWhat::Last { user, sources }) => return last::run(user, sources),
        Some(DoctorWhat::Login(login)) => return login::run(&config_file(config)?, login),
        None => {}
    }
    let report = diagnose(config, socket.as_deref());
    let mut out = std::io::stdout();
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    if args.json {
        report.write_json(args.problems, &mut out.lock())?
    } else {
        report.write(args.problems, colour, &mut out)?
    }
    Ok(if report.verdict() == Severity::Fail { Exit::Refused } else { Exit::Done })
}

/// All that is found on this host.
pub fn diagnose(config: &Path, socket: Option<&Path>) -> Report {
    let mut report = Report::new(SystemClock.now());
    let config = &std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let (files, sshd) = (Files::read(), sshd::Sshd::ask());
    let mut found = Report::new(0);
    let context = configuration(config, &mut found);
    let settings = context.as_ref().map(|context| &context.config);
    let known = pam::OutsideFacts {
        config_path: config,
        config: settings,
        sshd: sshd.primary(),
        sshd_service: sshd.service(),
    };
    let in_use = pam::check(&files, &known, &mut report);
    for finding in found.findings {
        report.add(if in_use { finding } else { not_yet(finding) });
    }
    // Only of one that logins can read: a FIFO in its place would be waited for.
    if in_use && settings.is_some() && geteuid().is_root() {
        report.add_all(guard(config));
    }
    if settings.is_some_and(|config| proof::is_needed(&files, config, host::broker_is_on(socket))) {
        proof::check(&files, &check_proof_service().map_err(|error| error.to_string()), &mut report);
        proof::check_files(&files, &mut report);
    }
    module::check(&files, &mut report);
    sshd::check(&sshd, &files, settings, &mut report);
    sshd_running::reloaded(&sshd, &mut report);
    sshd_rules::hardware_keys(&sshd, context.as_ref(), &mut report);
    sshd_rules::names_for_addresses(&sshd, context.as_ref(), &mut report);
    if let Some(context) = &context {
        store::check(context, &files, in_use, &mut report);
    }
    report.add(host::clock(&SystemClock));
    report.add(host::broker(socket));
    report.add(host::log(Path::new(host::LOG)));
    report
}

/// A finding about PAM or sshd that is no better than a warning, to be compared with others.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub id: &'static str,
    pub severity: Severity,
    /// A single one.
    subject: String,
    what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)
    }
}

/// The current problems of PAM and sshd.
pub fn problems(config_path: &Path, config: &Config) -> Vec<Problem> {
    let (files, sshd, mut report) = (Files::read(), Sshd::ask(), Report::new(0));
    let known = pam::OutsideFacts {
        config_path,
        config: Some(config),
        sshd: sshd.primary(),
        sshd_service: sshd.service(),
    };
    pam::check(&files, &known, &mut report);
    module::check(&files, &mut report);
    sshd::check(&sshd, &files, Some(config), &mut report);
    let found = report.findings.into_iter().filter(|finding| finding.severity >= Severity::Warn);
    let each = |finding: Finding| {
        let Finding { id, severity, subject, what, .. } = finding;
        let subjects: Vec<String> = subject.split(", ").map(str::to_owned).collect();
        subjects.into_iter().map(move |subject| Problem { id, severity, subject, what: what.clone() })
    };
    found.flat_map(each).collect()
}

/// The lock-out guard's objections to what is applied: a rule may have been forced, or the host has changed.
fn guard(path: &Path) -> Vec<Finding> {
    let applied = std::fs::read(applied_path(path)).ok();
    let compiled = applied.and_then(|bytes| Compiled::from_applied(&bytes).ok());
    let found = compiled.and_then(|compiled| config::objections(path, &compiled).ok()).unwrap_or_default();
    // L1 is about who runs this now, from where and at what time.
    let found = found.iter().filter(|found| found.key != "L1");
    found.map(|found| Finding::of_config("configuration-guard", found.key, found)).collect()
}

/// A finding about the configuration while no PAM file names the module: no login is denied yet.
fn not_yet(finding: Finding) -> Finding {
    let severity = finding.severity.min(Severity::Warn);
    let what = finding.what.replace("every login is denied: ", "");
    Finding { severity, what, ..finding }
}

/// Its mode, its owner and what is in it, as a login sees them.
fn configuration(path: &Path, report: &mut Report) -> Option<Context> {
    let shown = path.display().to_string();
    match ConfigFile::load(path, SystemClock.now()) {
        Ok(source) => {
            report.add(Finding::ok("configuration", &shown, "can be used; only root may write to it"));
            match (applied::is_pending(path), applied::compiled(path)) {
                _ if !geteuid().is_root() => {}
                (_, Err(failure)) => report.add(
                    Finding::warn(
                        "configuration-faulty",
                        &shown,
                        &format!("the files can't be applied: {failure}"),
                    )
                    .why("logins go by what was applied before"),
                ),
                (true, Ok(_)) => report.add(
                    Finding::warn("configuration-not-applied", &shown, "was changed after it was applied")
                        .why("logins don't know of the change yet")
                        .fix("`qrtotp config diff` shows the change, `qrtotp config apply` applies it"),
                ),
                (false, Ok(_)) => {}
            }
            let context = Context::of(source);
            for found in config::settings(&context) {
                report.add(Finding::of_config("configuration-risk", found.key, &found));
            }
            report.add_all(out_of_date::grace_period(&context.config, SystemClock.now()));
            report.add_all(out_of_date::out_of_date(&context.config, &HostNames, SystemClock.now()));
            Some(context)
        }
        Err(ConfigError::Trust(TrustError::Io { errno: Errno::EACCES, .. })) if !geteuid().is_root() => {
            report.add(Finding::warn("configuration-unknown", &shown, "only root may read it").fix(AS_ROOT));
            None
        }
        Err(error) => {
            let what = format!("every login is denied: {}", Failure::from(error));
            report.add(Finding::fail("configuration", &shown, &what));
            None
        }
    }
}
