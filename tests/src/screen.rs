//! A phone's camera in front of a terminal: xterm draws the text, zbar reads the picture.

use crate::{Sandbox, State};

#[derive(Clone, Copy, Debug)]
pub enum Background {
    Dark,
    Light,
}

/// What a scanner reads off a large terminal that shows `text`; `None` when it finds no code.
#[must_use]
pub fn scan(text: &str, background: Background) -> Option<String> {
    scan_off(text, background, "200x100")
}

/// The same, on a terminal of so many columns and rows, such as `80x24`.
#[must_use]
pub fn scan_off(text: &str, background: Background, geometry: &str) -> Option<String> {
    photograph(text, background, geometry).0
}

/// The same, with the photograph (PNG), for other scanners.
#[must_use]
pub fn photograph(text: &str, background: Background, geometry: &str) -> (Option<String>, Vec<u8>) {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.overwrite("/tmp/text", text);
    sandbox.overwrite("/tmp/screen.sh", include_str!("screen.sh"));
    let colours = match background {
        Background::Dark => ["black", "white"],
        Background::Light => ["white", "black"],
    };
    let output = sandbox
        .run(&[&["bash", "/tmp/screen.sh", "/tmp/text"][..], &colours, &[geometry]].concat())
        .success();
    let read = output.stdout.trim();
    let photo = std::fs::read(sandbox.path("/tmp/photo.png")).unwrap();
    ((!read.is_empty()).then(|| read.to_owned()), photo)
}
