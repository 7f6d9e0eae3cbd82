//! The checkpoints that a host keeps.

use super::heads::Check;
use super::sources::any_form;
use crate::context::Context;
use qrtotp_audit_log::{Entry, Event};
use qrtotp_frontend::host_chain::HostEnd;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

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

/// The name of the file, beside the checkpoints, that has the result of the last verification.
pub const VERIFIED: &str = "verified";

/// The result of a verification that a checkpoint began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// When it began, in Unix seconds.
    pub at: i64,
    /// Findings of lines that were changed, removed or added.
    pub found: u64,
    /// Lines that may only be lost.
    pub lost: u64,
}

impl Verified {
    /// That of the last one; `None`: there was none.
    pub fn last(context: &Context) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(directory(context).join(VERIFIED)).ok()?)
    }

    pub fn text(self) -> String {
        let Self { at, found, lost } = self;
        format!("at={at} found={found} lost={lost}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut values = ["at=", "found=", "lost="].into_iter().zip(text.split_whitespace());
        let mut next = || values.next().and_then(|(key, word)| word.strip_prefix(key));
        let (at, found, lost) = (next()?, next()?, next()?);
        Some(Self { at: at.parse().ok()?, found: found.parse().ok()?, lost: lost.parse().ok()? })
    }
}

/// The lines of checkpoints that the host's chain still has, oldest first.
pub fn checkpoints_of(host: &HostEnd) -> Vec<Event> {
    let events = host.lines.iter().filter(|line| line.starts_with("event=checkpoint "));
    events.filter_map(|line| Event::parse(line)).collect()
}

/// Those of them that name another checkpoint than the one before as `prev`.
pub fn misplaced(checkpoints: &[Event]) -> impl Iterator<Item = &Event> {
    let pairs = checkpoints.iter().zip(checkpoints.iter().skip(1));
    pairs
        .filter(|(before, event)| event.get("prev").is_some() && event.get("prev") != before.get("root"))
        .map(|(_, event)| event)
}

/// The newest checkpoint that the host's chain tells of.
pub struct Checkpoint {
    /// The line's number.
    pub seq: u64,
    pub line: String,
    /// `None`: no whole file has this hash.
    pub found: Option<Found>,
}

/// A whole file of a checkpoint. It has a line for each account, so it is read anew rather than kept.
pub struct Found {
    /// When it was made.
    pub time: i64,
    path: PathBuf,
}

impl Found {
    /// Its lines.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        entries(&self.path)
    }
}

fn entries(path: &Path) -> impl Iterator<Item = Entry> + use<> {
    let lines = File::open(path).into_iter().flat_map(|file| BufReader::new(file).lines());
    lines.map_while(Result::ok).filter_map(|line| any_form(&line))
}

/// The last checkpoint that the store tells of.
pub fn last(context: &Context, host: &HostEnd) -> Option<Checkpoint> {
    let event = checkpoints_of(host).pop()?;
    let root = event.get("root")?;
    let found = kept(context).into_iter().find_map(|time| whole(context, time, |check| check.root() == root));
    Some(Checkpoint { seq: event.seq()?, line: event.line, found })
}

/// Longest time, in seconds, between a checkpoint's own time and its reading of an account.
const TAKES: i64 = 60;

/// The first whole checkpoint that was made before `last` and when the log had begun.
pub fn earliest(context: &Context, last: &Found, has_begun: impl Fn(i64) -> bool) -> Option<Found> {
    let is_in_log = |time: &i64| *time < last.time && has_begun(*time - TAKES);
    let times = kept(context).into_iter().rev().filter(is_in_log);
    times.into_iter().find_map(|time| whole(context, time, |_| true))
}

/// The checkpoint of this time, if it is whole and passes.
fn whole(context: &Context, time: i64, passes: impl Fn(&Check) -> bool) -> Option<Found> {
    let (path, mut check) = (directory(context).join(time.to_string()), Check::default());
    entries(&path).for_each(|entry| check.read(&entry));
    (check.is_whole() && passes(&check)).then_some(Found { time, path })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_result_of_a_verification_is_read_as_it_was_written_and_half_of_it_is_none() {
        let verified = Verified { at: 1_795_878_245, found: 3, lost: 12 };
        assert_eq!(Verified::parse(&verified.text()), Some(verified));
        for other in ["", "at=1 found=2", "found=2 at=1 lost=3", "at=1 found=x lost=3"] {
            assert_eq!(Verified::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_checkpoint_that_names_another_one_than_that_before_it_is_told_and_an_old_one_names_none() {
        let lines = ["root=a", "root=b", "root=c prev=b", "root=d prev=c", "root=f prev=e"];
        let events = lines.map(|facts| Event::parse(&format!("event=checkpoint {facts}")).unwrap());
        let roots: Vec<&str> = misplaced(&events).filter_map(|event| event.get("root")).collect();
        assert_eq!(roots, ["f"]);
    }
}
