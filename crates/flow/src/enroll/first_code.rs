//! The first code proves that the app has the secret.

use super::dialog::{QrState, Reply};
use super::draft::Draft;
use super::error::EnrollError;
use super::request::{Enrolment, TRIES};
use crate::NoAnswer;
use qrtotp_messages::text;
use qrtotp_otp::{Code, Step, matching_step};

/// Answers without a digit, such as Enter or `?`, that do not count as wrong codes.
const NO_CODES: u32 = 10;

impl Enrolment<'_, '_> {
    /// Asks for the first code. `None`: the user wants another QR code.
    pub(super) fn first_code(&mut self, draft: &Draft) -> Result<Option<Step>, EnrollError> {
        let offer = if draft.resumed { None } else { Some(draft.offer(&self.request, self.ctx.config)?) };
        let mut note = None;
        loop {
            let now = self.ctx.now();
            let scanned = match &offer {
                Some(offer) => QrState::Now(offer),
                None => QrState::Before { minutes: (now - draft.shown) / 60 },
            };
            let reply =
                self.dialog.first_code(scanned, note.as_ref()).map_err(|NoAnswer| EnrollError::NoAnswer)?;
            let now = self.ctx.now();
            if !(0..self.ctx.config.enroll.time_limit.as_seconds()).contains(&now.saturating_sub(draft.shown))
            {
                return Err(EnrollError::TimeUp);
            }
            let typed = match reply {
                Reply::Fresh => return Ok(None),
                Reply::GiveUp => return Err(EnrollError::GivenUp),
                Reply::Code(typed) => typed,
            };
            let code = Code::parse(&typed);
            let has_digits = code.is_some() || typed.iter().any(u8::is_ascii_digit);
            if !has_digits && self.progress.no_codes < NO_CODES {
                self.progress.no_codes += 1;
                note = Some(text::TYPE_THE_DIGITS);
                continue;
            }
            self.count_guess(draft)?;
            let step = draft.params.step_at(now);
            let window = self.ctx.config.verify.window();
            let matched =
                code.and_then(|code| matching_step(&draft.secret, draft.params, &code, step, window));
            if matched.is_some() {
                return Ok(matched);
            }
            self.progress.wrong += 1;
            if self.progress.wrong >= TRIES {
                return Err(EnrollError::WrongCodes);
            }
            note = Some(text::NOT_THE_CODE);
        }
    }
}
