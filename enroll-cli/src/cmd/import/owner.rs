//! Asks a process of its own to read or overwrite a file in somebody's home: a file system that its user
//! mounted there may never answer, and nobody else's import waits for that. [`super::owner_process`] is the
//! process.

use crate::error::{Failure, shown};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::User;
use qrtotp_clock::sleep;
use qrtotp_import::MAX_GOOGLE;
use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The first argument of such a process. No command has that name.
pub const WORD: &str = "import-as-owner";
/// How long a home may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer in bytes: a file, or a sentence about it.
const LONGEST: usize = 2 * MAX_GOOGLE;

/// An operation on the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OwnerTask {
    /// Read it.
    Read,
    /// Read it, if the user can reach it.
    Find,
    /// Overwrite and delete it, if it has the given content.
    Shred,
}

/// The operations, with their words on the command line.
pub const OWNER_TASKS: [(OwnerTask, &str); 3] =
    [(OwnerTask::Read, "read"), (OwnerTask::Find, "find"), (OwnerTask::Shred, "shred")];

/// First byte of an answer.
pub const CONTENT: u8 = b'c';
pub const NOTHING: u8 = b'n';
pub const REFUSED: u8 = b'r';
pub const ERROR: u8 = b'e';

/// Has the process do it. Returns the content, or `None` if there is no such file or nothing to read.
///
/// # Errors
/// The process reports an error, or does not answer in time.
pub fn ask(
    task: OwnerTask,
    path: &Path,
    user: &User,
    content: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let failed =
        |error: std::io::Error| Failure::Error(format!("can't start a process for {}: {error}", user.name));
    let word = OWNER_TASKS.iter().find(|(known, _)| *known == task).map_or("", |(_, word)| word);
    let mut child = Command::new("/proc/self/exe")
        .args([OsStr::new(WORD), word.as_ref(), user.name.as_ref(), path.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let end = Instant::now() + PATIENCE;
    let sent = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(content)); // fits into the pipe
    let answer = sent.and_then(|()| answer(&mut child, end));
    leave(&mut child, end);
    let answer = answer.map_err(failed)?.ok_or_else(|| {
        let seconds = PATIENCE.as_secs();
        Failure::Error(format!(
            "{} did not answer for {seconds} s; is a file system mounted there that does not work? have {} unmount it, and try again",
            shown(path),
            user.name
        ))
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match answer.split_first() {
        Some((&CONTENT, bytes)) => Ok(Some(Zeroizing::new(bytes.to_vec()))),
        Some((&NOTHING, [])) => Ok(None),
        Some((&REFUSED, why)) => Err(Failure::Refused(text(why))),
        Some((&ERROR, why)) => Err(Failure::Error(text(why))),
        _ => {
            Err(Failure::Error(format!("{}: the process that reads it ended early; try again", shown(path))))
        }
    }
}

/// All that it writes; `None` if its end does not come in time.
fn answer(child: &mut Child, end: Instant) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut answer = Zeroizing::new(vec![0; LONGEST]);
    let mut length = 0;
    let Some(output) = child.stdout.take() else { return Ok(None) };
    loop {
        let left =
            PollTimeout::try_from(end.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match nix::unistd::read(&output, answer.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    answer.truncate(length);
    Ok(Some(answer))
}

/// Ends it. One that hangs in the kernel is left behind: it ends when the file system does.
fn leave(child: &mut Child, end: Instant) {
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= end {
            let _ = child.kill();
            let _ = child.try_wait();
            return;
        }
        sleep(Duration::from_millis(1));
    }
}
