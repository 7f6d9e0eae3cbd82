//! From PyPI, installed once into target/: ZXing and OpenCV, which read our QR codes besides zbar, and OCSF's
//! schema as it is published.

use std::process::{Command, Stdio};

use anyhow::Result;
use qrtotp_tests::decoders::environment;

use crate::step::{run, say};

/// Wheels only, so no third-party code is built here. Pinned, so that tests do not change with PyPI.
const INSTALL: [&str; 6] = [
    "install",
    "--quiet",
    "--only-binary=:all:",
    "zxing-cpp==3.1.1",
    "opencv-python-headless==5.0.0.93",
    "ocsf-json-schema==1.2.0",
];

/// # Errors
/// PyPI is out of reach, or has no wheels for this machine.
pub fn install() -> Result<()> {
    let environment = environment();
    let mut works = Command::new(environment.join("bin/python"));
    works.args(["-c", "import cv2, zxingcpp, ocsf_json_schema"]).stderr(Stdio::null());
    if works.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    say("installing ZXing, OpenCV and OCSF's schema from PyPI into target/, once");
    // Debian's own Python, to which python3-venv belongs.
    run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    run(Command::new(environment.join("bin/pip")).args(INSTALL))
}
