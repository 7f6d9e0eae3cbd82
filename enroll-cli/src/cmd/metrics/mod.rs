//! `qrtotp metrics`: the store in numbers, for Prometheus. No names: they would be labels without end, and
//! nobody's business.

use super::census::Census;
use crate::applied;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::replaced_file::replace;
use nix::sys::stat::Mode;
use qrtotp_clock::{Clock, SystemClock};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

pub fn run(config: &Path, context: &Context, textfile: Option<&Path>) -> Result<Exit, Failure> {
    let census = Census::take(context, SystemClock.now())?;
    let exit = census.exit.unwrap_or(Exit::Done);
    let text = text(&census, exit == Exit::Done, applied::is_pending(config));
    match textfile {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => replace(path, text.as_bytes(), Mode::from_bits_truncate(0o644))
            .map_err(|error| Failure::Error(format!("cannot write {}: {error}", path.display())))?,
    }
    Ok(exit)
}

fn text(census: &Census, complete: bool, pending: bool) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, values: &[(&str, u64)]| {
        let _ = writeln!(out, "# HELP qrtotp_{name} {help}\n# TYPE qrtotp_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(out, "qrtotp_{name}{labels} {value}");
        }
    };
    let standings = [
        ("{standing=\"enrolled\"}", census.enrolled),
        ("{standing=\"unenrolled\"}", census.unenrolled),
        ("{standing=\"revoked\"}", census.revoked),
    ];
    gauge("accounts", "Records, by standing.", &standings);
    gauge("accounts_stale", "Enrolled accounts without a code for 90 days.", &[("", census.stale)]);
    gauge("accounts_few_recovery_codes", "Enrolled accounts with two or fewer.", &[("", census.few_codes)]);
    gauge("accounts_disabled", "Accounts disabled by wrong codes.", &[("", census.disabled)]);
    gauge("devices", "Enrolled apps and hardware ssh keys.", &[("", census.devices)]);
    gauge("tokens_open", "Live enrolment tokens.", &[("", census.open_tokens)]);
    gauge("audit_lines", "Lines of the audit chains of all accounts.", &[("", census.lines)]);
    gauge("policy_pending", "1 if the configuration was changed and not applied.", &[("", pending.into())]);
    gauge("store_readable", "1 if every record could be read.", &[("", complete.into())]);
    out.push_str("# EOF\n");
    out
}
