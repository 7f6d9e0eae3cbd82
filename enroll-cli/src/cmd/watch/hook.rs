//! Runs the hook, one anomaly after the other, while the log is read on.

use super::position::{Counts, Position};
use crate::program::{Silence, output_of};
use nix::sys::memfd::{MFdFlags, memfd_create};
use qrtotp_audit_log::Anomaly;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// So many anomalies wait for a slow hook; it is not run for more.
const WAITING: usize = 64;

enum Job {
    Run(Anomaly),
    Keep(i64, Counts),
}

/// A thread that runs the hook and keeps the position, in the order of the calls.
pub struct Hook {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    program: Option<String>,
}

impl Hook {
    pub fn start(hook: Vec<OsString>, mut position: Position) -> Self {
        let program = hook.first().map(|program| program.to_string_lossy().into_owned());
        let (jobs, due) = sync_channel(2 * WAITING); // each with the position to keep after it
        let thread = std::thread::spawn(move || {
            for job in due {
                match job {
                    Job::Run(anomaly) => run(&hook, &anomaly),
                    Job::Keep(time, counts) => position.keep(time, &counts),
                }
            }
        });
        Self { jobs, thread, program }
    }

    /// Has the hook run. If it is far behind, it is left out, unless the caller `waits`.
    pub fn run(&self, anomaly: &Anomaly, waits: bool) {
        let Some(program) = &self.program else { return };
        let job = Job::Run(anomaly.clone());
        if waits {
            let _ = self.jobs.send(job);
        } else if let Err(TrySendError::Full(_)) = self.jobs.try_send(job) {
            let text = format!("{program} is too slow and is not run for this anomaly");
            let _ = writeln!(std::io::stderr(), "qrtotp: {text}: {anomaly}");
        }
    }

    /// Has the position kept, after the hooks of all anomalies before it. A run that ends earlier reports
    /// them again.
    pub fn keep(&self, time: i64, counts: &Counts) {
        let _ = self.jobs.try_send(Job::Keep(time, counts.clone())); // a later one comes
    }

    /// Waits for the last hook.
    pub fn end(self) {
        drop(self.jobs);
        let _ = self.thread.join();
    }
}

/// Runs the hook. Its failure is printed and ends nothing.
fn run(hook: &[OsString], anomaly: &Anomaly) {
    let Some((program, arguments)) = hook.split_first() else { return };
    let output = input(&format!("{}\n", anomaly.to_json())).map_err(Silence::from).and_then(|input| {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        output_of(command, input)
    });
    if let Err(Silence::Unasked(why) | Silence::Refuses(why)) = output {
        let program = program.to_string_lossy();
        let _ = writeln!(std::io::stderr(), "qrtotp: {program}: {}", qrtotp_values::text::clean(&why, 512));
    }
}

fn input(text: &str) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("anomaly", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_audit_log::Severity;
    use qrtotp_clock::Deadline;
    use std::time::Duration;

    fn anomaly(because: usize) -> Anomaly {
        let (user, from, because) = (None, None, because.to_string());
        Anomaly { time: 7, rule: "spray", severity: Severity::Alert, user, from, because }
    }

    #[test]
    fn nobody_waits_for_a_slow_hook_and_the_position_is_kept_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, output) = (dir.path().join("place"), dir.path().join("output"));
        let script = format!("/bin/sleep 0.3; /bin/cat >>{}", output.display());
        let hook = ["/bin/sh", "-c", &script].map(OsString::from).into();
        let (position, _, counts) = Position::load(Some(&file), 1000);
        let (hook, begun) = (Hook::start(hook, position), Deadline::after(Duration::from_secs(60)));
        for at in 0..2 {
            hook.run(&anomaly(at), false);
            hook.keep(2000, &counts);
        }
        assert!(begun.waited() < Duration::from_millis(250) && !file.exists());
        hook.end();
        let output = std::fs::read_to_string(output).unwrap();
        assert!(output.lines().count() == 2 && begun.waited() >= Duration::from_millis(600), "{output}");
        assert!(std::fs::read_to_string(file).unwrap().starts_with("2000\n"));
    }

    #[test]
    fn a_hook_that_is_far_behind_is_left_out_unless_the_caller_waits() {
        let dir = tempfile::tempdir().unwrap();
        for (waits, all) in [(false, false), (true, true)] {
            let output = dir.path().join(waits.to_string());
            let script = format!("/bin/sleep 0.01; /bin/cat >>{}", output.display());
            let hook = ["/bin/sh", "-c", &script].map(OsString::from).into();
            let hook = Hook::start(hook, Position::load(None, 0).0);
            for at in 0..WAITING + 20 {
                hook.run(&anomaly(at), waits);
                hook.keep(2000, &Counts::new());
            }
            hook.end();
            let lines = std::fs::read_to_string(output).unwrap().lines().count();
            assert!(lines >= WAITING && (lines == WAITING + 20) == all, "{waits}: {lines}");
        }
    }
}
