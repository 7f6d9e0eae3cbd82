//! Scanners that are not ours and not each other's: zbar, which the harness uses, and ZXing and OpenCV from PyPI.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use qrtotp_tests::screen::{Background, photograph};

use crate::{
    build,
    step::{run, say},
};

/// The usual terminal.
const GEOMETRY: &str = "80x24";

/// What one scanner made of a photograph.
pub struct Reading {
    pub scanner: String,
    pub text: String,
}

pub struct Decoders {
    python: PathBuf,
    directory: PathBuf,
    zbar: String,
}

impl Decoders {
    /// # Errors
    /// PyPI is out of reach, or a program is missing.
    pub fn install() -> Result<Self> {
        let directory = build::target().join("proof");
        let venv = directory.join("venv");
        if !venv.join("ready").exists() {
            say("installing ZXing and OpenCV from PyPI into target/, once");
            fs::create_dir_all(&directory)?;
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            let packages =
                ["install", "--quiet", "--only-binary=:all:", "zxing-cpp", "opencv-python-headless"];
            run(Command::new(venv.join("bin/pip")).args(packages))?;
            fs::write(venv.join("ready"), "")?;
        }
        let version = Command::new("zbarimg").arg("--version").output().context("zbarimg is needed")?;
        let zbar = format!("zbar {}", String::from_utf8_lossy(&version.stdout).trim());
        Ok(Self { python: venv.join("bin/python"), directory, zbar })
    }

    /// What each scanner reads off a dark terminal that shows `text`.
    ///
    /// # Errors
    /// A scanner did not run.
    pub fn read(&self, text: &str) -> Result<Vec<Reading>> {
        let (zbar, photo) = photograph(text, Background::Dark, GEOMETRY);
        self.others(zbar, &photo, &[])
    }

    /// What they read where light and dark have changed places: nothing, or one of them inverts by itself.
    ///
    /// # Errors
    /// As [`Decoders::read`].
    pub fn read_inverted(&self, text: &str) -> Result<Vec<Reading>> {
        let (zbar, _) = photograph(text, Background::Light, GEOMETRY);
        let (_, photo) = photograph(text, Background::Dark, GEOMETRY);
        self.others(zbar, &photo, &["inverted"])
    }

    /// What each scanner reads in a picture. zbar has its own way to it.
    ///
    /// # Errors
    /// As [`Decoders::read`].
    pub fn picture(&self, zbar: String, png: &[u8]) -> Result<Vec<Reading>> {
        self.others(Some(zbar), png, &[])
    }

    fn others(&self, zbar: Option<String>, photo: &[u8], more: &[&str]) -> Result<Vec<Reading>> {
        let file = self.directory.join("photo.png");
        fs::write(&file, photo)?;
        let script = build::workspace().join("xtask/src/proof/decode.py");
        let output = Command::new(&self.python).arg(script).arg(&file).args(more).output()?;
        fs::remove_file(&file)?;
        if !output.status.success() {
            bail!("decode.py: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut readings = vec![Reading { scanner: self.zbar.clone(), text: zbar.unwrap_or_default() }];
        for line in String::from_utf8(output.stdout)?.lines() {
            let [name, version, text] = line.split('\t').collect::<Vec<_>>()[..] else {
                bail!("decode.py said {line:?}");
            };
            readings.push(Reading { scanner: format!("{name} {version}"), text: text.to_owned() });
        }
        Ok(readings)
    }
}
