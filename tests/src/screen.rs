//! A phone's camera in front of a terminal: it draws the text, several decoders read the picture.

use crate::{
    Sandbox, State,
    decoders::{self, Reading},
};

#[derive(Clone, Copy, Debug)]
pub enum Background {
    Dark,
    Light,
}

/// The terminal emulator.
#[derive(Clone, Copy, Debug)]
pub enum Terminal {
    Xterm,
    /// The library of GNOME Terminal and others.
    Vte,
}

/// The decoders' reading of a large terminal that shows `text`; `None` if they find no code.
#[must_use]
pub fn scan(text: &str, background: Background) -> Option<String> {
    scan_off(text, background, "200x100")
}

/// The same, on a terminal of these columns and rows, such as `80x24`.
#[must_use]
pub fn scan_off(text: &str, background: Background, geometry: &str) -> Option<String> {
    scan_in(Terminal::Xterm, text, background, geometry)
}

#[must_use]
pub fn scan_in(terminal: Terminal, text: &str, background: Background, geometry: &str) -> Option<String> {
    // A picture that one decoder can't read is no fault of the screen: a phone looks at many, and moves.
    let photograph = || photograph_of(terminal, text, background, geometry);
    let agree = |readings: &[Reading]| readings.iter().all(|reading| reading.text == readings[0].text);
    let mut readings = decoders::read_png(&photograph());
    for scale in ["100%", "133%", "200%", "75%"] {
        if agree(&readings) {
            break;
        }
        readings = decoders::read_png(&decoders::scaled(&photograph(), scale));
    }
    decoders::agreed(&readings)
}

/// A photograph (PNG) of that terminal.
#[must_use]
pub fn photograph(text: &str, background: Background, geometry: &str) -> Vec<u8> {
    photograph_of(Terminal::Xterm, text, background, geometry)
}

fn photograph_of(terminal: Terminal, text: &str, background: Background, geometry: &str) -> Vec<u8> {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.overwrite("/tmp/text", text);
    sandbox.overwrite("/tmp/screen.sh", include_str!("screen.sh"));
    let colours = match background {
        Background::Dark => ["black", "white"],
        Background::Light => ["white", "black"],
    };
    let program = match terminal {
        Terminal::Xterm => "xterm",
        Terminal::Vte => "sakura",
    };
    let argv = [&["bash", "/tmp/screen.sh", "/tmp/text"][..], &colours, &[geometry, program]].concat();
    sandbox.run(&argv).success();
    std::fs::read(sandbox.path("/tmp/photo.png")).unwrap()
}
