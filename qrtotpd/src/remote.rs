//! The person at the other end of a connection, as the flows see them.

use crate::turns::Turn;
use qrtotp_clock::sleep;
use qrtotp_flow::{Dialog, Echo, EnrollDialog, Handed, NoAnswer, Reply, Scanned, Typed};
use qrtotp_wire::{Answer, Line, Say};
use std::time::Duration;
use zeroize::Zeroizing;

/// Asks over a connection. Anything but an answer ends the dialogue. A question holds no turn.
pub struct Remote<'a> {
    pub line: &'a mut Line,
    pub turn: &'a Turn,
}

impl Remote<'_> {
    fn question(&mut self, say: &Say) -> Result<Answer, NoAnswer> {
        let Self { line, turn } = self;
        turn.away(|| line.send(say).and_then(|()| line.receive())).map_err(|_| NoAnswer)
    }

    /// Says something that asks nothing.
    pub fn say(&mut self, say: &Say) -> Result<(), NoAnswer> {
        let Self { line, turn } = self;
        turn.away(|| line.send(say)).map_err(|_| NoAnswer)
    }
}

impl Dialog for Remote<'_> {
    fn show(&mut self, text: &str) {
        let _ = self.say(&Say::Show(text.into())); // best effort; who is gone does not answer the next question
    }

    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        match self.question(&Say::Ask { prompt: prompt.into(), echo })? {
            Answer::Typed(typed) => Ok(typed),
            Answer::Fresh | Answer::GiveUp => Err(NoAnswer),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.turn.away(|| sleep(time));
    }
}

impl EnrollDialog for Remote<'_> {
    fn first_code(&mut self, scanned: Scanned<'_>, note: Option<&str>) -> Result<Reply, NoAnswer> {
        let note = note.map(str::to_owned);
        let say = match scanned {
            Scanned::Now(offer) => Say::Offer { offer: offer.clone(), note },
            Scanned::Before { minutes } => {
                Say::Resumed { minutes: u32::try_from(minutes).unwrap_or(0), note }
            }
        };
        match self.question(&say)? {
            Answer::Typed(typed) => Ok(Reply::Code(typed)),
            Answer::Fresh => Ok(Reply::Fresh),
            Answer::GiveUp => Ok(Reply::GiveUp),
        }
    }

    fn recovery_codes(
        &mut self,
        codes: &[Zeroizing<String>],
        note: Option<&str>,
    ) -> Result<Handed, NoAnswer> {
        let say = Say::RecoveryCodes { codes: codes.to_vec(), note: note.map(str::to_owned) };
        match self.question(&say)? {
            Answer::Typed(typed) => Ok(Handed::Typed(typed)),
            Answer::Fresh | Answer::GiveUp => Err(NoAnswer),
        }
    }
}
