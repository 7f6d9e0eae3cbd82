//! `cargo xtask fuzz --minutes N [TARGET]`: searches for inputs that break an invariant of fuzz/, with
//! libFuzzer on the stable toolchain. `cargo xtask proof fuzzing` runs every target for millions of inputs.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    apt, build,
    step::{cargo, run as run_step, say},
};

/// The further settings of `-Zsanitizer`, as stable options: libFuzzer sees the edges that an input takes,
/// and compared values.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// Seconds of wall-clock time after which one input is a finding. The longest inputs, scripts that hash, need
/// about two on an idle core.
const SLOW: u32 = 60;

/// A target, and the longest input worth trying, in bytes.
pub struct Target {
    pub name: &'static str,
    longest: u32,
}

const fn target(name: &'static str, longest: u32) -> Target {
    Target { name, longest }
}

/// The same as in fuzz/src/lib.rs.
pub const TARGETS: [Target; 16] = [
    target("arguments", 256),
    target("codes", 64),
    target("config", 512),
    target("conversation", 160),
    target("csv", 512),
    target("frames", 1024),
    target("applied", 2_000),
    target("hot_state", 700),
    target("imports", 512),
    target("json", 1024),
    target("log", 1024),
    target("migration", 512),
    target("pskc", 2048),
    target("record", 2048),
    target("uri", 512),
    target("uris", 1024),
];

/// The end of a run without a finding.
#[derive(Clone, Copy)]
pub enum Until {
    Runs(u64),
    Time(Duration),
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub runs: u64,
    /// Edges of the control flow that were taken, libFuzzer's own left out.
    pub edges: u64,
    pub seconds: u64,
    /// The input of a finding, and its message.
    pub finding: Option<(PathBuf, String)>,
}

