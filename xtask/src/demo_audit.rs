//! The demo's scene of the audit trail: a line that somebody changes is found, and a page is written for an
//! auditor.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::{Output, Sandbox};

use crate::{build::target, demo_auto::show, step::say};

const LOG: &str = "/var/log/auth.log";
const PAGE: &str = "/root/report.html";

/// # Errors
/// A step did not go as promised.
pub fn run(sandbox: &Sandbox) -> Result<()> {
    let log = log(sandbox);
    sandbox.overwrite(LOG, &log);
    say("each line of the log that tells of a change follows the line before: qrtotp audit verify");
    let whole = command(sandbox, &["verify"]);
    ensure!(whole.status.success(), "an untouched log has findings: {}", whole.stdout);

    let login = log.lines().find(|line| line.contains("event=login result=accepted reason=code"));
    let login = login.context("nobody got in with a code")?;
    let rhost = login.split(' ').find(|word| word.starts_with("rhost=")).context("no remote login")?;
    say("somebody who can write the log changes where that login came from, and audit verify names the line");
    show(login.split_once(": ").map_or(login, |(_, event)| event));
    sandbox.overwrite(LOG, &log.replacen(login, &login.replace(rhost, "rhost=198.51.100.66"), 1));
    let found = command(sandbox, &["verify"]);
    ensure!(!found.status.success() && found.stdout.contains("CHANGED"), "it was not found");

    say("a page for an auditor: qrtotp audit report");
    sandbox.overwrite(LOG, &log);
    let report = command(sandbox, &["report", "--html", PAGE]);
    ensure!(report.status.success(), "there is no report: {}", report.stderr);
    let page = sandbox.read(PAGE);
    ensure!(
        page.contains("Nothing in the log was changed") && page.contains("<svg"),
        "the page is not whole"
    );
    let kept = keep(&page)?;
    say(&format!("open it in a browser: {}", kept.display()));
    Ok(())
}

/// The lines of the system log, as a log daemon writes them to a file.
fn log(sandbox: &Sandbox) -> String {
    let line = |datagram: String| {
        let (stamp, text) = datagram.split_once('>')?.1.split_at_checked(16)?;
        Some(format!("{stamp}demo {}\n", text.trim_end()))
    };
    sandbox.log.lines().into_iter().filter_map(line).collect()
}

fn command(sandbox: &Sandbox, what: &[&str]) -> Output {
    let said = sandbox.run(&[&["qrtotp", "audit"], what, &["--file", LOG]].concat());
    show(&said.stdout);
    said
}

/// Keeps the page when the private host is gone.
fn keep(page: &str) -> Result<PathBuf> {
    let path = target().join("demo-report.html");
    fs::write(&path, page).with_context(|| path.display().to_string())?;
    Ok(path.canonicalize()?)
}
