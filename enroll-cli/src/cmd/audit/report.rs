//! `qrtotp audit report`.

use super::verify;
use crate::cli::Sources;
use crate::cmd::census::Census;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::replaced_file::replace;
use nix::sys::stat::Mode;
use qrtotp_audit_log::{Fault, Finding, Proof, Report};
use qrtotp_clock::{Clock, SystemClock};
use std::cell::RefCell;
use std::io::Write;
use std::path::Path;

pub fn run(
    context: &Context,
    to: &Path,
    days: u32,
    pseudonyms: bool,
    from: &Sources,
) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host = format!("{}{}", host.to_string_lossy(), context.log_scope(from));
    let report = RefCell::new(Report::new(&host, now, days, pseudonyms));
    let find = |finding: &Finding| {
        if finding.fault.is_note() {
            return Ok(());
        }
        // The line itself names people.
        let words = match &finding.fault {
            Fault::Lost(_) => "lost; the store has it word for word".to_owned(),
            fault => verify::what(finding.seq, fault),
        };
        report.borrow_mut().find(finding, &words);
        Ok(())
    };
    let count = verify::verify(context, from, None, find, |entry| {
        report.borrow_mut().add(entry);
        Ok(())
    })?;
    let census = Census::take(context, now)?;
    let mut report = report.into_inner();
    let all_read = count.exit == Exit::Done && census.exit.unwrap_or_default() == Exit::Done;
    let proof = Proof {
        accounts: count.accounts as u64,
        events: count.events,
        proven: count.proven,
        first: count.first,
        forged: count.forged,
        lost: count.lost,
        found: count.other,
        complete: all_read,
    };
    report.finish(proof, census.rows().to_vec());
    write(to, &report.html())
        .map_err(|error| Failure::Error(format!("cannot write {}: {error}", to.display())))?;
    Ok(match (count.lost + count.other, all_read) {
        (0, true) => Exit::Done,
        (0, false) => Exit::Error,
        _ => Exit::Refused,
    })
}

/// Only root reads it.
fn write(to: &Path, page: &str) -> std::io::Result<()> {
    match to.as_os_str() == "-" {
        true => std::io::stdout().write_all(page.as_bytes()),
        // Such as /dev/stdout, which the page must not take the place of.
        false if to.symlink_metadata().is_ok_and(|about| !about.is_file()) => {
            Err(std::io::Error::other("it is no plain file; `--html -` is standard output"))
        }
        false => replace(to, page.as_bytes(), Mode::S_IRUSR | Mode::S_IWUSR),
    }
}
