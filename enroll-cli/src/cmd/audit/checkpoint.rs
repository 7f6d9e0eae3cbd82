//! `qrtotp audit checkpoint`: keeps the ends of all chains, and a hash over them in the host's chain, so that
//! it leaves the host with the log.

use super::heads::{By, Written, write};
use super::kept_checkpoints::{VERIFIED, Verified, checkpoints_of, directory, kept};
use super::records::{note, told};
use super::verify::verify;
use crate::cli::Sources;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_frontend::host_chain::{HostEvent, lock, replace};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many are kept.
const KEPT: usize = 30;
/// A verification that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// `verify`: verify the log before, and leave the result beside the checkpoints.
pub fn run(context: &Context, verify: bool) -> Result<Exit, Failure> {
    // Before, because a checkpoint tells of records that are gone, and then they are no finding any more.
    let verified = verify.then(|| verify_and_keep(context));
    let Made { path, written: Written { count, root, exit, .. } } = make(context)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{count} chains, root {root}: {}", path.display())?;
    let Some(Verified { found, lost, .. }) = verified.transpose()? else { return Ok(exit) };
    writeln!(
        out,
        "verified: {found} changed, missing or added, {lost} lost; `qrtotp audit verify` names them"
    )?;
    Ok(if found > 0 { Exit::Refused } else { exit })
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

/// Makes a checkpoint.
///
/// # Errors
/// The store can't be read, or its directory can't be written.
pub fn make(context: &Context) -> Result<Made, Failure> {
    let dir = made_directory(context)?;
    let failed = |error| cannot_write(&dir, &error);
    // One after the other: the last line of the host's chain names the newest file.
    let _locked = lock(&dir).map_err(failed)?;
    let (chain, mut text) = (context.host_chain(), Vec::new());
    let told = told(context, &chain)?;
    let written = write(context, By::Record, &mut text)?;
    note(&chain, &told, &written.records, written.exit);
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
