//! `qrtotp audit checkpoint`: keeps the ends of all chains, and a hash over them in the host's chain, so that
//! it leaves the host with the log.

use super::heads::{By, Written, write};
use super::kept_checkpoints::{self, Found, VERIFIED, Verified, checkpoints_of, directory, kept};
use super::paper::paper;
use super::records::{named, note};
use super::sources::any_form;
use super::verify::verify;
use crate::cli::Sources;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_audit_log::Entry;
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_frontend::host_chain::{HostChain, HostEvent, lock, replace};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many are kept.
const KEPT: usize = 30;
/// A verification that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// `verify`: verify the log first, and leave the result beside the checkpoints. If something is found, there
/// is no checkpoint: it would tell of records that are gone, and then they are no finding any more.
/// `print`: with the checkpoint for paper.
pub fn run(context: &Context, verify: bool, print: bool) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    // Without a verification the checkpoint is made all the same, and the error told afterwards.
    let verified = verify.then(|| verify_and_keep(context));
    if let Some(Ok(Verified { found, lost, .. })) = verified {
        writeln!(out, "verified: {found} changed, missing or added, {lost} lost")?;
        if found > 0 {
            let text = "no checkpoint was made; `qrtotp audit verify` names what was found. Once you know the cause, \
                        `qrtotp audit checkpoint` accepts it";
            return Err(Failure::Refused(text.into()));
        }
    }
    let accepts = if verify { Accepts::NothingMissing } else { Accepts::Everything };
    let Made { path, written: Written { count, root, exit, .. } } = make(context, accepts)?;
    writeln!(out, "{count} chains, root {root}: {}", path.display())?;
    if print {
        out.write_all(paper(context, &root).as_bytes())?;
    }
    verified.transpose()?;
    Ok(exit)
}

/// Verifies the log, within a time, and keeps the result for `qrtotp metrics`.
fn verify_and_keep(context: &Context) -> Result<Verified, Failure> {
    let (at, deadline) = (SystemClock.now(), Deadline::after(PATIENCE));
    let in_time = |_: &_| match deadline.left() {
        Duration::ZERO => {
            Err(Failure::Error("not verified within ten minutes; run `qrtotp audit verify`".into()))
        }
        _ => Ok(()),
    };
    let count = verify(context, &Sources { file: Vec::new() }, None, |_| Ok(()), in_time)?;
    if count.exit != Exit::Done {
        return Err(Failure::Error("not verified: not all accounts could be read".into()));
    }
    let verified = Verified { at, found: count.other, lost: count.lost };
    let path = made_directory(context)?.join(VERIFIED);
    replace(&path, verified.text().as_bytes()).map_err(|error| cannot_write(&path, &error))?;
    Ok(verified)
}

/// The directory of checkpoints, which is made if there is none.
fn made_directory(context: &Context) -> Result<PathBuf, Failure> {
    let dir = directory(context);
    match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(cannot_write(&dir, &error)),
        _ => Ok(dir),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Error(format!("cannot write to {}: {error}", path.display()))
}

/// A checkpoint that was made.
pub struct Made {
    path: PathBuf,
    written: Written,
}

/// The changes of the store since the last checkpoint that the next one takes for right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Root has looked: what is gone is told, and no finding any more.
    Everything,
    /// No record is gone, and no chain is shorter.
    NothingMissing,
}

/// Makes a checkpoint.
///
/// # Errors
/// The store can't be read, or its directory can't be written; something is missing, and that is not
/// accepted.
pub fn make(context: &Context, accepts: Accepts) -> Result<Made, Failure> {
    let dir = made_directory(context)?;
    let failed = |error| cannot_write(&dir, &error);
    // One after the other: the last line of the host's chain names the newest file.
    let _locked = lock(&dir).map_err(failed)?;
    let (chain, mut text) = (context.host_chain(), Vec::new());
    let named = named(context, &chain)?;
    let written = write(context, By::Record, &mut text)?;
    if accepts == Accepts::NothingMissing {
        check_nothing_missing(context, &chain, &named, &written, &text)?;
    }
    note(&chain, &named, &written.records, written.exit);
    // Always the newest, or it would be forgotten at once: there may be more of them than seconds.
    let now = SystemClock.now();
    let time = kept(context).first().map_or(now, |newest| now.max(newest.saturating_add(1)));
    let path = dir.join(time.to_string());
    replace(&path, &text).map_err(failed)?;
    for old in kept(context).into_iter().skip(KEPT) {
        let _ = std::fs::remove_file(dir.join(old.to_string())); // one too many does no harm
    }
    let end = chain.end().ok().flatten();
    let prev = end.and_then(|end| checkpoints_of(&end).last()?.get("root").map(str::to_owned));
    let count = written.count.to_string();
    let facts = [("count", &*count), ("root", &*written.root), ("prev", prev.as_deref().unwrap_or_default())];
    chain.log_new(&HostEvent { kind: "checkpoint", reason: "", facts: &facts }, "");
    Ok(Made { path, written })
}

/// Refuses a checkpoint that would hide from `audit verify` that records are gone, or that accounts were put
/// back.
fn check_nothing_missing(
    context: &Context,
    chain: &HostChain,
    named: &BTreeSet<String>,
    written: &Written,
    text: &[u8],
) -> Result<(), Failure> {
    let number = |entry: &Entry| Some((entry.event.get("record")?.to_owned(), entry.event.seq()?));
    let lines = String::from_utf8_lossy(text);
    let now: HashMap<String, u64> =
        lines.lines().filter_map(any_form).filter_map(|entry| number(&entry)).collect();
    let last = chain.end().ok().flatten().and_then(|end| kept_checkpoints::last(context, &end)?.found);
    let mut before = last.iter().flat_map(Found::entries).filter_map(|entry| number(&entry));
    let is_shorter = before.any(|(record, seq)| now.get(&record).is_some_and(|present| *present < seq));
    let is_gone = written.exit == Exit::Done && named.difference(&written.records).next().is_some();
    if is_gone || is_shorter {
        let text = "records are gone or were put back since the last checkpoint; run `qrtotp audit verify`, and once you know the \
                    cause, `qrtotp audit checkpoint`";
        return Err(Failure::Refused(text.into()));
    }
    Ok(())
}
