//! A program that asks on pipes, and somebody who answers.

use crate::error::Failure;
use qrtotp_clock::Deadline;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long it may take until a question comes or the program ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command of a login. A refusal that repeats it does not look like its output.
pub const SAY: &str = "echo inside, $((6 * 7))";
pub const INSIDE: &str = "inside, 42";

pub struct Dialogue {
    child: Child,
    keyboard: Option<ChildStdin>,
    shown: Arc<Mutex<String>>,
    /// How much of it was read.
    seen: usize,
}

impl Dialogue {
    pub fn start(mut command: Command) -> Result<Self, Failure> {
        let (mut reader, writer) = std::io::pipe()?;
        command.stdin(std::process::Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // Our ends of the pipe go with it: then the reader meets its end.
        drop(command);
        let keyboard = child.stdin.take();
        let shown = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, keyboard, shown, seen: 0 })
    }

    pub fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text shown up to this question; `None` if it does not come in time.
    pub fn expect(&mut self, question: &str) -> Option<String> {
        let mut deadline = Deadline::after(PATIENCE);
        loop {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            let shown = self.shown();
            let rest = shown.get(self.seen..).unwrap_or_default();
            if let Some(at) = rest.find(question) {
                let before = rest[..at].to_owned();
                self.seen += at + question.len();
                return Some(before);
            }
            if ended || !deadline.pause() {
                return None;
            }
        }
    }

    pub fn send(&mut self, answer: &str) {
        // The program may be gone; then the next question does not come.
        let _ = self.keyboard.as_mut().map(|keyboard| writeln!(keyboard, "{answer}"));
    }

    /// Waits for its end, closing its input. Whether it succeeded, and all that it showed.
    pub fn end(mut self) -> (bool, String) {
        drop(self.keyboard.take());
        let mut deadline = Deadline::after(PATIENCE);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if deadline.pause() => {}
                _ => break None,
            }
        };
        let _ = self.child.kill();
        // The reader may have a last piece to take.
        let mut deadline = Deadline::after(Duration::from_millis(50));
        while deadline.pause() {}
        (status.is_some_and(|status| status.success()), self.shown())
    }
}

#[test]
fn a_program_that_repeats_the_command_does_not_say_what_it_prints() {
    assert!(!SAY.contains(INSIDE));
}
