//! Pictures of QR codes with colours and a logo, each of which the command takes to be readable, read by three decoders.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};
use qrtotp_tests::{
    Sandbox, State,
    decoders::{self, Reading},
};

use super::Findings;
use crate::{apt, build};

const USER: &str = "alice";
const LOGO: &str = "/etc/qrtotp/logo.png";

/// Dark on light.
const COLOURS: [(&str, &str); 6] = [
    ("#000000", "#ffffff"),
    ("#767676", "#ffffff"), // 4.54:1, the least grey
    ("#0b5fff", "#ffffff"),
    ("#7a0019", "#ffd166"),
    ("#00308f", "#b0e0e6"),
    ("#000000", "#808080"),
];
/// In percent of the picture; 0: none.
const LOGOS: [u8; 4] = [0, 10, 15, 20];
const LEVELS: [&str; 4] = ["L", "M", "Q", "H"];

/// # Errors
/// It can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::PROOF])?;
    let artefacts = build::release()?;
    crate::decoders::install()?;
    let host = Sandbox::with_artefacts(State::Tmpfs("size=64m"), &artefacts.module, &artefacts.command);
    host.add_user(USER);
    host.run(&["mkdir", "-m", "700", "/root/codes"]).success();
    let colours = ["gradient:#d00000-#2000a0", "-alpha", "set"];
    host.run(&[&["convert", "-size", "240x240"][..], &colours, &[LOGO]].concat()).success();
    let mut found = Findings::default();
    let (mut pictures, mut refused) = (0, 0);
    let mut read: BTreeMap<String, u32> = BTreeMap::new();
    for (dark, light) in COLOURS {
        for (logo, level) in LOGOS.iter().flat_map(|logo| LEVELS.map(|level| (*logo, level))) {
            let mut brand =
                format!("[brand]\ndark = \"{dark}\"\nlight = \"{light}\"\ncorrection = \"{level}\"\n");
            if logo > 0 {
                write!(brand, "logo = \"{LOGO}\"\nlogo_size = {logo}\n")?;
            }
            host.configure(&brand);
            for kind in ["svg", "png"] {
                let case = format!("{dark} on {light}, logo {logo} %, level {level}, {kind}");
                let file = format!("/root/codes/a.{kind}");
                if !host.run(&["qrtotp", "config", "check"]).stdout.contains("danger: brand: ") {
                    pictures += 1;
                    for (decoder, right) in one(&host, &file).with_context(|| case.clone())? {
                        *read.entry(decoder.clone()).or_default() += u32::from(right);
                        if !right {
                            found.failures.push(format!("{decoder} can't read: {case}"));
                        }
                    }
                } else {
                    refused += 1;
                }
            }
        }
    }
    if refused == 0 {
        found.failures.push("nothing was refused, so the measure of what is readable was not tried".into());
    }
    writeln!(
        found.text,
        "{} colour pairs × logos of {LOGOS:?} % × error correction {LEVELS:?}, as SVG and PNG: {pictures} pictures, and {refused} that\n\
         the command refuses to make. What each decoder, none of which may invert, read of the pictures:\n\n\
         | decoder | read |\n|---|---|",
        COLOURS.len(),
    )?;
    for (decoder, count) in read {
        writeln!(found.text, "| {decoder} | {count} of {pictures} |")?;
    }
    Ok(found)
}

/// Has a picture saved in the middle of an enrolment, which is then given up; which decoders read the URI in it.
fn one(host: &Sandbox, file: &str) -> Result<Vec<(String, bool)>> {
    let (mut pty, _, uri) = host.start_enrolment(USER, &["--qr", "none", "--no-verify", "--save", file]);
    let png = if file.ends_with(".svg") {
        host.run(&["rsvg-convert", "--output", "/root/drawn.png", file]).success();
        "/root/drawn.png"
    } else {
        file
    };
    let picture = std::fs::read(host.path(png))?;
    pty.send("q");
    pty.failure();
    if !uri.starts_with("otpauth://totp/") {
        bail!("the command shows no URI");
    }
    let right = |Reading { decoder, text }| (decoder, text.as_ref() == Some(&uri));
    Ok(decoders::read_png(&picture).into_iter().map(right).collect())
}
