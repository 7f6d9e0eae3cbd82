//! Files of Debian releases, unpacked by mmdebstrap into target/.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use qrtotp_tests::openssh::unpacked;

use crate::step::{as_root, run, say};

const HOSTS: &str = "openssh-server,openssh-client,sudo,sudo-rs,opendoas,cockpit-ws,cockpit-bridge,proftpd-core,xrdp,curl,iproute2,oathtool";

/// A release with OpenSSH and the other PAM applications that tests log in through. It is unpacked once;
/// remove its directory to renew it.
///
/// # Errors
/// Unpacking fails.
pub fn with_openssh(release: &str) -> Result<()> {
    unpack(release, HOSTS, &unpacked(release))
}

/// The etcd that the fleet's tests run, Debian 13's, and Debian 12's, which verifiers refuse: their packages
/// and libraries, extracted once and not installed.
///
/// # Errors
/// Downloading or unpacking fails.
pub fn etcd() -> Result<()> {
    extract("trixie", "etcd-server,etcd-client", "debian/etcd", "etcdutl")?;
    extract("bookworm", "etcd-server", "debian/etcd-12", "etcd")
}

fn extract(release: &str, packages: &str, directory: &str, program: &str) -> Result<()> {
    let root = crate::build::target().join(directory);
    if root.join("usr/bin").join(program).exists() {
        return Ok(());
    }
    say(&format!("unpacking etcd of Debian {release} with mmdebstrap, once"));
    let unfinished = root.with_extension("new");
    run(as_root("rm").arg("-rf").arg(&unfinished))?;
    fs::create_dir_all(root.parent().unwrap_or(&root))?;
    let mut mmdebstrap = as_root("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=extract"]).arg(format!("--include={packages}"));
    mmdebstrap.arg("--aptopt=Acquire::Check-Valid-Until \"false\"").arg(release).arg(&unfinished);
    run(mmdebstrap.args(mirror()?))?;
    fs::rename(&unfinished, root)?;
    Ok(())
}

/// Unpacks a release with these packages, separated by commas, unless `root` is there with them.
///
/// # Errors
/// Unpacking fails.
pub fn unpack(release: &str, packages: &str, root: &Path) -> Result<()> {
    if has(root, packages) {
        return Ok(());
    }
    say(&format!("unpacking Debian {release} with mmdebstrap, once"));
    let unfinished = root.with_extension("new");
    run(as_root("rm").arg("-rf").arg(&unfinished))?;
    fs::create_dir_all(root.parent().unwrap_or(root))?;
    let mut mmdebstrap = as_root("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=minbase"]).arg(format!("--include={packages}"));
    // An index of a mirror that no longer changes expires.
    mmdebstrap.arg("--aptopt=Acquire::Check-Valid-Until \"false\"").arg(release).arg(&unfinished);
    run(mmdebstrap.args(mirror()?))?;
    run(as_root("rm").arg("-rf").arg(root))?;
    fs::rename(&unfinished, root)?;
    Ok(())
}

fn has(root: &Path, packages: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(root.join("var/lib/dpkg")).arg("--show").args(packages.split(','));
    query.output().is_ok_and(|output| output.status.success())
}

/// The Debian mirror of this machine's apt. `None`: mmdebstrap's default.
fn mirror() -> Result<Option<String>> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]);
    let output = apt.output().context("apt-get is needed")?;
    if !output.status.success() {
        bail!("apt-get indextargets: {}", String::from_utf8_lossy(&output.stderr));
    }
    let places = String::from_utf8(output.stdout)?;
    Ok(places.lines().find(|place| !place.contains("security")).map(str::to_owned))
}
