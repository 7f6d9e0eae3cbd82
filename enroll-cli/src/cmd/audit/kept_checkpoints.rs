//! The checkpoints that a host keeps.

use super::heads::Check;
use super::sources::any_form;
use crate::context::Context;
use qrtotp_audit_log::{Entry, Event};
use qrtotp_frontend::host_chain::HostEnd;
use std::path::PathBuf;

/// Where they are.
pub fn directory(context: &Context) -> PathBuf {
    context.config.state_dir.0.join("checkpoints")
}

/// Their times, the newest first.
pub fn kept(context: &Context) -> Vec<i64> {
    let entries = directory(context).read_dir().into_iter().flatten().flatten();
    let mut times: Vec<i64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times
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