/// Fuzzes one target, or each in turn, for this many minutes.
///
/// # Errors
/// No such target, no time, a finding.
pub fn run(minutes: &str, only: Option<&str>) -> Result<()> {
    let minutes: u64 = minutes.parse().context("--minutes takes a whole number")?;
    ensure!(minutes > 0, "--minutes takes at least 1");
    let chosen: Vec<_> =
        TARGETS.iter().filter(|target| only.is_none_or(|name| name == target.name)).collect();
    let names = TARGETS.map(|target| target.name).join(", ");
    ensure!(!chosen.is_empty(), "there is no such target; there are: {names}");
    let program = build()?;
    let mut findings = Vec::new();
    for target in chosen {
        let outcome = fuzz(&program, target, Until::Time(Duration::from_secs(minutes * 60)), false)?;
        println!("{}: {} runs, {} edges, {} s", target.name, outcome.runs, outcome.edges, outcome.seconds);
        if let Some((input, why)) = outcome.finding {
            findings.push(format!("{}: {why}\n  {}", target.name, input.display()));
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{}\nFix it, and keep the input in fuzz/regressions/TARGET/.", findings.join("\n"))
}

/// Runs the committed inputs, once each: seconds.
///
/// # Errors
/// One of them breaks an invariant.
pub fn known_inputs() -> Result<()> {
    let manifest = directory().join("Cargo.toml");
    run_step(
        cargo(&["test", "--locked", "--manifest-path"])
            .arg(manifest)
            .env("CARGO_TARGET_DIR", build::target()),
    )
}

/// Runs clippy on the targets.
///
/// # Errors
/// A warning.
pub fn lints() -> Result<()> {
    let mut clippy = cargo(&["clippy", "--locked", "--lib", "--tests", "--manifest-path"]);
    clippy.arg(directory().join("Cargo.toml")).env("CARGO_TARGET_DIR", build::target());
    run_step(clippy.args(["--", "-D", "warnings"]))
}

fn directory() -> PathBuf {
    build::workspace().join("fuzz")
}

/// Builds the fuzzer.
pub fn build() -> Result<PathBuf> {
    apt::need(&[apt::FUZZ])?;
    say("building the fuzzer");
    let (host, target) = (build::host_triple()?, build::target().join("fuzz"));
    let mut command =
        cargo(&["build", "--release", "--locked", "--features", "libfuzzer", "--target", &host]);
    command.arg("--manifest-path").arg(directory().join("Cargo.toml"));
    run_step(command.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", COVERAGE))?;
    Ok(target.join(host).join("release/qrtotp-fuzz").canonicalize()?)
}

/// Runs one target, beginning with the committed inputs and those of earlier runs. With a planted fault, with
/// the committed ones alone.
pub fn fuzz(program: &Path, target: &Target, until: Until, planted: bool) -> Result<Outcome> {
    let place = |kind: &str| -> Result<PathBuf> {
        let path = build::target().join("fuzz").join(kind).join(target.name);
        fs::create_dir_all(&path)?;
        Ok(path.canonicalize()?)
    };
    let (findings, corpus) = if planted {
        let fresh = place("planted-corpus")?;
        fs::remove_dir_all(&fresh)?;
        (place("planted")?, place("planted-corpus")?)
    } else {
        (place("findings")?, place("corpus")?)
    };
    let mut command = Command::new("nice");
    command.args(["-n", "10"]).arg(program).arg(corpus);
    let committed = ["seeds", "regressions"].map(|kind| directory().join(kind).join(target.name));
    command.args(committed.iter().filter(|path| path.is_dir()));
    command.arg(match until {
        Until::Runs(runs) => format!("-runs={runs}"),
        Until::Time(time) => format!("-max_total_time={}", time.as_secs()),
    });
    command.args([format!("-max_len={}", target.longest), format!("-timeout={SLOW}")]);
    // By default libFuzzer also reports inputs that take 10 s. On a busy machine any input may, so that is no
    // finding.
    command.arg(format!("-report_slow_units={SLOW}"));
    command.arg(format!("-artifact_prefix={}/", findings.display()));
    command.env("QRTOTP_FUZZ_TARGET", target.name);
    if planted {
        command.env("QRTOTP_FUZZ_PLANTED", "1");
    }
    say(&format!("fuzzing {}{}", target.name, if planted { ", with a fault planted" } else { "" }));
    let mut child = command.stderr(Stdio::piped()).spawn().context("cannot start the fuzzer")?;
    let outcome = follow(BufReader::new(child.stderr.take().context("its standard error")?));
    let status = child.wait()?;
    let outcome = outcome?;
    ensure!(
        status.success() || outcome.finding.is_some(),
        "{}: the fuzzer ended with {status} and no finding",
        target.name
    );
    Ok(outcome)
}

/// Reads libFuzzer's output to its end.
fn follow(says: impl BufRead) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut why, mut input) = (String::new(), None);
    for line in says.lines() {
        let line = line?;
        if let Some(edges) = after(&line, "cov: ") {
            outcome.edges = edges;
        }
        if line.starts_with('#') {
            outcome.runs = after(&line, "#").unwrap_or(outcome.runs);
        } else if let Some(runs) = after(&line, "Done ") {
            outcome.runs = runs;
            outcome.seconds = after(&line, "runs in ").unwrap_or(0);
        } else if let Some(path) = line.split("Test unit written to ").nth(1) {
            input = Some(PathBuf::from(path));
        } else if why.ends_with(':') {
            why = format!("{why} {line}"); // the panic's message
        } else if why.is_empty() && (line.contains("panicked at") || line.contains("ERROR: libFuzzer")) {
            why = line;
        }
    }
    outcome.finding = input.map(|input| (input, why));
    Ok(outcome)
}

/// The number after a word.
fn after(line: &str, word: &str) -> Option<u64> {
    let digits = line.split(word).nth(1)?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_figures_and_the_finding_are_read_from_what_libfuzzer_says() {
        let quiet = "#2\tINITED cov: 10 ft: 11\n#900\tDONE   cov: 123 ft: 400 corp: 7/1Kb\nDone 900 runs in 4 second(s)\n";
        let quiet = follow(quiet.as_bytes()).unwrap();
        assert_eq!((quiet.runs, quiet.edges, quiet.seconds), (900, 123, 4));
        assert!(quiet.finding.is_none());
        let found = "#17\tNEW    cov: 9 ft: 11\n\nthread '<unnamed>' panicked at src/uri.rs:7:5:\na wheel came off\n\
                     ==1== ERROR: libFuzzer: deadly signal\nartifact_prefix='x/'; Test unit written to x/crash-1\n";
        let found = follow(found.as_bytes()).unwrap();
        assert_eq!(found.runs, 17);
        let (input, why) = found.finding.unwrap();
        assert_eq!(input, Path::new("x/crash-1"));
        assert!(why.ends_with("src/uri.rs:7:5: a wheel came off"), "{why}");
    }

    #[test]
    fn every_target_has_seeds() {
        for target in TARGETS {
            let seeds = directory().join("seeds").join(target.name);
            assert!(fs::read_dir(&seeds).unwrap().count() >= 3, "{}", seeds.display());
        }
    }
}
