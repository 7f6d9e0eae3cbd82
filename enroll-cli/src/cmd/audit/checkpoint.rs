//! `qrtotp audit checkpoint`: keeps the ends of all chains, and a hash over them in the host's chain, so that
//! it leaves the host with the log.

use super::heads::{By, Written, write};
use super::kept_checkpoints::{directory, kept};
use super::records::{note, told};
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::host_chain::{HostEvent, lock, replace};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;

/// So many are kept.
const KEPT: usize = 30;

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let dir = directory(context);
    let failed =
        |error: std::io::Error| Failure::Error(format!("cannot write to {}: {error}", dir.display()));
    match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    // One after the other: the last line of the host's chain names the newest file.
    let _locked = lock(&dir).map_err(failed)?;
    let (chain, mut text) = (context.host_chain(), Vec::new());
    let told = told(context, &chain)?;
    let Written { count, root, records, exit } = write(context, By::Record, &mut text)?;
    note(&chain, &told, &records, exit);
    // Always the newest, or it would be forgotten at once: there may be more of them than seconds.
    let now = SystemClock.now();
    let time = kept(context).first().map_or(now, |newest| now.max(newest.saturating_add(1)));
    let path = dir.join(time.to_string());
    replace(&path, &text).map_err(failed)?;
    for old in kept(context).into_iter().skip(KEPT) {
        let _ = std::fs::remove_file(dir.join(old.to_string())); // one too many does no harm
    }
    let shown = count.to_string();
    let facts = [("count", &*shown), ("root", &root)];
    chain.log_new(&HostEvent { kind: "checkpoint", reason: "", facts: &facts }, "");
    writeln!(std::io::stdout(), "{count} chains, root {root}: {}", path.display())?;
    Ok(exit)
}
