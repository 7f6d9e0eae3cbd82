//! `qrtotp setup` from the package in booted Debian systems: by README's commands and by the Ansible role;
//! applied, kept, undone, killed, and cut off by a reboot.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Result, anyhow, ensure};

use qrtotp_tests::recipes::Recipe;

use super::{
    Findings,
    booted::{self, RELEASES},
};
use crate::{apt, build, deb, step::run as step};

const PACKAGES: &str = "systemd-sysv,libpam-systemd,dbus,libpam-modules,libpam-runtime,passwd,util-linux,openssh-server,openssh-client,sudo,oathtool,expect,ansible-core,python3-apt";
/// Boots of one system. Before the last one it is off for longer than `--confirm` allows.
const BOOTS: usize = 3;
const OFF: &str = "70s";

/// The name in `inside.sh`, a description, and the expected result.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("typed", "README's commands up to `setup sshd sudo --apply`", "4 commands, at most 180 s"),
    ("failed", "a command of README that failed", ""),
    ("readme_applied", "files then", "changed"),
    ("readme_wrong", "a login by password and a wrong code", "out, 1 codes"),
    (
        "second_terminal",
        "README's `setup --keep` over ssh, as root by sudo, each with a code",
        "in, 1 codes, kept",
    ),
    ("doctor", "README's `qrtotp doctor`", "fine"),
    ("readme_kept", "files and units then", "changed, 0 units left"),
    ("readme_undone", "after `setup --undo`", "as before, 0 units left"),
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
        "killed_copy",
        "SIGKILL of `setup` while it tries the changes in its private copy",
        "as before, 0 units left",
    ),
    (
        "killed_first",
        "SIGKILL once the first file has changed; after the minute",
        "changed, as before, 0 units left",
    ),
    (
        "killed_last",
        "SIGKILL at the trial login, once all have; after the minute",
        "changed, as before, 0 units left",
    ),
    ("role", "the Ansible role over ssh, as an exempt user", "changed, 0 unreachable, 0 failed"),
    ("role_kept", "our lines, once its new login has confirmed", "2 lines, 0 units left"),
    ("role_again", "a second run", "unchanged, 0 unreachable, 0 failed"),
    ("role_wrong", "a login of alice by password and a wrong code", "out, 1 codes"),
    (
        "role_shut_out",
        "the role, where its new login is refused",
        "changed, 1 unreachable, 0 failed, 2 lines",
    ),
    ("role_undone", "our lines after the minute", "0 lines, 0 units left"),
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
    let place = root.join("root/target/deb");
    fs::create_dir_all(&place)?;
    for package in packages {
        fs::copy(package, place.join(package.file_name().unwrap_or_default()))?;
    }
    fs::write(root.join("root/readme"), Recipe::in_document("../README.md", "Install").all_commands())?;
    let mut last = (String::new(), String::new());
    for number in 1..=BOOTS {
        if number == BOOTS {
            step(Command::new("sleep").arg(OFF))?;
        }
        last = booted::boot(&root, Duration::from_secs(1500))?;
    }
    let (seen, console) = last;
    ensure!(seen.contains("\nend="), "{release} did not get to the end: {seen}\n{console}");
    fs::remove_dir_all(&root)?;
    Ok(seen)
}
