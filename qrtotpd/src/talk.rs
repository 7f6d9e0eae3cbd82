//! What the PAM modules and the person say to each other, over the broker. Whoever has a user's uid may answer here: what
//! follows a right password must look like what follows a wrong one, unless it opens everything.

use qrtotp_core::audit::Verdict;
use qrtotp_core::clock::sleep;
use qrtotp_core::flow::{Echo, Typed};
use qrtotp_core::wire::{Answer, Line, Say};
use std::time::Duration;

/// Longest answer and its end (PAM_MAX_RESP_SIZE).
const ANSWER: usize = 512;
/// Messages that wait for the verdict.
const HELD: usize = 64;

/// Whom the modules' messages and questions go to.
pub struct Talk {
    line: Line,
    /// A hidden question got an answer that was not empty. A stack that succeeds without one has proven nothing.
    answered: bool,
    /// The modules judge by what was answered; from now on they ask nothing.
    pub over: bool,
    /// What was said since the last answer. It may be about that answer.
    held: Option<Vec<String>>,
    /// How long libpam would have a failure wait.
    pub delay: Duration,
}

/// What came of the service's auth and account parts.
pub enum Outcome {
    /// Both succeeded.
    Held,
    /// The auth part did not.
    Wrong,
    /// It did, but the account may not log in, and why: for the log.
    NotThisAccount(String),
}

impl Talk {
    pub fn new(line: Line) -> Self {
        Self { line, answered: false, over: false, held: None, delay: Duration::ZERO }
    }

    /// Shows a message, at once or with what is certain to follow. `None`: nobody is there.
    pub fn show(&mut self, text: String) -> Option<()> {
        match &mut self.held {
            Some(held) if held.len() < HELD => held.push(text),
            Some(_) => {}
            None => self.line.send(&Say::Show(text)).ok()?,
        }
        Some(())
    }

    /// Asks a question. `None`: no answer, or none that PAM could take.
    pub fn ask(&mut self, prompt: String, echo: Echo) -> Option<Typed> {
        if self.over {
            return None;
        }
        self.tell_held()?;
        self.line.send(&Say::Ask { prompt, echo }).ok()?;
        let Ok(Answer::Typed(typed)) = self.line.receive() else { return None };
        if typed.len() >= ANSWER || typed.contains(&0) {
            return None;
        }
        self.answered |= echo == Echo::Off && !typed.is_empty();
        self.held = Some(Vec::new());
        Some(typed)
    }

    /// Says what came of it. A refusal is told as late as libpam would have told that the password was wrong, whatever it is.
    pub fn conclude(mut self, outcome: Outcome) -> Option<()> {
        let last = match outcome {
            Outcome::Held if self.answered => {
                self.tell_held()?;
                return self.line.send(&Say::Verdict(Verdict::Accepted)).ok();
            }
            Outcome::NotThisAccount(why) => Say::Refused(why),
            Outcome::Held | Outcome::Wrong => Say::Verdict(Verdict::Denied),
        };
        sleep(self.delay);
        self.line.send(&last).ok()
    }

    fn tell_held(&mut self) -> Option<()> {
        for text in self.held.take().unwrap_or_default() {
            self.line.send(&Say::Show(text)).ok()?;
        }
        Some(())
    }
}
