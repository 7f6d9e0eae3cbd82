//! `qrtotp config apply --confirm` through a reboot, and with the clock set back and forward.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use super::super::{
    Findings,
    booted::{self, RELEASES},
};
use crate::{apt, build};

const PACKAGES: &str = "systemd-sysv,libpam-modules,libpam-runtime,passwd,util-linux,pamtester,faketime";

const NEW: &str = "reason=rule_denied rule=unconfirmed";
const OLD: &str = "reason=wrong_code";

/// The name in `confirm.sh`, a description, and the expected result.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("before", "a login after `config apply --confirm 1m`", NEW),
    ("boots", "boots", "2"),
    ("after_reboot", "a login after a reboot within the minute", NEW),
    ("clock_set_back", "then with the clock an hour behind", OLD),
    ("clock_set_forward", "then with the clock an hour ahead", OLD),
    ("ended", "a login after the minute", OLD),
    ("revived", "with the clock set back into the minute, before any command of root's", NEW),
    ("removed", "the same after a command of root's", OLD),
];

/// # Errors
/// A step can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::PROOF])?;
    let artefacts = build::release()?;
    let boot = |release| {
        let root = booted::root(release, "confirm", PACKAGES, include_str!("confirm.sh"))?;
        booted::furnish(&root, &artefacts)?;
        booted::boot(&root, Duration::from_secs(120))?;
        let (seen, console) = booted::boot(&root, Duration::from_secs(200))?;
        ensure!(seen.contains("removed="), "{release} did not get to the end: {seen}\n{console}");
        fs::remove_dir_all(&root)?;
        Ok((release, seen))
    };
    booted::compare(&RELEASES.into_iter().map(boot).collect::<Result<Vec<_>>>()?, EXPECTED, &[])
}
