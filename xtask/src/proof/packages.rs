//! The packages are the same wherever they are built: once more from another directory, with another home and
//! another umask.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Findings;
use crate::{
    apt, build, deb,
    step::{run as step, say},
};

/// # Errors
/// A build fails.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::DEB])?;
    build::release()?;
    let here = deb::packages(&deb::of_release()?)?;
    let elsewhere = build::target().join("proof/elsewhere");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere)?;
    }
    fs::create_dir_all(&elsewhere)?;
    let there = build_in(&elsewhere.canonicalize()?)?;
    let mut found = Findings::default();
    for package in &here {
        let name = package.file_name().context("a package without a name")?.to_string_lossy().into_owned();
        let same = fs::read(package)? == fs::read(there.join(&name))?;
        found.text.push_str(&format!("| {name} | {} |\n", if same { "the same" } else { "DIFFERS" }));
        if !same {
            let differing = differing(package, &there.join(&name), &elsewhere)?;
            found.failures.push(format!("{name} differs, built elsewhere:\n{differing}"));
        }
    }
    fs::remove_dir_all(&elsewhere)?;
    Ok(found)
}

/// Builds a copy of the sources below `top`, and gives the directory with the packages.
fn build_in(top: &Path) -> Result<PathBuf> {
    let (source, home) = (top.join("some/other/place"), top.join("home of another"));
    fs::create_dir_all(&source)?;
    fs::create_dir_all(home.join(".cargo"))?;
    symlink(build::cargo_home()?.join("registry").canonicalize()?, home.join(".cargo/registry"))?;
    let copy = "git ls-files -z | tar --create --null --files-from=- | tar --extract --directory=\"$0\"";
    step(Command::new("sh").args(["-ec", copy]).arg(&source).current_dir(build::workspace()))?;
    say("building and packing elsewhere");
    // rustup's programs find their compiler by its home.
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc is needed")?;
    let compiler = Path::new(String::from_utf8(sysroot.stdout)?.trim()).join("bin");
    let path = format!("{}:{}", compiler.display(), std::env::var("PATH").unwrap_or_default());
    let mut rules = Command::new("sh");
    rules.args(["-ec", "umask 027; debian/rules clean; debian/rules binary"]).current_dir(&source);
    rules.env_remove("CARGO_HOME").env_remove("CARGO_TARGET_DIR").env_remove("TARGET");
    rules.envs([("HOME", home.as_os_str()), ("PATH", path.as_ref())]);
    deb::prepare(&mut rules);
    rules.envs([("CARGO_NET_OFFLINE", "true"), ("TZ", "Asia/Tokyo"), ("LC_ALL", "C.UTF-8")]);
    step(&mut rules)?;
    Ok(source.join("target/deb"))
}

/// The names of differing files.
fn differing(one: &Path, other: &Path, top: &Path) -> Result<String> {
    let unpacked = ["one", "other"].map(|name| top.join(name));
    for (package, directory) in [one, other].into_iter().zip(&unpacked) {
        step(Command::new("dpkg-deb").arg("--raw-extract").args([package, directory]))?;
    }
    let diff = Command::new("diff").args(["--recursive", "--brief"]).args(&unpacked).output()?;
    let listed = String::from_utf8_lossy(&diff.stdout).into_owned();
    for directory in unpacked {
        fs::remove_dir_all(directory)?;
    }
    Ok(if listed.is_empty() { "modes, times or order of files".into() } else { listed })
}
