//! `qrtotp config test`: the `[[test]]`s of the files, or of another file.

use super::words::count;
use crate::applied::compiled;
use crate::error::{Exit, Failure};
use crate::host_names::HostNames;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Compiled, ConfigFile, SourceFile, compile};
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path, file: Option<&Path>) -> Result<Exit, Failure> {
    let compiled = match file {
        None => compiled(path)?,
        Some(file) => with_tests_of(path, file)?,
    };
    let passed = write(&compiled, &mut std::io::stdout().lock())?;
    Ok(if passed { Exit::Done } else { Exit::Refused })
}

/// The configuration with the tests of `file` in place of its own.
fn with_tests_of(path: &Path, file: &Path) -> Result<Compiled, Failure> {
    let mut files = ConfigFile::files(path)?;
    let rules = compile(&files, &HostNames)?.rules.len();
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::Error(format!("cannot read {}: {error}", file.display())))?;
    files.insert(0, SourceFile { path: file.to_owned(), bytes });
    let mut compiled = compile(&files, &HostNames)?;
    if compiled.rules.len() != rules {
        let text = format!("{} has rules, too; a file for `config test` has [[test]]s only", file.display());
        return Err(Failure::Error(text));
    }
    compiled.keep_tests_of(file);
    Ok(compiled)
}

/// Runs the tests and writes how they went; whether all passed.
pub fn write(compiled: &Compiled, out: &mut impl Write) -> std::io::Result<bool> {
    let (all, failed) = compiled.failed_tests(SystemClock.now());
    match failed.len() {
        0 => writeln!(out, "{} passed", count(all, "test"))?,
        many => writeln!(out, "{} passed, {many} failed:", count(all - many, "test"))?,
    }
    for test in &failed {
        writeln!(out, "  {} expected {:?}, got {:?}", test.place, test.expected, test.got)?;
    }
    Ok(failed.is_empty())
}
