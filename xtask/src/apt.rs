//! Debian packages: only what is missing is installed.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    build,
    step::{as_root, run, say},
};

/// What a login in a private namespace needs, phone included.
pub const DEMO: &[&str] = &[
    "gcc",
    "libc6-dev",
    "libpam0g-dev",
    "libpam-modules",
    "openssh-server",
    "openssh-client",
    "sudo",
    "util-linux",
    "iproute2",
    "procps",
    "oathtool",
    "e2fsprogs",
    "libpam-google-authenticator",
];

/// What the tests need on top.
pub const TEST: &[&str] = &[
    "ansible-core",
    "apache2",
    "binutils",
    "bsdutils",
    "console-setup-linux",
    "curl",
    "dovecot-imapd",
    "dropbear-bin",
    "fail2ban",
    "faketime",
    "fonts-dejavu-core",
    "freeradius",
    "freeradius-utils",
    "i3lock",
    "imagemagick",
    "libapache2-mod-authnz-pam",
    "libnginx-mod-http-auth-pam",
    "libpam-oath",
    "librsvg2-bin",
    "libssl-dev",
    "libxml2-utils",
    "mariadb-server",
    "mmdebstrap",
    "nginx-light",
    "openvpn",
    "pngcheck",
    "postgresql",
    "putty-tools",
    "python3-asyncssh",
    "python3-paramiko",
    "python3-pyotp",
    "python3-venv",
    "python3-ykman",
    "rsync",
    "sakura",
    "sasl2-bin",
    "strace",
    "systemd",
    "tmux",
    "valgrind",
    "vsftpd",
    "xdotool",
    "xterm",
    "xvfb",
    "zbar-tools",
];

/// What the package needs on top.
pub const DEB: &[&str] = &["debhelper", "dpkg-dev"];

/// What the proofs need on top: to boot other systems.
pub const PROOF: &[&str] = &["systemd-container"];

/// What the proof of the audit report needs on top: a browser.
pub const BROWSER: &[&str] = &["chromium"];

/// What fuzzing needs: libFuzzer is C++.
pub const FUZZ: &[&str] = &["g++"];

/// What the comparison needs on top.
pub const BENCH: &[&str] = &["binutils", "libpam-oath", "mmdebstrap", "strace", "valgrind"];

/// Where Debian asks whether an installed service may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs those of `packages` that are missing.
///
/// # Errors
/// When apt can't; the message says what to do.
pub fn need(packages: &[&[&str]]) -> Result<()> {
    let missing: Vec<&str> = packages.concat().into_iter().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("installing with apt: {}", missing.join(" ")));
    let advice =
        "apt could not install what is needed: as root, run `apt-get update`, then `apt-get install ";
    let advice = || format!("{advice}{}`, and try again", missing.join(" "));
    run(as_root("apt-get").args(["update", "-qq"])).with_context(advice)?;
    // A newly installed sshd must not start serving this machine because somebody wanted to see a demo.
    let quiet = !Path::new(POLICY).exists();
    if quiet {
        run(as_root("sh")
            .args(["-c", &format!("printf '#!/bin/sh\\nexit 101\\n' >{POLICY} && chmod 755 {POLICY}")]))?;
    }
    let installed = run(as_root("env")
        .args([
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
        ])
        .args(&missing));
    if quiet {
        run(as_root("rm").args(["-f", POLICY]))?;
    }
    installed.with_context(advice)
}

/// Unpacks a package into target/, once, without installing it: its services would start, and some ask their maker's servers.
///
/// # Errors
/// It can't be had.
pub fn unpack(package: &str) -> Result<()> {
    let tools = build::target().join("tools/debian");
    if tools.join(package).is_dir() {
        return Ok(());
    }
    say(&format!("unpacking {package} into target/"));
    std::fs::create_dir_all(&tools)?;
    run(Command::new("apt-get").args(["download", "-qq", package]).current_dir(&tools))?;
    let script = format!(
        "dpkg-deb --extract {package}_*.deb {package}.new && mv {package}.new {package} && rm {package}_*.deb"
    );
    run(Command::new("sh").args(["-ec", &script]).current_dir(&tools))
}

fn is_installed(package: &str) -> bool {
    let status =
        Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).output();
    status.is_ok_and(|output| output.stdout == b"installed")
}
