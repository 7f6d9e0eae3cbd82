//! `sshd -T`: what it says, or why it says nothing.

use super::super::report::About;
use nix::sys::memfd::{MFdFlags, memfd_create};
use qrtotp_core::clock::Deadline;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long `sshd -T` may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of what it says, how much is read.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Of why it ends, how many lines are shown: the last one only counts what the ones before name.
const MOST_LINES: usize = 4;

/// Why the settings are not known.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// It could not be asked, or gave no answer.
    Unasked(String),
    /// It ended, with these words.
    Refuses(String),
}

/// What it says where the directory is missing that its service makes. By then it has read its configuration and its keys.
const NOT_STARTED: &str = "Missing privilege separation directory";

impl Silence {
    pub fn tell(&self, about: &mut About<'_>) {
        match self {
            Self::Unasked(why) => about.skip(
                &format!("`sshd -T` does not tell its settings: {why}"),
                "correct that, then look again",
            ),
            Self::Refuses(words) if words.contains(NOT_STARTED) => about.skip(
                &format!("it tells its settings only once its service was started: {words}"),
                "systemctl start ssh; then look again",
            ),
            Self::Refuses(words) => about.warn(
                &format!("it would not start as it is configured, and does not tell its settings: {words}"),
                "correct that until `sshd -t` is silent, before it is restarted; then look again",
            ),
        }
    }
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Self::Unasked(error.to_string())
    }
}

/// What the program says, or why it does not.
pub fn settings(mut program: Command) -> Result<String, Silence> {
    // Into memory, not a pipe: nothing waits for a reader, nor we for whom the program leaves behind.
    let (said, errors) = (memory("said")?, memory("errors")?);
    program.env_clear().stdin(Stdio::null()).stdout(said.try_clone()?).stderr(errors.try_clone()?);
    let mut child = program.spawn()?;
    let mut deadline = Deadline::after(PATIENCE);
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if deadline.pause() => {}
            None => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(Silence::Unasked("it takes too long".into()));
            }
        }
    };
    if status.success() {
        return Ok(content(said));
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
    use super::super::super::report::Report;
    use super::*;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    #[test]
    fn what_the_program_leaves_running_is_not_waited_for_and_much_text_fits() {
        let shell = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            let mut deadline = Deadline::after(PATIENCE);
            (settings(command), deadline.pause())
        };
        let (said, in_time) = shell("/bin/sleep 12 & echo usepam yes; echo $!");
        let said = said.unwrap();
        let (settings, left_running) = said.trim_end().rsplit_once('\n').unwrap();
        kill(Pid::from_raw(left_running.parse().unwrap()), Signal::SIGKILL).unwrap();
        assert!(in_time && settings == "usepam yes");
        let (said, _) = shell("i=0; while [ $i -lt 9000 ]; do echo allowusers somebody-$i; i=$((i+1)); done");
        assert!(said.is_ok_and(|text| text.len() > 65_536 && text.ends_with("somebody-8999\n")));
    }

    #[test]
    fn a_refused_configuration_is_a_warning_in_its_own_words_and_one_that_was_not_asked_is_none() {
        let told = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            let (mut report, mut out) = (Report::new(0), Vec::new());
            settings(command).unwrap_err().tell(&mut report.about("sshd", ""));
            report.write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let refused = told("for i in 1 2 3 4 5; do echo \"line $i: bad\" >&2; done; exit 255");
        assert!(refused.starts_with("WARN") && refused.contains("line 2: bad; line 3: bad"), "{refused}");
        assert!(!refused.contains("line 1"), "{refused}");
        assert!(told("exit 1").starts_with("WARN"), "without a word");
        for script in ["echo 'Missing privilege separation directory: /run/sshd' >&2; exit 255", "kill -9 $$"]
        {
            assert!(told(script).starts_with("SKIP"), "{script}");
        }
    }
}
