//! The user at the other end of a connection, as the flows see them.

use crate::work_limits::WorkPermit;
use qrtotp_account::Place;
use qrtotp_clock::sleep;
use qrtotp_flow::{CodesDelivery, Dialog, Echo, EnrollDialog, NoAnswer, QrState, Reply, Typed};
use qrtotp_messages::{Catalogue, Message};
use qrtotp_wire::{CallerAnswer, Connection, FrameError, Response};
use std::time::Duration;
use zeroize::Zeroizing;

/// The way to the user: a connection of this host, or a session with another one.
pub trait UserChannel {
    /// Sends a message.
    fn say(&mut self, response: &Response) -> Result<(), FrameError>;

    /// Waits for the answer to a question.
    fn hear(&mut self) -> Result<CallerAnswer, FrameError>;

    /// Restarts the time limit of the whole conversation.
    fn last(&mut self, limit: Duration);
}

impl UserChannel for Connection {
    fn say(&mut self, response: &Response) -> Result<(), FrameError> {
        self.send(response)
    }

    fn hear(&mut self) -> Result<CallerAnswer, FrameError> {
        self.receive()
    }

    fn last(&mut self, limit: Duration) {
        Connection::last(self, limit);
    }
}

/// Asks over a connection. Any message other than an answer ends the dialogue. A question holds no turn.
pub struct Remote<'a> {
    pub line: &'a mut dyn UserChannel,
    pub turn: &'a WorkPermit,
    /// The user's language.
    pub catalogue: &'a Catalogue,
    /// Where the user's wrong codes count.
    pub place: Place,
}

impl Remote<'_> {
    fn question(&mut self, say: &Response) -> Result<CallerAnswer, NoAnswer> {
        let Self { line, turn, .. } = self;
        turn.away(|| line.say(say).and_then(|()| line.hear())).map_err(|_| NoAnswer)
    }

    /// Sends a message without a question.
    pub fn say(&mut self, say: &Response) -> Result<(), NoAnswer> {
        let Self { line, turn, .. } = self;
        turn.away(|| line.say(say)).map_err(|_| NoAnswer)
    }
}

impl Dialog for Remote<'_> {
    fn show_text(&mut self, text: &str) {
        let _ = self.say(&Response::Show(text.into())); // best effort; a caller that is gone fails the next question
    }

    fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        match self.question(&Response::Ask { prompt: prompt.into(), echo })? {
            CallerAnswer::Typed(typed) => Ok(typed),
            CallerAnswer::Fresh | CallerAnswer::GiveUp => Err(NoAnswer),
        }
    }

    fn catalogue(&self) -> &Catalogue {
        self.catalogue
    }

    fn wait(&mut self, time: Duration) {
        self.turn.away(|| sleep(time));
    }
}

impl EnrollDialog for Remote<'_> {
    fn place(&self) -> Place {
        self.place
    }

    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer> {
        let note = note.map(|note| self.catalogue.text(note).into_owned());
        let say = match scanned {
            QrState::Now(offer) => Response::Offer { offer: offer.clone(), note },
            QrState::Before { minutes } => {
                Response::Resumed { minutes: u32::try_from(minutes).unwrap_or(0), note }
            }
        };
        match self.question(&say)? {
            CallerAnswer::Typed(typed) => Ok(Reply::Code(typed)),
            CallerAnswer::Fresh => Ok(Reply::Fresh),
            CallerAnswer::GiveUp => Ok(Reply::GiveUp),
        }
    }

    fn recovery_codes(
        &mut self,
        codes: &[Zeroizing<String>],
        note: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer> {
        let note = note.map(|note| self.catalogue.text(note).into_owned());
        let say = Response::RecoveryCodes { codes: codes.to_vec(), note };
        match self.question(&say)? {
            CallerAnswer::Typed(typed) => Ok(CodesDelivery::Typed(typed)),
            CallerAnswer::Fresh | CallerAnswer::GiveUp => Err(NoAnswer),
        }
    }
}
