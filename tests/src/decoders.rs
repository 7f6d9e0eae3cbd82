//! Independent decoders of QR codes, none of which may invert a picture: zbar, and ZXing and OpenCV, which
//! `cargo xtask` installs from PyPI.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use crate::artefacts;

/// The name of the PyPI decoders in `QRTOTP_MISSING_TOOLS`.
pub const FROM_PYPI: &str = "decoders";

/// One decoder's result for a picture.
#[derive(Debug)]
pub struct Reading {
    /// Its name and version.
    pub decoder: String,
    /// `None`: it finds no code.
    pub text: Option<String>,
}

/// The readings of a picture (PNG) by each decoder that this machine has.
#[must_use]
pub fn read_png(png: &[u8]) -> Vec<Reading> {
    let mut readings = vec![zbar(png)];
    if !artefacts::is_missing(FROM_PYPI) {
        readings.extend(from_pypi(png));
    }
    readings
}

/// The text that they all read, or `None` if none of them finds a code. Panics if they differ.
#[must_use]
pub fn agreed(readings: &[Reading]) -> Option<String> {
    let [first, others @ ..] = readings else { panic!("there are no decoders") };
    assert!(others.iter().all(|other| other.text == first.text), "the decoders differ: {readings:#?}");
    first.text.clone()
}

/// The picture (PNG) with light and dark exchanged.
#[must_use]
pub fn inverted(png: &[u8]) -> Vec<u8> {
    piped("convert", &["-", "-negate", "png:-"], png)
}

/// The picture (PNG) as from another distance, `scale` such as `133%`.
#[must_use]
pub fn scaled(png: &[u8], scale: &str) -> Vec<u8> {
    piped("convert", &["-", "-resize", scale, "png:-"], png)
}

/// The Python environment with the decoders from PyPI.
#[must_use]
pub fn environment() -> PathBuf {
    artefacts::target_directory().join("decoders")
}

fn reading(decoder: &str, text: &str) -> Reading {
    Reading { decoder: decoder.to_owned(), text: (!text.is_empty()).then(|| text.to_owned()) }
}

fn zbar(png: &[u8]) -> Reading {
    let version = piped("zbarimg", &["--version"], &[]);
    let name = format!("zbar {}", String::from_utf8_lossy(&version).trim());
    // A camera is never quite in focus; letters ("@@") only become areas that way.
    let texts = (0..=5).map(|blur| {
        let view =
            piped("convert", &["-", "-colorspace", "gray", "-blur", &format!("0x{blur}"), "png:-"], png);
        // QR codes only: zbar occasionally takes a part of a large one for a bar code.
        let only_qr = ["--set", "*.enable=0", "--set", "qrcode.enable=1"];
        let arguments = [&only_qr[..], &["--raw", "--quiet", "png:-"]].concat();
        String::from_utf8(piped("zbarimg", &arguments, &view)).unwrap()
    });
    let text = texts.map(|text| text.trim().to_owned()).find(|text| !text.is_empty());
    reading(&name, &text.unwrap_or_default())
}

/// A program's output for `input`.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let missing = |_| panic!("{program} is missing: run `cargo xtask test`, which installs it");
    let mut child = command.spawn().unwrap_or_else(missing);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output().unwrap();
        // zbarimg: 4, no code was found.
        assert!(matches!(output.status.code(), Some(0 | 4)), "{program}: {output:?}");
        output.stdout
    })
}

/// Python with decode.py: started once, because that takes longer than a picture.
struct Python {
    child: Child,
    readings: BufReader<ChildStdout>,
}

fn from_pypi(png: &[u8]) -> [Reading; 2] {
    static PYTHON: Mutex<Option<Python>> = Mutex::new(None);
    let mut python = PYTHON.lock().unwrap_or_else(PoisonError::into_inner);
    python.get_or_insert_with(Python::start).read(png)
}

impl Python {
    fn start() -> Self {
        let mut command = Command::new(environment().join("bin/python"));
        command.args(["-c", include_str!("decode.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut child = started
            .expect("ZXing and OpenCV are missing: run `cargo xtask test`, which begins by installing them");
        let readings = BufReader::new(child.stdout.take().unwrap());
        Self { child, readings }
    }

    fn read(&mut self, png: &[u8]) -> [Reading; 2] {
        let pictures = self.child.stdin.as_mut().unwrap();
        let sent = writeln!(pictures, "{}", png.len()).and_then(|()| pictures.write_all(png));
        [(); 2].map(|()| {
            let mut line = String::new();
            let _ = self.readings.read_line(&mut line);
            let said = line.trim_end_matches('\n').split_once('\t');
            let (name, text) = said.unwrap_or_else(|| panic!("decode.py said {line:?}; sent: {sent:?}"));
            reading(name, text)
        })
    }
}
