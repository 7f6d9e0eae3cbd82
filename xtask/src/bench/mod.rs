//! `cargo xtask bench`: what logins cost, of ours, of peers and of the least that can be done, in the same run on the same
//! disk. A login is pam_start … pam_end with the module loaded each time, as sshd and sudo do (xtask/bench/driver.c).

mod candidate;
mod count;
pub mod guard;
mod host;
mod idle;
mod place;
mod report;
mod timing;
mod work;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};

use self::{host::Host, report::Report};
use crate::{
    apt, build,
    proof::commit,
    step::{is_root, say},
};

const DOCUMENT: &str = "docs/PERFORMANCE.md";

/// How much is measured.
struct Effort {
    /// Logins of each module whose time is taken.
    rounds: usize,
    /// Seconds to wait for idle cores.
    patience: usize,
}

const FULL: Effort = Effort { rounds: 400, patience: 60 };
const QUICK: Effort = Effort { rounds: 100, patience: 5 };

/// # Errors
/// When something could not be measured, or ours costs more than it may.
pub fn run(arguments: &[&str]) -> Result<()> {
    let (mut effort, mut json, mut renew) = (FULL, None, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--quick" => effort = QUICK,
            "--renew" => renew = true,
            "--json" => json = Some(PathBuf::from(arguments.next().context("--json FILE")?)),
            _ => bail!("bench knows --quick, --json FILE and --renew, not {argument}"),
        }
    }
    ensure!(is_root(), "the comparison needs root for its namespaces: run it with sudo, or as root");
    apt::need(&[apt::DEMO, apt::BENCH])?;
    let artefacts = build::release()?;
    let host = Host::new(&artefacts)?;
    if renew {
        return guard::renew(&host);
    }
    let report = measure(&host, &effort)?;
    let text = report.text();
    println!("\n{text}");
    if let Some(path) = json {
        fs::write(&path, format!("{:#}\n", report.json()))?;
    }
    let quick = if effort.rounds == FULL.rounds { "" } else { " --quick" };
    let head = format!(
        "# What logins cost\n\nWritten by `cargo xtask bench{quick}`, {}; not by hand.\n\n",
        commit()?
    );
    fs::write(build::workspace().join(DOCUMENT), head + &text)?;
    say(&format!("{DOCUMENT} is written"));
    ensure!(report.missed() == 0, "{} of {} bars are missed", report.missed(), report.bars.len());
    Ok(())
}

fn measure(host: &Host, effort: &Effort) -> Result<Report> {
    let mut report = Report::default();
    let system = &host.file_system;
    let warning =
        if system == "ext4" { "" } else { ", **which is not the ext4 that the bars are meant for**" };
    report.notes.push(format!("On {system}{warning}, on {} cores.", std::thread::available_parallelism()?));
    report.notes.push(idle::wait(effort.patience)?);
    say("taking the time of logins");
    timing::measure(host, effort.rounds, &mut report)?;
    work::measure(host, &mut report)?;
    Ok(report)
}
