//! `qrtotp audit checkpoint`: keeps the ends of all chains, and a hash over them in the host's chain, so that
//! it leaves the host with the log.

use super::heads::{By, Check, Written, write};
use super::records::{note, told};
use super::sources::any_form;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_audit_log::{Entry, Event};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::host_chain::{HostEnd, HostEvent, lock, replace};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// So many are kept.
const KEPT: usize = 30;

fn directory(context: &Context) -> PathBuf {
    context.config.state_dir.0.join("checkpoints")
}

/// Their times, the newest first.
fn kept(context: &Context) -> Vec<i64> {
    let entries = directory(context).read_dir().into_iter().flatten().flatten();
    let mut times: Vec<i64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times
}

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

/// The newest checkpoint that the host's chain tells of.
pub struct Checkpoint {
    /// The line's number.
    pub seq: u64,
    pub line: String,
    /// When it was made, and its lines; `None`: no whole file has this hash.
    pub found: Option<(i64, Vec<Entry>)>,
}

/// The last checkpoint that the store tells of.
pub fn last(context: &Context, host: &HostEnd) -> Option<Checkpoint> {
    let event = host
        .lines
        .iter()
        .rev()
        .filter_map(|line| Event::parse(line))
        .find(|event| event.get("event") == Some("checkpoint"))?;
    let root = event.get("root")?;
    let found = kept(context).into_iter().find_map(|time| {
        let text = std::fs::read_to_string(directory(context).join(time.to_string())).ok()?;
        let entries: Vec<Entry> = text.lines().filter_map(any_form).collect();
        let mut check = Check::default();
        entries.iter().for_each(|entry| check.read(entry));
        (check.is_whole() && check.root() == root).then_some((time, entries))
    });
    Some(Checkpoint { seq: event.seq()?, line: event.line, found })
}
