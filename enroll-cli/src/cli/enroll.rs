//! `qrtotp enroll`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Enroll {
    /// The user to enrol; by default, you
    pub user: Option<String>,
    /// What to call the device, for example "Alice's phone"
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// How to draw the QR code; required if the output is a pipe
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Qr::Auto)]
    pub qr: Qr,
    /// Swap light and dark, for terminals with a light background that show no colours
    #[arg(long)]
    pub invert: bool,
    /// Save the QR code as a picture, too: a new file, .svg or .png, with mode 0600
    ///
    /// It never overwrites a file, follows a link, or goes where others could replace it. Anyone who has the
    /// file can make the codes: prefer --ephemeral. If the enrolment fails, the file is deleted.
    /// Its colours and logo are those of `[brand]` in the configuration.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Delete the saved picture as soon as the first code is accepted or the dialogue ends
    ///
    /// Ctrl-C, a hang-up and SIGTERM also delete it. After SIGKILL, an out-of-memory kill or a power cut,
    /// delete the file yourself: its key works if the enrolment was completed, or can still be resumed.
    #[arg(long, requires = "save")]
    pub ephemeral: bool,
    /// Don't ask for a code from a device that is already enrolled (root only; logged)
    #[arg(long)]
    pub no_verify: bool,
}

/// How to draw a QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Qr {
    /// The style that locale and terminal can show
    Auto,
    /// Half blocks, the smallest; on a terminal in black and white, right on every background
    Utf8,
    /// "@@" and spaces, for every terminal
    Ascii,
    /// Coloured spaces, right on every background
    Ansi,
    /// No picture: the key and its URI as text
    None,
}
