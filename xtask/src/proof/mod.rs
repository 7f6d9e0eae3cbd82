//! `cargo xtask proof [NAME…]`: what takes too long for every test run. Each proof writes its own section of docs/PROOF.md.

mod document;
mod faults;
mod fuzzing;
mod hosts;
mod model;
mod mutants;
mod openssh;
mod power;
mod recorder;
mod secrets;
mod supply;
mod systemd;
mod told;
mod with_std;

pub use document::commit;

use anyhow::{Result, bail, ensure};

use crate::step::{is_root, say};

/// What one proof found. Kept whether or not it succeeded, for a document that only knows successes proves nothing.
#[derive(Default)]
pub struct Findings {
    /// Markdown, without headings of the first or second level.
    pub text: String,
    /// What did not hold, one sentence each.
    pub failures: Vec<String>,
}

struct Proof {
    /// As the command line calls it.
    name: &'static str,
    /// The section's heading.
    title: &'static str,
    run: fn() -> Result<Findings>,
}

const FUZZING: &str = "Fuzzing";
const MUTANTS: &str = "Mutation testing";

/// In the order of the document.
const PROOFS: &[Proof] = &[
    Proof { name: "openssh", title: "Enrolment between OpenSSH releases", run: openssh::run },
    Proof { name: "systemd", title: "The broker under systemd", run: systemd::run },
    Proof { name: "fuzzing", title: FUZZING, run: fuzzing::run },
    Proof { name: "faults", title: "Every system call fails once", run: faults::run },
    Proof { name: "power", title: "Power cuts", run: power::run },
    Proof { name: "recorder", title: "Power cuts at every call", run: recorder::run },
    Proof { name: "model", title: "Interleavings and crashes", run: model::run },
    Proof { name: "mutants", title: MUTANTS, run: mutants::run },
    Proof { name: "hosts", title: "Hostile applications", run: hosts::run },
    Proof { name: "secrets", title: "Secrets in memory", run: secrets::run },
    Proof {
        name: "with_std",
        title: "The module with the standard library from its sources",
        run: with_std::run,
    },
    Proof { name: "supply", title: "Supply chain", run: supply::run },
];

/// Runs the proofs of these names, or all.
///
/// # Errors
/// A name that no proof has, or something did not hold; the document says what.
pub fn run(names: &[&str]) -> Result<()> {
    ensure!(is_root(), "the proofs need root for their namespaces, mounts and limits: run it as root");
    for name in names {
        known(name)?;
    }
    let mut failures = Vec::new();
    for proof in PROOFS.iter().filter(|proof| names.is_empty() || names.contains(&proof.name)) {
        say(&format!("proof: {}", proof.title));
        let mut found = match (proof.run)() {
            Ok(found) => found,
            Err(error) => {
                failures.push(format!("{}: it could not be carried out: {error:#}", proof.name));
                continue;
            }
        };
        print!("{}", found.text);
        for failure in &found.failures {
            eprintln!("{failure}");
        }
        document::keep(proof, &found)?;
        failures.append(&mut found.failures);
    }
    ensure!(failures.is_empty(), "{} things failed:\n{}", failures.len(), failures.join("\n"));
    say("everything held; docs/PROOF.md is written");
    Ok(())
}

/// Keeps what the proof of this name has found so far.
fn keep(name: &str, found: &Findings) -> Result<()> {
    PROOFS.iter().filter(|proof| proof.name == name).try_for_each(|proof| document::keep(proof, found))
}

fn known(name: &str) -> Result<()> {
    if PROOFS.iter().any(|proof| proof.name == name) {
        return Ok(());
    }
    let names: Vec<_> = PROOFS.iter().map(|proof| proof.name).collect();
    bail!("there is no proof `{name}`; there are: {}", names.join(", "))
}
