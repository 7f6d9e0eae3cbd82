//! `cargo xtask test`: all checks that a change must pass.

use std::process::Command;

use anyhow::{Context, Result};

use qrtotp_tests::{
    decoders::FROM_PYPI,
    openssh::{NEWEST, is_older},
    oracles::FROM_NPM,
};

use crate::{
    apt, bench, build, deb, debian, decoders, fuzz,
    missing_tools::MissingTools,
    oracles, prose,
    step::{self, cargo, is_root, say},
    supply,
};

pub fn run(fast: bool) -> Result<()> {
    apt::need(&[apt::DEMO, apt::TEST, apt::DEB])?;
    let mut lacks = MissingTools::default();
    if !fast {
        lacks.note(FROM_PYPI, "zbar alone reads the QR codes, not ZXing and OpenCV", decoders::install())?;
        lacks.note(FROM_NPM, "npm's otpauth does not read our key URIs", oracles::install())?;
        let without = "no test has another Debian's sshd and ssh, or sudo, sudo-rs, doas, cockpit, ProFTPD and xrdp of Debian 13";
        lacks.note(NEWEST, without, debian::with_openssh(NEWEST))?;
        if !is_older() {
            lacks.can_not(
                "nobody enrols over ssh between two releases: what is built here runs on no older one",
            );
        }
    }
    lacks.note("etcd", "no test has the fleet's store on a real etcd", debian::etcd())?;
    let advice = "if cargo has no such command: `rustup component add rustfmt clippy`";

    say("formatting");
    check(&["fmt", "--all", "--check"]).context(advice)?;
    check(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])?;

    say("lints");
    check(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).context(advice)?;
    fuzz::lints().context(advice)?;

    say("prose");
    prose::run()?;
    say("documentation of all crates, without warnings");
    step::run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;

    say("unit, property and command-line tests");
    let mut tests = cargo(&["test", "--workspace", "--exclude", "qrtotp-tests"]);
    step::run(tests.envs([lacks.variable()]))?;
    say("crates in the module, each with a reason");
    supply::check()?;

    say("inputs that fuzzing begins with, and those that it found once");
    fuzz::known_inputs()?;
    if fast {
        say("left out because of --fast: the end-to-end tests");
        return Ok(());
    }

    let artefacts = build::release()?;
    if is_root() {
        say("instructions of a login");
        bench::guard::check(&artefacts)?;
    } else {
        say("left out, for they need root: the instructions of a login");
    }
    let packages = deb::of_release()?;
    say("end-to-end tests against real sshd, sudo and su, in private namespaces");
    let environment = |tests: &mut Command| -> Result<()> {
        tests.envs(artefacts.variables()).env("QRTOTP_XTASK", std::env::current_exe()?);
        tests.env("QRTOTP_DEB", &packages).envs([lacks.variable()]);
        if !is_root() {
            // Cargo goes on as the developer; only the tests themselves become root.
            let host = build::host_triple()?.to_uppercase().replace('-', "_");
            tests.env(format!("CARGO_TARGET_{host}_RUNNER"), "sudo --preserve-env --");
        }
        Ok(())
    };
    // Most of these tests wait for programs rather than compute.
    let mut together =
        cargo(&["test", "--package", "qrtotp-tests", "--", "--test-threads=4", "--skip=alone::"]);
    environment(&mut together)?;
    step::run(&mut together)?;
    say("end-to-end tests that need the machine for themselves");
    let mut alone =
        cargo(&["test", "--package", "qrtotp-tests", "--test=e2e", "--", "--test-threads=1", "alone::"]);
    environment(&mut alone)?;
    step::run(&mut alone)?;
    lacks.say();
    Ok(())
}

fn check(arguments: &[&str]) -> Result<()> {
    step::run(&mut cargo(arguments))
}
