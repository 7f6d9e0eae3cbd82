//! Files of Debian releases, unpacked by mmdebstrap.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::step::{run, say};

/// Unpacks a release with these packages, separated by commas.
///
/// # Errors
/// It can't be had.
pub fn unpack(release: &str, packages: &str, root: &Path) -> Result<()> {
    say(&format!("unpacking Debian {release} with mmdebstrap, once"));
    let unfinished = root.with_extension("new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(root.parent().unwrap_or(root))?;
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=minbase"]).arg(format!("--include={packages}"));
    // The index of a mirror that stands still is too old at some time.
    mmdebstrap.arg("--aptopt=Acquire::Check-Valid-Until \"false\"").arg(release).arg(&unfinished);
    run(mmdebstrap.args(mirror()?))?;
    fs::rename(&unfinished, root)?;
    Ok(())
}

/// Where this machine's apt gets Debian from. `None`: mmdebstrap knows where.
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
