//! Independent readers of key URIs: pyotp and ykman (Debian), and otpauth, which `cargo xtask` installs from
//! npm; and from there the Elastic Common Schema, and from PyPI that of OCSF. Debian's jsonschema judges by
//! our own schema.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{artefacts, decoders};

/// The name of what comes from npm in `QRTOTP_MISSING_TOOLS`.
pub const FROM_NPM: &str = "npm";

/// One program's reading.
#[derive(PartialEq, Eq, Debug)]
pub struct Read {
    pub issuer: String,
    pub account: String,
    /// Base32, without `=`.
    pub secret: String,
}

/// Faults of ECS documents, a line of JSON each, by Elastic's published schema: fields that it does
/// not have, values of another type, and values that it does not allow. `None` if this machine can't install
/// it.
#[must_use]
pub fn not_ecs(documents: &str) -> Option<String> {
    (!artefacts::is_missing(FROM_NPM)).then(|| {
        let mut node = Command::new("node");
        node.env("NODE_PATH", npm_prefix().join("node_modules"));
        output_of(node.args(["-e", include_str!("ecs.js")]), documents)
    })
}

/// As [`not_ecs`], for OCSF events: by the schema of the version that each names.
#[must_use]
pub fn not_ocsf(events: &str) -> Option<String> {
    (!artefacts::is_missing(decoders::FROM_PYPI)).then(|| {
        let mut python = Command::new(decoders::environment().join("bin/python"));
        output_of(python.args(["-c", include_str!("ocsf.py")]), events)
    })
}

/// Faults of objects, a line of JSON each, by docs/audit.schema.json, as Debian's jsonschema finds them.
#[must_use]
pub fn not_of_our_schema(objects: &str) -> String {
    let schema = artefacts::sources().join("../docs/audit.schema.json");
    let mut python = Command::new("/usr/bin/python3");
    output_of(python.args(["-c", include_str!("schema.py")]).arg(schema), objects)
}

/// A program's reading of each of `uris`; `None` if it refuses one.
pub type Readings = Vec<Option<Read>>;

#[must_use]
pub fn pyotp(uris: &[String]) -> Readings {
    python("pyotp", uris)
}

#[must_use]
pub fn ykman(uris: &[String]) -> Readings {
    python("ykman", uris)
}

/// `None` if this machine can't install it.
#[must_use]
pub fn otpauth(uris: &[String]) -> Option<Readings> {
    (!artefacts::is_missing(FROM_NPM)).then(|| {
        let mut node = Command::new("node");
        node.env("NODE_PATH", npm_prefix().join("node_modules"));
        ask(node.args(["-e", include_str!("oracle.js")]), uris)
    })
}

/// npm's prefix.
#[must_use]
pub fn npm_prefix() -> PathBuf {
    artefacts::target_directory().join("npm")
}

fn python(reader: &str, uris: &[String]) -> Readings {
    // Debian's own Python has Debian's packages.
    ask(Command::new("/usr/bin/python3").args(["-c", include_str!("oracle.py"), reader]), uris)
}

/// Runs a reader: in go the URIs, one a line; out come issuer, account and secret with tabs between, or an
/// empty line.
fn ask(command: &mut Command, uris: &[String]) -> Readings {
    let readings: Readings = output_of(command, &(uris.join("\n") + "\n")).lines().map(read).collect();
    assert_eq!(readings.len(), uris.len());
    readings
}

/// The standard output of a program that reads `input`.
fn output_of(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a reader is missing: run `cargo xtask test`, which installs it");
    // One that ended early says below why.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(line: &str) -> Option<Read> {
    let mut fields = line.split('\t').map(str::to_owned);
    Some(Read { issuer: fields.next()?, account: fields.next()?, secret: fields.next()? })
}
