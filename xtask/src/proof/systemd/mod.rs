//! The shipped units, PAM service and binaries in booted Debian systems, each with its own systemd.

pub mod confirm;

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use super::{
    Findings,
    booted::{self, RELEASES, value},
};
use crate::{
    apt,
    build::{self, Artefacts},
};

const PACKAGES: &str = "systemd-sysv,libpam-modules,libpam-runtime,passwd,util-linux,oathtool,pamtester,prometheus-node-exporter";

/// The name in `inside.sh`, a description, and the expected result.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("before", "the service, before anybody called", "inactive"),
    ("status", "the first caller starts it and is answered", "alice: unenrolled"),
    ("after", "the service, after that", "active"),
    ("wrong_password", "an enrolment with a wrong password", "refused"),
    ("right_password", "one with the right password", "key"),
    ("shadow_0000", "the same where root may not read /etc/shadow by its mode (0000)", "refused"),
    ("helper_runs", "calls of unix_chkpwd in that, which pam_unix makes after setuid(0)", "1"),
    ("shadow_0000_with_drop_in", "the same with the drop-in for that", "key"),
    ("faillock_as_shipped", "pam_faillock counts without a drop-in, in a new file", "1"),
    ("faillock_as_shipped_own_file", "in a file that is the user's alone", "0"),
    ("faillock_with_drop_in_own_file", "the same with the drop-in for pam_faillock", "1"),
    ("faillock_with_drop_in", "in a new file, which then belongs to", "1 alice"),
    ("faillock_right_password", "the right password in that stack", "key"),
    ("idle", "the service some seconds after its last caller, with --idle-exit 1", "inactive"),
    ("again", "the next caller is answered", "alice (uid 1000): unenrolled"),
    ("after_a_crash", "and so is one after SIGKILL", "alice (uid 1000): unenrolled"),
    ("socket", "the socket, after a broker that can't start", "active"),
    ("repaired", "a caller once it can", "alice (uid 1000): unenrolled"),
    (
        "metrics",
        "the timer qrtotp-metrics writes",
        "-rw-r--r-- root, qrtotp_accounts{standing=\"enrolled\"} 2",
    ),
    ("logins", "logins with one code from two networks", "in, refused"),
    ("watch_user", "the user of qrtotp-watch is", "its own"),
    (
        "watch_says",
        "it prints to the journal",
        "severity=alert rule=intercepted user=bobby from=203.0.113.0/24",
    ),
    (
        "served",
        "node_exporter serves, after the next run",
        "qrtotp_logins_total{reason=\"code\",result=\"accepted\",service=\"proof\"} 1",
    ),
    ("hook", "its hook gets", "json, its-own, --channel ops, secrets none, server refused"),
    (
        "hook_with_network",
        "with the drop-in for a server",
        "json, its-own, --channel ops, secrets none, server reached",
    ),
    ("checkpoint", "checkpoints of the timer qrtotp-checkpoint, which is late", "1 kept, 1 logged"),
];

/// # Errors
/// A step can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::PROOF])?;
    let artefacts = build::release()?;
    let columns: Vec<_> = RELEASES
        .into_iter()
        .map(|release| Ok((release, boot(release, &artefacts)?)))
        .collect::<Result<_>>()?;
    let more = [
        ("exposure", "exposure, as `systemd-analyze security` says (at most 2.0)"),
        ("starts_in_5_s", "starts within 5 s of a broker that can't start (at most 10)"),
    ];
    let mut found = booted::compare(&columns, EXPECTED, &more)?;
    for (release, seen) in &columns {
        for (name, most) in [("exposure", 2.0), ("starts_in_5_s", 10.0)] {
            if !value(seen, name).parse().is_ok_and(|number: f32| number <= most) {
                let seen = value(seen, name);
                found.failures.push(format!("{release}: {name} is {seen:?}, more than {most}"));
            }
        }
    }
    Ok(found)
}

/// The results of a freshly booted system of that release.
fn boot(release: &str, artefacts: &Artefacts) -> Result<String> {
    let root = booted::root(release, "systemd", PACKAGES, include_str!("inside.sh"))?;
    booted::furnish(&root, artefacts)?;
    let (seen, console) = booted::boot(&root, Duration::from_secs(300))?;
    ensure!(seen.contains("checkpoint="), "{release} did not get to the end: {seen}\n{console}");
    fs::remove_dir_all(&root)?;
    Ok(seen)
}
