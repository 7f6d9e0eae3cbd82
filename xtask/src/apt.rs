//! Debian packages: installs only the missing ones.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    build,
    step::{as_root, run, say},
};

/// Packages for a login in a private namespace, phone included.
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

/// Further packages for the tests.
pub const TEST: &[&str] = &[
    "ansible-core",
    "apt-utils",
    "apache2",
    "bash-completion",
    "binutils",
    "bsdutils",
    "console-setup-linux",
    "curl",
    "dovecot-imapd",
    "dropbear-bin",
    "fail2ban",
    "faketime",
    "fish",
    "fonts-dejavu-core",
    "freeradius",
    "freeradius-utils",
    "gettext",
    "gpg",
    "i3lock",
    "imagemagick",
    "libapache2-mod-authnz-pam",
    "libnginx-mod-http-auth-pam",
    "libpam-oath",
    "librsvg2-bin",
    "libssl-dev",
    "libxml2-utils",
    "lintian",
    "locales",
    "mariadb-server",
    "mmdebstrap",
    "nginx-light",
    "openvpn",
    "pngcheck",
    "postgresql",
    "putty-tools",
    "python3-apt",
    "python3-asyncssh",
    "python3-jsonschema",
    "python3-paramiko",
    "python3-pyotp",
    "python3-venv",
    "python3-ykman",
    "rsync",
    "rsyslog",
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
    "zsh",
];

/// Packages for the catalogues of messages.
pub const MESSAGES: &[&str] = &["gettext"];

/// Further packages for building the packages.
pub const DEB: &[&str] = &["debhelper", "dpkg-dev", "gettext", "po-debconf"];

/// Further packages for the proofs, which boot other systems.
pub const PROOF: &[&str] = &["systemd-container"];

/// Further packages for the proof of the audit report: a browser, and a reader of what it prints.
pub const BROWSER: &[&str] = &["chromium", "poppler-utils"];

/// Packages for fuzzing: libFuzzer is C++.
pub const FUZZ: &[&str] = &["g++"];

/// Further packages for the comparison.
pub const BENCH: &[&str] = &["binutils", "libpam-oath", "mmdebstrap", "strace", "valgrind"];

/// Debian's hook that decides whether an installed service may start.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs those of `packages` that are missing.
///
/// # Errors
/// apt fails; the message says what to do.
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
    // A newly installed sshd must not start serving this machine just for a demo.
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

/// Unpacks a package into target/, once, without installing it: its services would start, and some contact
/// their maker's servers.
///
/// # Errors
/// Downloading or unpacking fails.
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
