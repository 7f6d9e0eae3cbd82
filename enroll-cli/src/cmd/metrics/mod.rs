//! `qrtotp metrics`: the store in numbers, for Prometheus. No names: they would be labels without end, and
//! nobody's business.

mod counters;

use super::audit::kept_checkpoints::kept;
use super::census::Census;
use crate::applied;
use crate::cmd::fleet::FleetNumbers;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::replaced_file::replace;
use counters::Counters;
use nix::sys::stat::Mode;
use qrtotp_clock::{Clock, SystemClock};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

pub fn run(config: &Path, context: &Context, textfile: Option<&Path>) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let fleet = FleetNumbers::take(context, now)?;
    let (mut text, exit) = match &fleet {
        Some(FleetNumbers { hosts: None }) => (String::new(), Exit::Error),
        _ => {
            let census = Census::take(context, now)?;
            let exit = census.exit.unwrap_or(Exit::Done);
            let host = Host {
                policy: context.config.rules.generation,
                is_pending: applied::is_pending(config),
                checkpoint: kept(context).first().copied(),
            };
            (gauges(&census, exit == Exit::Done, &host), exit)
        }
    };
    if let Some(fleet) = fleet {
        fleet.write(&mut text);
    }
    if let Some(path) = textfile {
        let mut counters = Counters::of(path, now);
        counters.read_log(now)?;
        counters.write(&mut text);
    }
    text.push_str("# EOF\n");
    match textfile {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => replace(path, text.as_bytes(), Mode::from_bits_truncate(0o644))
            .map_err(|error| Failure::Error(format!("cannot write {}: {error}", path.display())))?,
    }
    Ok(exit)
}

/// Policy and checkpoints of the host.
struct Host {
    policy: u64,
    is_pending: bool,
    /// When the last checkpoint was made.
    checkpoint: Option<i64>,
}

fn gauges(census: &Census, complete: bool, host: &Host) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, values: &[(&str, u64)]| gauge(&mut out, name, help, values);
    let standings = [
        ("{standing=\"enrolled\"}", census.enrolled),
        ("{standing=\"unenrolled\"}", census.unenrolled),
        ("{standing=\"revoked\"}", census.revoked),
    ];
    gauge("accounts", "Records, by standing.", &standings);
    gauge("accounts_stale", "Enrolled accounts without a code for 90 days.", &[("", census.stale)]);
    gauge("accounts_few_recovery_codes", "Enrolled accounts with two or fewer.", &[("", census.few_codes)]);
    gauge("accounts_disabled", "Accounts disabled by wrong codes.", &[("", census.disabled)]);
    let closed = [("{lane=\"strangers\"}", census.closed[0]), ("{lane=\"own\"}", census.closed[1])];
    gauge("lanes_closed", "Accounts whose lane is closed by wrong codes.", &closed);
    gauge("accounts_intercepted", "Accounts that need two codes at new places.", &[("", census.intercepted)]);
    gauge("devices", "Enrolled apps and hardware ssh keys.", &[("", census.devices)]);
    gauge("tokens_open", "Live enrolment tokens.", &[("", census.open_tokens)]);
    gauge("audit_lines", "Lines of the audit chains of all accounts.", &[("", census.lines)]);
    gauge("policy_generation", "The number of the applied configuration.", &[("", host.policy)]);
    let pending = host.is_pending.into();
    gauge("policy_pending", "1 if the configuration was changed and not applied.", &[("", pending)]);
    if let Some(time) = host.checkpoint.and_then(|time| u64::try_from(time).ok()) {
        gauge("last_checkpoint_timestamp_seconds", "When the last checkpoint was made.", &[("", time)]);
    }
    gauge("store_readable", "1 if every record could be read.", &[("", complete.into())]);
    out
}

/// Appends a gauge with a value for each set of labels.
pub fn gauge(out: &mut String, name: &str, help: &str, values: &[(&str, u64)]) {
    let _ = writeln!(out, "# HELP qrtotp_{name} {help}\n# TYPE qrtotp_{name} gauge");
    for (labels, value) in values {
        let _ = writeln!(out, "qrtotp_{name}{labels} {value}");
    }
}
