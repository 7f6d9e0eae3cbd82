//! `qrtotp watch`: reports anomalies as they happen. It reads only the log and the applied configuration, so
//! it needs neither root nor the store.

use super::audit::sources;
use crate::cli::{Watch as Arguments, WatchLeast as Least};
use crate::error::{Exit, Failure};
use crate::program::{Silence, output_of};
use nix::sys::memfd::{MFdFlags, memfd_create};
use qrtotp_audit_log::{Anomaly, Severity, Thresholds, Watch};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Config, ConfigError, ConfigFile, minute_of_week};
use qrtotp_values::UnixTime;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Older events raise no alert: they only tell where an account's chain ends, which the next line of its sudo
/// must follow.
const HISTORY: i64 = 30 * 86_400;
/// The place in the log is kept so often.
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
    let mut place = Place::load(args.state.as_deref(), started.saturating_mul(1_000_000));
    let (mut watch, mut out) = (Watch::new(thresholds(config, started)), std::io::stdout().lock());
    for entry in entries {
        let expected =
            |anomaly: &Anomaly| args.expect.iter().any(|(rule, about)| anomaly.is_of(rule, about.as_deref()));
        let found = watch.read(&entry);
        // The log's own time, which nobody else can set.
        let time = if entry.time == 0 { entry.when() } else { entry.time };
        // An earlier run reported what it had read.
        let is_news = !live || time > place.read;
        let mut told = found
            .iter()
            .filter(|anomaly| is_news && anomaly.severity >= least && !expected(anomaly))
            .peekable();
        let is_told = told.peek().is_some();
        for anomaly in told {
            if args.json {
                writeln!(out, "{}", anomaly.to_json())?;
            } else {
                writeln!(out, "{anomaly}")?;
            }
            out.flush()?;
            tell(&args.hook, anomaly);
        }
        place.keep(time, is_told);
    }
    if live {
        return Err(Failure::Error("the log can't be followed any more".into()));
    }
    Ok(Exit::Done)
}

/// `[watch]` of the applied configuration. Without a usable one, the defaults.
fn thresholds(path: &Path, now: UnixTime) -> Thresholds {
    let config = match ConfigFile::load(path, now) {
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

/// How far the log was read, for the next run.
struct Place {
    file: Option<PathBuf>,
    /// In microseconds since 1970: what is not newer was reported.
    read: i64,
    reached: i64,
    kept: Instant,
}

impl Place {
    /// Without a file, or with a new one, the log counts from `now` on.
    fn load(file: Option<&Path>, now: i64) -> Self {
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        let read = text.and_then(|text| text.trim().parse().ok()).map_or(now, |read: i64| read.min(now));
        Self { file: file.map(Path::to_owned), read, reached: read, kept: Instant::now() }
    }

    /// Keeps the place: at once if an anomaly was told, which must not be told again, else now and then.
    fn keep(&mut self, time: i64, at_once: bool) {
        let Some(file) = self.file.as_ref().filter(|_| time > self.reached) else { return };
        if !at_once && self.kept.elapsed() < KEPT {
            return;
        }
        (self.reached, self.kept) = (time, Instant::now());
        let mut next = file.as_os_str().to_owned();
        next.push(".new");
        let written = std::fs::write(&next, format!("{time}\n")).and_then(|()| std::fs::rename(&next, file));
        if let Err(error) = written {
            let _ = writeln!(std::io::stderr(), "qrtotp: cannot write {}: {error}", file.display());
        }
    }
}

/// Runs the hook. Its failure is printed and ends nothing.
fn tell(hook: &[OsString], anomaly: &Anomaly) {
    let Some((program, arguments)) = hook.split_first() else { return };
    let told = input(&format!("{}\n", anomaly.to_json())).map_err(Silence::from).and_then(|input| {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        output_of(command, input)
    });
    if let Err(Silence::Unasked(why) | Silence::Refuses(why)) = told {
        let program = program.to_string_lossy();
        let _ = writeln!(std::io::stderr(), "qrtotp: {program}: {}", qrtotp_values::text::clean(&why, 512));
    }
}

fn input(text: &str) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("anomaly", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_later_run_goes_on_where_the_earlier_one_told_its_last_anomaly() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("place");
        let mut first = Place::load(Some(&file), 1000);
        assert_eq!(first.read, 1000);
        first.keep(2000, true);
        first.keep(3000, false);
        first.keep(1500, true);
        assert_eq!(Place::load(Some(&file), 9000).read, 2000, "what came since may have an anomaly");
        assert_eq!(Place::load(Some(&file), 1500).read, 1500, "the clock was set back");
        assert_eq!(Place::load(None, 9000).read, 9000);
    }
}
