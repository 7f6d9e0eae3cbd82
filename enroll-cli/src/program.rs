//! The output of another program, or the reason for none, within a time limit.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use qrtotp_clock::Deadline;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Time limit of a program.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for a program that was killed.
const REAPING: Duration = Duration::from_millis(500);
/// Most bytes of output to read.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Most lines of its errors to show: its last line only counts the ones before.
const MOST_LINES: usize = 4;

/// The reason there is no output.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// It could not be asked, or gave no answer.
    Unasked(String),
    /// It ended, with these words.
    Refuses(String),
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Self::Unasked(error.to_string())
    }
}

/// Runs the program and returns its output.
///
/// # Errors
/// It can't be run, takes too long, or fails.
pub fn output(program: Command) -> Result<String, Silence> {
    output_of(program, Stdio::null())
}

/// As [`output`], with something to read on standard input.
///
/// # Errors
/// As [`output`].
pub fn output_of(mut program: Command, input: impl Into<Stdio>) -> Result<String, Silence> {
    // Into memory, not a pipe: the program never waits for a reader, and we never wait for its orphans.
    let (output, errors) = (memory("said")?, memory("errors")?);
    program.env_clear().stdin(input).stdout(output.try_clone()?).stderr(errors.try_clone()?);
    let mut child = program.spawn()?;
    let mut deadline = Deadline::after(PATIENCE);
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if deadline.pause() => {}
            None => {
                let _ = child.kill();
                // If it leads a process group, with all that it started.
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
                // A short wait only: it may hang in the kernel, in a user's FUSE mount.
                let mut reaping = Deadline::after(REAPING);
                while child.try_wait()?.is_none() && reaping.pause() {}
                return Err(Silence::Unasked("it takes too long".into()));
            }
        }
    };
    if status.success() {
        return Ok(content(output));
    }
    if status.code().is_none() {
        return Err(Silence::Unasked(format!("it ended by {status}")));
    }
    let errors = content(errors);
    let words: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &words[words.len().saturating_sub(MOST_LINES)..];
    Err(Silence::Refuses(if last.is_empty() { "it says nothing".into() } else { last.join("; ") }))
}

fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into())
}

fn content(mut file: File) -> String {
    let mut text = Vec::new();
    let _ = file.rewind().and_then(|()| file.take(MOST_BYTES).read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    #[test]
    fn what_the_program_leaves_running_is_not_waited_for_and_much_text_fits() {
        let shell = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            let mut deadline = Deadline::after(PATIENCE);
            (output(command), deadline.pause())
        };
        let (output, in_time) = shell("/bin/sleep 12 & echo usepam yes; echo $!");
        let output = output.unwrap();
        let (printed, left_running) = output.trim_end().rsplit_once('\n').unwrap();
        kill(Pid::from_raw(left_running.parse().unwrap()), Signal::SIGKILL).unwrap();
        assert!(in_time && printed == "usepam yes");
        let (output, _) =
            shell("i=0; while [ $i -lt 9000 ]; do echo allowusers somebody-$i; i=$((i+1)); done");
        assert!(output.is_ok_and(|text| text.len() > 65_536 && text.ends_with("somebody-8999\n")));
    }
}
