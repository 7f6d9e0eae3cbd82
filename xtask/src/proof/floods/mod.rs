//! A user floods the journal of a booted Debian system from their own session, so that it drops the line of
//! their next login. The line is named and logged again, word for word.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use super::{
    Findings,
    booted::{self, RELEASES},
};
use crate::{
    apt,
    build::{self, Artefacts},
};

const PACKAGES: &str = "systemd-sysv,libpam-systemd,dbus,libpam-modules,libpam-runtime,passwd,util-linux,openssh-server,openssh-client,oathtool,rsyslog";

/// The name in `inside.sh`, a description, and the expected result.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("transport", "a login's line comes to the journal", "by journald's own socket, once, with fields"),
    ("broker", "and so does one of the broker", "by journald's own socket"),
    ("before", "`audit verify`", "nothing changed"),
    ("scope", "a user's ssh session has", "a scope of its own"),
    ("flood", "60,000 datagrams from there are", "kept in part"),
    ("login", "their `su` to another account then, with a code", "in"),
    ("dropped", "its line is in the journal", "0 times"),
    ("named", "`audit verify` names", "1 lost"),
    ("repaired", "`audit repair`", "1 lines logged again; 0 findings"),
    ("word_for_word", "the line in the journal is", "the one of the account's state"),
    ("after", "`audit verify` then", "nothing changed"),
    (
        "rsyslog",
        "rsyslog writes the line of a later login to auth.log",
        "once, as `su[PID]: pam_qrtotp(su:auth): `",
    ),
    ("of_both", "`audit` of journal and auth.log shows that login", "1 times"),
    ("proven", "`audit verify` of both", "nothing changed"),
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
    booted::compare(&columns, EXPECTED, &[])
}

/// The results of a freshly booted system of that release.
fn boot(release: &str, artefacts: &Artefacts) -> Result<String> {
    let root = booted::root(release, "floods", PACKAGES, include_str!("inside.sh"))?;
    booted::furnish(&root, artefacts)?;
    let (seen, console) = booted::boot(&root, Duration::from_secs(300))?;
    ensure!(seen.contains("\nproven="), "{release} did not get to the end: {seen}\n{console}");
    fs::remove_dir_all(&root)?;
    Ok(seen)
}
