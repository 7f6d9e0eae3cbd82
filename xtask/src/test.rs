//! `cargo xtask test`: all checks that a change must pass.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, ensure};

use qrtotp_tests::{
    decoders::FROM_PYPI,
    layouts::{Layout, MODULES},
    openssh::{NEWEST, is_older},
    oracles::{FROM_NPM, not_of_our_schema},
};

use crate::{
    apt, bench,
    build::{self, Artefacts},
    deb, debian, decoders, fuzz,
    missing_tools::MissingTools,
    oracles, prose,
    step::{self, cargo, is_root, say},
    supply,
};

pub fn run(fast: bool) -> Result<()> {
    let clock = Clock(Instant::now());
    apt::need(&[apt::DEMO, apt::TEST, apt::DEB])?;
    let mut missing = MissingTools::default();
    if !fast {
        install(&mut missing)?;
    }
    missing.note("etcd", "no test has the fleet's store on a real etcd", debian::etcd())?;
    checks(&clock)?;
    clock.say("unit, property and command-line tests");
    let mut tests = cargo(&["test", "--workspace", "--exclude", "qrtotp-tests"]);
    step::run(tests.envs([missing.variable()]))?;
    clock.say("crates in the module and the relay, each with a reason");
    supply::check()?;
    clock.say("inputs that fuzzing begins with, and those that it found once");
    fuzz::known_inputs()?;
    if fast {
        clock.say("left out because of --fast: the end-to-end tests");
        return Ok(());
    }
    end_to_end(&clock, &missing)?;
    missing.say();
    clock.say("done");
    Ok(())
}

/// Tells how long a run takes to reach each of its parts.
struct Clock(Instant);

impl Clock {
    fn say(&self, what: &str) {
        let seconds = self.0.elapsed().as_secs();
        say(&format!("{:02}:{:02} {what}", seconds / 60, seconds % 60));
    }
}

/// What apt does not have.
fn install(missing: &mut MissingTools) -> Result<()> {
    missing.note(FROM_PYPI, "zbar alone reads the QR codes, not ZXing and OpenCV", decoders::install())?;
    missing.note(
        FROM_NPM,
        "npm's otpauth does not read our key URIs, and Elastic's schema does not judge our ECS documents",
        oracles::install(),
    )?;
    let without = "no test has another Debian's sshd and ssh, or sudo, sudo-rs, doas, cockpit, ProFTPD and xrdp of Debian 13";
    missing.note(NEWEST, without, debian::with_openssh(NEWEST))?;
    let without = "`setup` is not tried with the modules of SSSD, LDAP, Kerberos, Winbind and U2F";
    let layouts = Layout::all();
    let mut packages = layouts.iter().flat_map(Layout::packages);
    missing.note(MODULES, without, packages.try_for_each(apt::unpack))?;
    if !is_older() {
        missing
            .can_not("nobody enrols over ssh between two releases: what is built here runs on no older one");
    }
    Ok(())
}

fn checks(clock: &Clock) -> Result<()> {
    let advice = "if cargo has no such command: `rustup component add rustfmt clippy`";
    clock.say("formatting");
    check(&["fmt", "--all", "--check"]).context(advice)?;
    check(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])?;
    clock.say("lints");
    check(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).context(advice)?;
    fuzz::lints().context(advice)?;
    clock.say("prose");
    prose::run()?;
    clock.say("documentation of all crates, without warnings");
    step::run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn end_to_end(clock: &Clock, missing: &MissingTools) -> Result<()> {
    clock.say("builds for release");
    let artefacts = build::release()?;
    supply::check_sizes(&artefacts)?;
    if is_root() {
        clock.say("instructions of a login");
        bench::guard::check(&artefacts)?;
    } else {
        clock.say("left out, for they need root: the instructions of a login");
    }
    clock.say("packages");
    let packages = deb::of_release()?;
    let events = build::target().join("events-of-tests");
    fs::write(&events, "")?;
    let environment = |tests: &mut Command| -> Result<()> {
        tests.env("QRTOTP_EVENTS", &events);
        tests.envs(artefacts.variables()).env("QRTOTP_XTASK", std::env::current_exe()?);
        tests.env("QRTOTP_DEB", &packages).envs([missing.variable()]);
        if !is_root() {
            // Cargo goes on as the developer; only the tests themselves become root.
            let host = build::host_triple()?.to_uppercase().replace('-', "_");
            tests.env(format!("CARGO_TARGET_{host}_RUNNER"), "sudo --preserve-env --");
        }
        Ok(())
    };
    clock.say("end-to-end tests against real sshd, sudo and su, in private namespaces");
    // Most of these tests wait for programs rather than compute.
    let mut together =
        cargo(&["test", "--package", "qrtotp-tests", "--", "--test-threads=6", "--skip=alone::"]);
    environment(&mut together)?;
    step::run(&mut together)?;
    clock.say("end-to-end tests that need the machine for themselves");
    let mut alone =
        cargo(&["test", "--package", "qrtotp-tests", "--test=e2e", "--", "--test-threads=1", "alone::"]);
    environment(&mut alone)?;
    step::run(&mut alone)?;
    clock.say("all events of these tests, by their published schema");
    judge(&events, &artefacts)
}

/// Has docs/audit.schema.json judge what `qrtotp audit --json` makes of these lines, none of which is forged.
fn judge(events: &Path, artefacts: &Artefacts) -> Result<()> {
    let mut audit = Command::new(&artefacts.command);
    let said = audit.args(["audit", "--json", "--file"]).arg(events).output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let objects = String::from_utf8(said.stdout)?;
    let odd: Vec<&str> = objects.lines().filter(|object| object.contains("\"malformed\":true")).collect();
    ensure!(odd.is_empty(), "the schema does not describe these lines:\n{}", odd.join("\n"));
    let wrong = not_of_our_schema(&objects);
    ensure!(wrong.is_empty(), "the schema does not allow this:\n{wrong}");
    say(&format!("{} events, each as the schema says", objects.lines().count()));
    Ok(())
}

fn check(arguments: &[&str]) -> Result<()> {
    step::run(&mut cargo(arguments))
}
