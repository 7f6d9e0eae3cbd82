//! `qrtotp watch`: reports anomalies as they happen. It reads only the log, so it needs neither root nor the
//! store.

use super::audit::sources;
use crate::cli::{Watch as Arguments, WatchLeast as Least};
use crate::error::{Exit, Failure};
use crate::program::{Silence, output_of};
use nix::sys::memfd::{MFdFlags, memfd_create};
use qrtotp_audit_log::{Anomaly, Severity, Watch};
use qrtotp_clock::{Clock, SystemClock};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Older events raise no alert: they only make the places familiar where an account got in.
const HISTORY: i64 = 30 * 86_400;

pub fn run(args: &Arguments) -> Result<Exit, Failure> {
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
    let (mut watch, mut out) = (Watch::default(), std::io::stdout().lock());
    for entry in entries {
        let found = watch.read(&entry);
        for anomaly in found.iter().filter(|anomaly| anomaly.severity >= least) {
            // An earlier run reported what happened before this start.
            if live && anomaly.time < started {
                continue;
            }
            if args.json {
                writeln!(out, "{}", anomaly.to_json())?;
            } else {
                writeln!(out, "{anomaly}")?;
            }
            out.flush()?;
            tell(&args.hook, anomaly);
        }
    }
    if live {
        return Err(Failure::Error("the log can't be followed any more".into()));
    }
    Ok(Exit::Done)
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
