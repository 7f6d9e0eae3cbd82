//! `qrtotp watch`: reports anomalies as they happen. It reads only the log and the applied configuration, so
//! it needs neither root nor the store.

mod hook;
pub mod position;

use super::audit::sources;
use crate::cli::{Watch as Arguments, WatchLeast as Least};
use crate::error::{Exit, Failure};
use hook::Hook;
use nix::sys::stat::fstat;
use position::Position;
use qrtotp_audit_log::{Anomaly, Severity, Thresholds, Watch};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Config, ConfigError, ConfigFile, minute_of_week};
use qrtotp_values::UnixTime;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Older events raise no alert: they only tell where an account's chain ends, which the next line of its sudo
/// must follow.
const HISTORY: i64 = 30 * 86_400;
/// The position in the log is kept so often.
const KEPT: Duration = Duration::from_secs(10);

pub fn run(config: &Path, args: &Arguments) -> Result<Exit, Failure> {
    let started = SystemClock.now();
    let live = args.sources.file.is_empty();
    let entries = if live {
        sources::since_and_follow((started - HISTORY).saturating_mul(1_000_000))?
    } else {
        sources::open(&args.sources, None)?
    };
    let least = match args.least {
        Least::Info => Severity::Info,
        Least::Notice => Severity::Notice,
        Least::Warning => Severity::Warning,
        Least::Alert => Severity::Alert,
    };
    let (position, read, mut counts) =
        Position::load(args.state.as_deref(), started.saturating_mul(1_000_000));
    let (hook, mut kept) = (Hook::start(args.hook.clone(), position), Instant::now());
    let (mut watch, mut out) = (Watch::new(thresholds(config, started)), std::io::stdout().lock());
    let journal = is_the_journal(&std::io::stdout());
    for entry in entries {
        let expected =
            |anomaly: &Anomaly| args.expect.iter().any(|(rule, about)| anomaly.is_of(rule, about.as_deref()));
        let found = watch.read(&entry);
        // The log's own time, which nobody else can set.
        let time = if entry.time == 0 { entry.when() } else { entry.time };
        // An earlier run reported what it had read.
        let is_news = !live || time > read;
        let mut is_reported = false;
        for anomaly in
            found.iter().filter(|anomaly| is_news && anomaly.severity >= least && !expected(anomaly))
        {
            is_reported = true;
            if args.json {
                writeln!(out, "{}", anomaly.to_json())?;
            } else {
                let prefix = if journal { anomaly.severity.prefix() } else { "" };
                writeln!(out, "{prefix}{anomaly}")?;
            }
            out.flush()?;
            counts.entry(anomaly.rule).and_modify(|count| *count += 1);
            // What happens now waits for no hook; a saved log does.
            hook.run(anomaly, !live);
        }
        // At once after an anomaly, which must not be reported again, else now and then.
        if is_reported || kept.elapsed() >= KEPT {
            kept = Instant::now();
            hook.keep(time, &counts);
        }
    }
    if live {
        return Err(Failure::Error("the log can't be followed any more".into()));
    }
    hook.end();
    Ok(Exit::Done)
}

/// `[watch]` of the applied configuration. Without a usable one, the defaults.
fn thresholds(path: &Path, now: UnixTime) -> Thresholds {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let config = match ConfigFile::load(&path, now) {
        Ok(file) => file.config,
        Err(ConfigError::NotApplied(_)) => Config::default(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "qrtotp: {error}; the thresholds are the defaults");
            Config::default()
        }
    };
    let (watch, rules) = (config.watch, config.rules);
    Thresholds {
        spray_accounts: watch.spray_accounts.into(),
        enrolments: watch.enrollments.into(),
        enrolments_by_admin: watch.enrollments_by_admin.into(),
        is_at_work: Box::new(move |now| watch.works(minute_of_week(now, rules.offset(now).unwrap_or(0)))),
    }
}

/// Whether this is the journal's socket: JOURNAL_STREAM has its device and inode (systemd.exec(5)).
fn is_the_journal(out: &impl AsFd) -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(out).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
