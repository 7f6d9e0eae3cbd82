//! Whether the QR code scans: an independent reader of the picture that `enroll --save` makes gives the key
//! that was shown as text.

use super::accounts::SUDO;
use super::dialogue::Dialogue;
use super::report::SelftestReport;
use super::world::{COMMAND, World};
use crate::error::Failure;
use crate::program::output;
use qrtotp_otp::{KeyUri, Strength};
use std::path::Path;
use std::process::Command;

const ID: &str = "qr-code";
const WHAT: &str = "the QR code scans and has the key";
const READER: &str = "/usr/bin/zbarimg";
const PICTURE: &str = "/root/code.png";

pub fn check(_: &World, report: &mut SelftestReport) -> Result<(), Failure> {
    if !Path::new(READER).exists() {
        report.not_tried(ID, WHAT, "no reader is installed: apt install zbar-tools");
        return Ok(());
    }
    let mut command = Command::new(COMMAND);
    command.args(["enroll", SUDO, "--qr", "none", "--save", PICTURE]);
    let mut dialogue = Dialogue::start(command)?;
    let shown = dialogue.expect("Code: ").unwrap_or_default();
    let mut reader = Command::new(READER);
    reader.args(["--quiet", "--raw", PICTURE]);
    let read = output(reader);
    // Nothing is enrolled.
    let _ = dialogue.end();
    let key = |text: &str| {
        let uri = text.lines().map(str::trim).find(|line| line.starts_with("otpauth://"))?;
        KeyUri::parse(uri, Strength::Normal).ok().map(|read| read.secret)
    };
    let scanned = read.as_deref().ok().and_then(key);
    let same = scanned.zip(key(&shown)).is_some_and(|(scanned, shown)| scanned.same_key(&shown));
    let seen = match read {
        Ok(_) => "zbarimg read something else than what is shown as text".to_owned(),
        Err(silence) => format!("zbarimg: {silence:?}"),
    };
    report.check(ID, WHAT, same, &seen);
    Ok(())
}
