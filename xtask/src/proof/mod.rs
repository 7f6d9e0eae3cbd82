//! `cargo xtask proof [NAME…]`: checks that take too long for every test run. docs/PROOF.md lists the
//! properties.

mod booted;
mod faults;
mod fleet;
mod floods;
mod fuzzing;
mod mutants;
mod newcomer;
mod openssh;
mod packages;
mod power;
mod setup;
mod suite;
mod supply;
mod systemd;
mod trail;

use anyhow::{Context, Result, bail, ensure};

use crate::{
    apt, bench,
    step::{is_root, say},
};

/// The results of one proof.
#[derive(Default)]
pub struct Findings {
    /// Tables, for the terminal.
    pub text: String,
    /// The failures, one sentence each.
    pub failures: Vec<String>,
}

impl Findings {
    /// Fails for each bar that a benchmark misses.
    fn of_bench(report: &bench::Report) -> Result<Self> {
        ensure!(!report.bars.is_empty(), "nothing was measured");
        let missed = report.bars.iter().filter(|bar| !bar.is_met());
        let failures = missed.map(|bar| format!("{}: {:.2}", bar.what, bar.measured)).collect();
        Ok(Self { text: report.text(), failures })
    }
}

struct Proof {
    /// Its name on the command line.
    name: &'static str,
    run: fn() -> Result<Findings>,
}

const PROOFS: &[Proof] = &[
    Proof { name: "openssh", run: openssh::run },
    Proof { name: "systemd", run: systemd::run },
    Proof { name: "confirm", run: systemd::confirm::run },
    Proof { name: "setup", run: setup::run },
    Proof { name: "floods", run: floods::run },
    Proof { name: "packages", run: packages::run },
    Proof { name: "fuzzing", run: fuzzing::run },
    Proof { name: "faults", run: faults::run },
    Proof { name: "apply", run: || suite::end_to_end(&["hostile::failing_calls::"]) },
    Proof {
        name: "kills",
        run: || {
            suite::end_to_end(&[
                "alone::killed::",
                "alone::killed_enrolment::",
                "hostile::killed_lines::",
                "admin::setup::killed_at_each",
                "admin::setup_power::",
            ])
        },
    },
    Proof { name: "power", run: power::run },
    Proof { name: "recorder", run: || suite::unit_tests("qrtotp-flow", "tests::recorder") },
    Proof { name: "model", run: || suite::unit_tests("qrtotp-flow", "tests::model") },
    Proof {
        name: "policies",
        run: || suite::unit_tests_with("qrtotp-policy", "rules::naive", &[("PROPTEST_CASES", "1000000")]),
    },
    Proof { name: "trail", run: trail::run },
    Proof { name: "chain", run: || Findings::of_bench(&bench::chain_alone().context("the bench")?) },
    Proof { name: "fleet", run: fleet::run },
    Proof { name: "newcomer", run: newcomer::run },
    Proof {
        name: "refusals",
        run: || suite::end_to_end(&["alone::forward_pass::", "alone::refusal_times::"]),
    },
    Proof { name: "oathtool", run: || suite::unit_tests("qrtotp-otp", "oathtool") },
    Proof { name: "mutants", run: mutants::run },
    Proof { name: "hosts", run: || suite::end_to_end(&["hostile::hosts::", "alone::setuid_limits::"]) },
    Proof { name: "secrets", run: || suite::end_to_end(&["secrets::in_memory::", "secrets::of_programs::"]) },
    Proof {
        name: "monitoring",
        run: || {
            apt::unpack("crowdsec")?;
            apt::unpack("prometheus")?;
            apt::unpack("python3-prometheus-client")?;
            suite::end_to_end(&["audit::monitoring::"])
        },
    },
    Proof {
        name: "report",
        run: || {
            apt::need(&[apt::BROWSER])?;
            suite::end_to_end(&["audit::report::"])
        },
    },
    Proof { name: "anomalies", run: || suite::unit_tests("qrtotp-flow", "tests::month::") },
    Proof { name: "supply", run: supply::run },
];

/// Runs the proofs of these names, or all.
///
/// # Errors
/// An unknown name, or a failed property.
pub fn run(names: &[&str]) -> Result<()> {
    ensure!(is_root(), "the proofs need root for their namespaces, mounts and limits: run it as root");
    for name in names {
        known(name)?;
    }
    let mut failures = Vec::new();
    for proof in PROOFS.iter().filter(|proof| names.is_empty() || names.contains(&proof.name)) {
        say(&format!("proof: {}", proof.name));
        match (proof.run)() {
            Ok(mut found) => {
                print!("{}", found.text);
                found.failures.iter().for_each(|failure| eprintln!("{failure}"));
                failures.append(&mut found.failures);
            }
            Err(error) => failures.push(format!("{}: it could not be carried out: {error:#}", proof.name)),
        }
    }
    ensure!(failures.is_empty(), "{} things failed:\n{}", failures.len(), failures.join("\n"));
    say("everything held");
    Ok(())
}

fn known(name: &str) -> Result<()> {
    if PROOFS.iter().any(|proof| proof.name == name) {
        return Ok(());
    }
    let names: Vec<_> = PROOFS.iter().map(|proof| proof.name).collect();
    bail!("there is no proof `{name}`; there are: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_proof_names_the_command_of_each_proof_and_no_other() {
        let document = include_str!("../../../docs/PROOF.md");
        let commands = document.split("| `cargo xtask proof ").skip(1);
        let mut documented: Vec<_> = commands.filter_map(|rest| rest.split('`').next()).collect();
        let mut names: Vec<_> = PROOFS.iter().map(|proof| proof.name).collect();
        documented.sort_unstable();
        names.sort_unstable();
        assert_eq!(documented, names);
    }
}
