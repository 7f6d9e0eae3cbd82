//! `cargo xtask bench`: the cost of logins with our module, with peers and with minimal modules, in the same
//! run on the same disk, with the configuration that the package installs. A login is pam_start … pam_end
//! with the module loaded each time, as in sshd and sudo (xtask/bench/driver.c).

mod accounts;
mod candidate;
mod chain;
mod command;
mod count;
mod crowd;
mod fleet;
mod flood;
pub mod guard;
mod host;
mod idle;
mod loading;
pub mod place;
mod rate;
mod report;
mod strangers;
mod timing;
mod work;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

pub use self::report::Report;
use self::{host::Host, place::Place};
use crate::{
    apt, build,
    step::{is_root, say},
};

const DOCUMENT: &str = "docs/PERFORMANCE.md";

/// The extent of the measurements.
struct Effort {
    /// Timed logins of each module.
    rounds: usize,
    /// Refusals of each kind of user.
    strangers: usize,
    /// Rounds of the measurements with many processes.
    crowds: usize,
    /// Accounts in the large store.
    accounts: usize,
    /// Seconds to wait for idle cores.
    patience: usize,
}

const FULL: Effort = Effort { rounds: 400, strangers: 2000, crowds: 15, accounts: 100_000, patience: 60 };
const QUICK: Effort = Effort { rounds: 100, strangers: 200, crowds: 3, accounts: 5000, patience: 5 };

type Part = fn(&Host, &Effort, &mut Report) -> Result<()>;

/// The measurements, in this order.
const PARTS: [(&str, Part); 9] = [
    ("timing", |host, effort, report| timing::measure(host, effort.rounds, report)),
    ("loading", |host, effort, report| loading::measure(host, effort.rounds, report)),
    ("strangers", |host, effort, report| strangers::measure(host, effort.strangers, report)),
    ("flood", |host, effort, report| flood::measure(host, effort.crowds, report)),
    ("crowd", |host, effort, report| crowd::measure(host, effort.crowds, report)),
    ("chain", |host, effort, report| chain::measure(host, effort.rounds, effort.crowds, report)),
    ("accounts", |host, effort, report| accounts::measure(host, effort.rounds, effort.accounts, report)),
    ("work", |host, _, report| work::measure(host, report)),
    ("fleet", |host, effort, report| fleet::measure(&host.place, effort, report)),
];

/// Runs all measurements, or the named ones.
///
/// # Errors
/// A measurement fails, or ours costs more than allowed.
pub fn run(arguments: &[&str]) -> Result<()> {
    let (mut effort, mut json, mut renew, mut keep, mut parts) = (FULL, None, false, false, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--quick" => effort = QUICK,
            "--renew" => renew = true,
            "--write" => keep = true,
            "--json" => json = Some(PathBuf::from(arguments.next().context("--json FILE")?)),
            name => parts.push(*part(name)?),
        }
    }
    ensure!(is_root(), "the comparison needs root for its namespaces: run it with sudo, or as root");
    apt::need(&[apt::DEMO, apt::BENCH])?;
    let artefacts = build::release()?;
    let host = Host::new(&artefacts)?;
    if renew {
        return guard::renew(&host);
    }
    let report = measure(&host, &effort, if parts.is_empty() { &PARTS } else { &parts })?;
    let text = report.text();
    println!("\n{text}");
    if let Some(path) = json {
        fs::write(&path, format!("{:#}\n", report.json()))?;
    }
    if keep {
        write(&text)?;
    }
    ensure!(report.missed() == 0, "{} of {} bars are missed", report.missed(), report.bars.len());
    Ok(())
}

/// The part `fleet` alone, for its proof.
///
/// # Errors
/// As [`run`].
pub fn fleet_alone() -> Result<Report> {
    apt::need(&[apt::DEMO, apt::BENCH])?;
    build::release()?;
    let mut report = Report::default();
    report.notes.push(idle::wait(FULL.patience)?);
    fleet::measure(&Place::on_disk()?, &FULL, &mut report)?;
    Ok(report)
}

/// The part `chain` alone, for its proof.
///
/// # Errors
/// As [`run`].
pub fn chain_alone() -> Result<Report> {
    apt::need(&[apt::DEMO, apt::BENCH])?;
    let host = Host::new(&build::release()?)?;
    measure(&host, &FULL, &[*part("chain")?])
}

/// The candidates in random order: a fixed order would measure each one with the same predecessor's data in
/// the processor's caches.
fn shuffled<T, const N: usize>(mut all: [T; N]) -> [T; N] {
    fastrand::shuffle(&mut all);
    all
}

fn part(name: &str) -> Result<&'static (&'static str, Part)> {
    PARTS.iter().find(|(known, _)| *known == name).with_context(|| {
        let names = PARTS.map(|(name, _)| name).join(", ");
        format!("bench knows --quick, --json FILE, --write, --renew and the parts {names}, not {name}")
    })
}

fn write(text: &str) -> Result<()> {
    let mut git = Command::new("git");
    let commit = git.current_dir(build::workspace()).args(["describe", "--always", "--dirty"]).output()?;
    let commit = String::from_utf8_lossy(&commit.stdout);
    let head =
        format!("# What logins cost\n\nWritten by `cargo xtask bench --write` on {}.\n\n", commit.trim());
    fs::write(build::workspace().join(DOCUMENT), head + text)?;
    say(&format!("{DOCUMENT} is written"));
    Ok(())
}

fn measure(host: &Host, effort: &Effort, parts: &[(&'static str, Part)]) -> Result<Report> {
    let mut report = Report::default();
    let system = &host.file_system;
    let warning =
        if system == "ext4" { "" } else { ", **which is not the ext4 that the bars are meant for**" };
    report.notes.push(format!("On {system}{warning}, on {} cores.", std::thread::available_parallelism()?));
    report.notes.push(idle::wait(effort.patience)?);
    for (name, part) in parts {
        say(&format!("measuring: {name}"));
        part(host, effort, &mut report).with_context(|| format!("the part {name}"))?;
    }
    Ok(report)
}
