//! `qrtotp metrics`: the store in numbers, for Prometheus. No names: they would be labels without end, and
//! nobody's business.

mod counters;
mod exposition;

use super::audit::kept_checkpoints::{Verified, kept};
use super::census::Census;
use crate::applied;
use crate::cmd::fleet::FleetNumbers;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::replaced_file::replace;
use counters::Counters;
use exposition::{Exposition, Form};
use nix::sys::stat::Mode;
use qrtotp_clock::{Clock, SystemClock};
use std::io::Write as _;
use std::path::Path;

pub fn run(
    config: &Path,
    context: &Context,
    textfile: Option<&Path>,
    state: Option<&Path>,
) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let fleet = FleetNumbers::take(context, now)?;
    let census = match &fleet {
        Some(FleetNumbers { hosts: None }) => None,
        _ => Some(Census::take(context, now)?),
    };
    let exit = census.as_ref().map_or(Exit::Error, |census| census.exit.unwrap_or(Exit::Done));
    let host = Host {
        policy: context.config.rules.generation,
        is_pending: applied::is_pending(config),
        checkpoint: kept(context).first().copied(),
        verified: Verified::last(context),
    };
    let counters = textfile.or(state).map(|path| Counters::read(path, context, now)).transpose()?;
    let all = |form| {
        let mut out = Exposition::new(form);
        if let Some(census) = &census {
            gauges(census, exit == Exit::Done, &host, &mut out);
        }
        if let Some(fleet) = &fleet {
            fleet.each(&mut |name, help, values| gauge(&mut out, name, help, values));
        }
        counters.iter().for_each(|counters| counters.write(&mut out));
        out.end()
    };
    if let Some(path) = textfile {
        write(path, &all(Form::Text), 0o644)?;
        return Ok(exit);
    }
    // Printed first: a run that fails leaves the counts to the next one.
    let mut out = std::io::stdout().lock();
    out.write_all(all(Form::OpenMetrics).as_bytes())?;
    out.flush()?;
    if let (Some(path), Some(counters)) = (state, &counters) {
        let mut kept = Exposition::new(Form::Text);
        counters.write(&mut kept);
        write(path, &kept.end(), 0o600)?;
    }
    Ok(exit)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    replace(path, text.as_bytes(), Mode::from_bits_truncate(mode))
        .map_err(|error| Failure::Error(format!("cannot write {}: {error}", path.display())))
}

/// Policy and checkpoints of the host.
struct Host {
    policy: u64,
    is_pending: bool,
    /// When the last checkpoint was made.
    checkpoint: Option<i64>,
    /// The result of the last verification of the log that a checkpoint began with.
    verified: Option<Verified>,
}

fn gauge(out: &mut Exposition, name: &str, help: &str, values: &[(&str, u64)]) {
    out.gauge(&format!("qrtotp_{name}"), help, values.iter().copied());
}

fn gauges(census: &Census, complete: bool, host: &Host, out: &mut Exposition) {
    let mut gauge = |name: &str, help: &str, values: &[(&str, u64)]| gauge(out, name, help, values);
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
    if let Some((Verified { found, lost, .. }, time)) =
        host.verified.and_then(|verified| Some((verified, u64::try_from(verified.at).ok()?)))
    {
        gauge(
            "chain_broken",
            "Findings of changed, removed or added lines, at the last verification.",
            &[("", found)],
        );
        gauge("chain_lost_lines", "Lines that may only be lost, at the last verification.", &[("", lost)]);
        gauge("last_verification_timestamp_seconds", "When the log was last verified.", &[("", time)]);
    }
    gauge("store_readable", "1 if every record could be read.", &[("", complete.into())]);
}
