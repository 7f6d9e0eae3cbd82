//! Debian systems that boot with their own systemd, run a script and switch off.

use std::{
    fmt::Write,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use super::Findings;
use crate::{
    build::{self, Artefacts},
    debian,
    step::run as step,
};

pub const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// Runs the script once the system is up, and switches off.
const UNIT: &str = "[Unit]
After=basic.target ssh.service systemd-user-sessions.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/bin/bash /root/inside.sh >>/root/seen'
";

/// A fresh copy of a release with these packages, which runs `script` at each boot. `name` distinguishes it
/// from copies of other proofs.
///
/// # Errors
/// Unpacking fails.
pub fn root(release: &str, name: &str, packages: &str, script: &str) -> Result<PathBuf> {
    copy(release, name, name, packages, script)
}

/// The same for one machine of several.
///
/// # Errors
/// As [`root`].
pub fn copy(release: &str, name: &str, machine: &str, packages: &str, script: &str) -> Result<PathBuf> {
    let proofs = build::target().join("proof");
    let pristine = proofs.join(format!("{release}-{name}"));
    debian::unpack(release, packages, &pristine)?;
    let root = proofs.join(format!("{release}-{machine}-booted"));
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    step(Command::new("cp").arg("--archive").args([&pristine, &root]))?;
    fs::write(root.join("root/inside.sh"), script)?;
    let units = root.join("etc/systemd/system");
    fs::write(units.join("proof.service"), UNIT)?;
    fs::create_dir_all(units.join("multi-user.target.wants"))?;
    symlink("/etc/systemd/system/proof.service", units.join("multi-user.target.wants/proof.service"))?;
    Ok(root)
}

/// Installs the package's files at their places.
///
/// # Errors
/// A file is missing.
pub fn furnish(root: &Path, artefacts: &Artefacts) -> Result<()> {
    let conf = build::workspace().join("conf");
    let modules = fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path().join("security"));
    let modules = modules.into_iter().find(|path| path.is_dir()).context("no directory of PAM modules")?;
    let copy = |from: PathBuf, to: PathBuf, mode| -> Result<()> {
        fs::copy(&from, &to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
        Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
    };
    copy(artefacts.module.clone(), modules.join("pam_qrtotp.so"), 0o644)?;
    copy(artefacts.command.clone(), root.join("usr/bin/qrtotp"), 0o755)?;
    copy(artefacts.broker.clone(), root.join("usr/sbin/qrtotpd"), 0o755)?;
    copy(conf.join("pam.d/qrtotp"), root.join("etc/pam.d/qrtotp"), 0o644)?;
    copy(conf.join("tmpfiles.d/qrtotp.conf"), root.join("usr/lib/tmpfiles.d/qrtotp.conf"), 0o644)?;
    for unit in [
        "qrtotpd.service",
        "qrtotpd.socket",
        "qrtotp-watch.service",
        "qrtotp-metrics.service",
        "qrtotp-metrics.timer",
        "qrtotp-checkpoint.service",
        "qrtotp-checkpoint.timer",
    ] {
        copy(conf.join("systemd").join(unit), root.join("usr/lib/systemd/system").join(unit), 0o644)?;
    }
    fs::create_dir_all(root.join("etc/qrtotp"))?;
    Ok(fs::write(root.join("etc/qrtotp/qrtotp.toml"), "[defaults]\nfirst_login = \"enroll\"\n")?)
}

/// Boots it and waits, for `limit` at most, until it is off. Returns the output of its scripts at all boots,
/// and its console.
///
/// # Errors
/// It can't be started.
pub fn boot(root: &Path, limit: Duration) -> Result<(String, String)> {
    let booted = Command::new("timeout")
        .arg(limit.as_secs().to_string())
        .args(["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"])
        .args(["--private-network", "--console=pipe", "--directory"])
        .arg(root)
        .stdin(Stdio::null())
        .output()
        .context("systemd-nspawn is needed")?;
    let seen = fs::read_to_string(root.join("root/seen")).unwrap_or_default();
    Ok((seen, String::from_utf8_lossy(&booted.stdout).into_owned()))
}

/// The value of the first line `NAME=VALUE`.
pub fn value<'a>(seen: &'a str, name: &str) -> &'a str {
    seen.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

/// A row of a table.
fn row(text: &mut String, what: &str, cells: impl IntoIterator<Item = String>) -> std::fmt::Result {
    write!(text, "| {what} |")?;
    cells.into_iter().try_for_each(|cell| write!(text, " {cell} |"))?;
    writeln!(text)
}

/// Compares what each release's system printed with the expected values: name, description, value. `more` are
/// rows that only the table has.
pub fn compare(
    columns: &[(&str, String)],
    expected: &[(&str, &str, &str)],
    more: &[(&str, &str)],
) -> Result<Findings> {
    let mut found = Findings::default();
    for (release, seen) in columns {
        for (name, what, expected) in expected {
            let value = value(seen, name);
            if value != *expected {
                found.failures.push(format!("{release}: {what}: {value:?}, not {expected:?}"));
            }
        }
    }
    let text = &mut found.text;
    row(text, "seen", columns.iter().map(|(_, seen)| value(seen, "version").to_owned()))?;
    row(text, "---", columns.iter().map(|_| "---".to_owned()))?;
    let expected = expected.iter().map(|(name, what, _)| (*name, *what));
    for (name, what) in expected.chain(more.iter().copied()) {
        row(text, what, columns.iter().map(|(_, seen)| value(seen, name).to_owned()))?;
    }
    Ok(found)
}
