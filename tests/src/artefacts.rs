//! Paths of the built artefacts: the module, the command, and the tests' own small C programs.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// The module under test, `QRTOTP_MODULE` or the release build.
#[must_use]
pub fn module() -> PathBuf {
    built("QRTOTP_MODULE", "libpam_qrtotp.so")
}

/// The command under test, `QRTOTP_BIN` or the release build.
#[must_use]
pub fn command() -> PathBuf {
    built("QRTOTP_BIN", "qrtotp")
}

/// The broker under test, `QRTOTPD_BIN` or the release build.
#[must_use]
pub fn broker() -> PathBuf {
    built("QRTOTPD_BIN", "qrtotpd")
}

/// The relay under test, built beside the broker.
#[must_use]
pub fn relay() -> PathBuf {
    let path = broker().with_file_name("qrtotp-relay");
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    path
}

/// The Debian packages under test, in `QRTOTP_DEB` or where `cargo xtask deb` made them.
#[must_use]
pub fn packages() -> Vec<PathBuf> {
    let directory = env::var_os("QRTOTP_DEB").map_or_else(|| target_directory().join("deb"), PathBuf::from);
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let packages: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
    assert_eq!(
        packages.len(),
        2,
        "run `cargo xtask deb`, or point QRTOTP_DEB at the directory with its packages"
    );
    packages
}

/// `cargo xtask` itself, `QRTOTP_XTASK` or the last build.
#[must_use]
pub fn xtask() -> PathBuf {
    let path =
        env::var_os("QRTOTP_XTASK").map_or_else(|| target_directory().join("debug/xtask"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    path
}

/// Whether this machine can't have a third-party tool that tests use. Only `cargo xtask test` says so, in
/// `QRTOTP_MISSING_TOOLS`, after reporting it to its user. Without it a test fails if the tool is missing.
#[must_use]
pub fn is_missing(what: &str) -> bool {
    env::var("QRTOTP_MISSING_TOOLS").is_ok_and(|names| names.split(',').any(|name| name == what))
}

fn built(variable: &str, file: &str) -> PathBuf {
    let path =
        env::var_os(variable).map_or_else(|| target_directory().join("release").join(file), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask test`, which builds it, or point {variable} at it",
        path.display()
    );
    path
}

/// `tests/`, the directory of the C sources.
#[must_use]
pub fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[must_use]
pub fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| sources().join("../target"), PathBuf::from)
}

/// The files of a Debian package, unpacked but not installed.
#[must_use]
pub fn unpacked_package(package: &str) -> PathBuf {
    let path = target_directory().join("tools/debian").join(package);
    assert!(path.is_dir(), "{} is missing: run `cargo xtask test`, which unpacks it", path.display());
    path
}

/// Compiles `tests/c/SOURCE` if it has changed; returns the result's path.
#[must_use]
pub fn compile(source: &str, result: &str, flags: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let source = sources().join("c").join(source);
    let directory = target_directory().join("qrtotp-tests");
    std::fs::create_dir_all(&directory).unwrap();
    let result = directory.join(result);
    if is_newer(&result, &source) {
        return result;
    }
    // Another test may do the same: build aside and rename.
    let aside = result.with_extension(format!("{}.new", std::process::id()));
    let output = Command::new("gcc")
        .args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&aside)
        .arg(&source)
        .args(flags)
        .output()
        .expect("gcc is missing: run `cargo xtask test`, which installs it");
    assert!(output.status.success(), "gcc: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&aside, &result).unwrap();
    result
}

fn is_newer(result: &Path, source: &Path) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    changed(result) > changed(source)
}
