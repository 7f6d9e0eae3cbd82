//! `qrtotp setup` from the package in booted Debian systems: applied, kept, undone, killed, and cut off by a
//! reboot.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Result, anyhow, ensure};

use super::{
    Findings,
    booted::{self, RELEASES},
};
use crate::{apt, build, deb, step::run as step};

const PACKAGES: &str = "systemd-sysv,libpam-systemd,dbus,libpam-modules,libpam-runtime,passwd,util-linux,openssh-server,openssh-client,sudo,oathtool";
/// Boots of one system. Before the last one it is off for longer than `--confirm` allows.
const BOOTS: usize = 3;
const OFF: &str = "70s";

/// The name in `inside.sh`, a description, and the expected result.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("alone", "a login by password before `setup`", "in, 0 codes"),
    ("applied", "files after `setup sshd sudo --apply --confirm 1m`", "changed"),
    ("wrong", "a login by password and a wrong code", "out, 1 codes"),
    ("wrong_password", "by a wrong password and the right code", "out, 0 codes"),
    ("rolled_back", "without `--keep`, after the minute", "as before, 0 units left"),
    ("alone_again", "a login by password then", "in, 0 codes"),
    (
        "second_session",
        "over ssh with the code, `sudo qrtotp setup --keep` with the next one",
        "in, 1 codes, kept",
    ),
    ("kept", "files after the minute", "changed, 0 units left"),
    ("kept_wrong", "a login by password and a wrong code then", "out, 1 codes"),
    ("kept_right", "by password and the right code", "in, 1 codes"),
    ("undone", "after `setup --undo`", "as before, 0 units left"),
    (
        "killed-t",
        "SIGKILL of `setup` once the first file has changed; after the minute",
        "changed, as before, 0 units left",
    ),
    ("killed-T", "SIGKILL once all have; after the minute", "changed, as before, 0 units left"),
    ("rebooted", "a reboot right after `--apply`", "changed"),
    ("rebooted_wrong", "a login by password and a wrong code then", "out, 1 codes"),
    ("reboot_rolled_back", "after the minute", "as before, 0 units left"),
    ("reboot_alone", "a login by password then", "in, 0 codes"),
    ("off_before", "`--apply`, and off for more than the minute", "changed"),
    ("off_rolled_back", "seconds after the next boot", "as before, 0 units left"),
    ("off_key", "a login by key then, which sshd's drop-in would refuse", "in, 0 codes"),
];

/// # Errors
/// A step can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::DEB, apt::PROOF])?;
    build::release()?;
    let packages = deb::packages(&deb::of_release()?)?;
    // They mostly wait.
    let systems = RELEASES.map(|release| {
        let packages = packages.clone();
        thread::spawn(move || boot(release, &packages))
    });
    let mut columns = Vec::new();
    for (release, system) in RELEASES.into_iter().zip(systems) {
        columns.push((release, system.join().map_err(|_| anyhow!("{release}: panicked"))??));
    }
    booted::compare(
        &columns,
        EXPECTED,
        &[("seconds", "from the package to protected sshd and sudo, in seconds")],
    )
}

/// Observations on a system of that release, in all its boots.
fn boot(release: &str, packages: &[PathBuf]) -> Result<String> {
    let root = booted::root(release, "setup", PACKAGES, include_str!("inside.sh"))?;
    for package in packages {
        fs::copy(package, root.join("root").join(package.file_name().unwrap_or_default()))?;
    }
    let mut last = (String::new(), String::new());
    for number in 1..=BOOTS {
        if number == BOOTS {
            step(Command::new("sleep").arg(OFF))?;
        }
        last = booted::boot(&root, Duration::from_secs(900))?;
    }
    let (seen, console) = last;
    ensure!(seen.contains("\nend="), "{release} did not get to the end: {seen}\n{console}");
    fs::remove_dir_all(&root)?;
    Ok(seen)
}
