//! Enrolment, in the order in which it happens. Nothing is active before the first code is verified: if the
//! user stops half-way, the account stays unenrolled, with at most a QR code that ends with its time limit.

mod authorize;
mod commit;
mod dialog;
mod draft;
mod error;
mod recovery;
mod request;
mod token_code;

pub(super) use authorize::permitted;
pub(super) use commit::{AccountSnapshot, Addition, record_id};
pub use dialog::{CodesDelivery, EnrollDialog, Offer, QrState, Reply};
pub use error::EnrollError;
pub use recovery::Codes;
pub(super) use recovery::{hand_over, replace_codes};
pub use request::{Authority, Enrolled, Enrollment, EnrolmentRequest, ExistingCode};
pub(super) use token_code::try_token_code;

use super::NoAnswer;
use draft::Draft;
use qrtotp_account::{CredentialId, Origin, TokenRefusal};
use qrtotp_audit::{AuditSink, ChainedLines, Event, Kind};
use qrtotp_clock::Clock;
use qrtotp_otp::{Code, Step, matching_step};
use qrtotp_store::{Account, Store};
use request::{Progress, TRIES};

/// Empty answers (only Enter) that do not count as wrong codes.
const EMPTY_ANSWERS: u32 = 10;

impl<S: Store, D: EnrollDialog, C: Clock, A: AuditSink> Enrollment<'_, S, D, C, A> {
    /// Enrols one device.
    ///
    /// # Errors
    /// See [`EnrollError`]; in every case the account has no new credential.
    pub fn run(mut self) -> Result<Enrolled, EnrollError> {
        let mut progress = Progress::default();
        let credential = self.steps(&mut progress).inspect_err(|error| {
            let kind = match error {
                _ if !progress.begun => Kind::EnrollmentRefused,
                EnrollError::TimeUp => Kind::EnrollmentExpired,
                _ => Kind::EnrollmentAbandoned,
            };
            let detail = if error.is_refusal() { String::new() } else { error.to_string() };
            Event::new(kind, self.request.subject).reason(error.reason()).detail(&detail).emit(self.audit);
        })?;
        let request = self.request;
        let codes = match self.store.load(request.name).transpose() {
            None => Codes::Unchanged,
            Some(account) => {
                hand_over(self.store, account, self.dialog, self.clock, request.subject, self.audit)
            }
        };
        Ok(Enrolled { credential, codes })
    }

    fn steps(&mut self, progress: &mut Progress) -> Result<CredentialId, EnrollError> {
        self.permit(progress)?;
        if let Authority::ProvenTokenCode(id) = self.request.authority {
            progress.bound = Some(id);
        }
        // Also before resuming: otherwise a user without the code could end or guess the owner's draft.
        self.ask_token_code(progress)?;
        let mut draft = match self.resume(progress)? {
            Some(draft) => draft,
            None => self.draw(progress)?,
        };
        progress.begun = true;
        loop {
            let next = match self.confirm(&draft, progress) {
                Ok(Some(step)) => return self.keep(&draft, step),
                Ok(None) => self.ask_token_code(progress).and_then(|()| self.draw(progress)),
                Err(error) => Err(error),
            };
            draft = next.inspect_err(|error| {
                if !matches!(error, EnrollError::NoAnswer) {
                    self.withdraw(&draft);
                }
            })?;
        }
    }

    /// Asks for the first code. `None`: the user wants another QR code.
    fn confirm(&mut self, draft: &Draft, progress: &mut Progress) -> Result<Option<Step>, EnrollError> {
        let offer = if draft.resumed { None } else { Some(draft.offer(self.request)?) };
        let mut note = None;
        loop {
            let now = self.clock.now();
            let scanned = match &offer {
                Some(offer) => QrState::Now(offer),
                None => QrState::Before { minutes: (now - draft.shown) / 60 },
            };
            let reply = self.dialog.first_code(scanned, note).map_err(|NoAnswer| EnrollError::NoAnswer)?;
            let now = self.clock.now();
            if !(0..self.config.enroll.time_limit.as_seconds()).contains(&now.saturating_sub(draft.shown)) {
                return Err(EnrollError::TimeUp);
            }
            let typed = match reply {
                Reply::Fresh => return Ok(None),
                Reply::GiveUp => return Err(EnrollError::GivenUp),
                Reply::Code(typed) => typed,
            };
            if typed.trim_ascii().is_empty() && progress.empty < EMPTY_ANSWERS {
                progress.empty += 1;
                note = Some("Type the digits that the app shows.");
                continue;
            }
            self.count_guess(draft)?;
            let step = draft.params.step_at(now);
            let window = self.config.verify.window();
            let matched = Code::parse(&typed)
                .and_then(|code| matching_step(&draft.secret, draft.params, &code, step, window));
            if matched.is_some() {
                return Ok(matched);
            }
            progress.wrong += 1;
            if progress.wrong >= TRIES {
                return Err(EnrollError::WrongCodes);
            }
            note = Some("That was not the code. Wait for the next one and type that.");
        }
    }

    /// The code was right: the credential is active, the token consumed, in one write.
    fn keep(&mut self, draft: &Draft, step: Step) -> Result<CredentialId, EnrollError> {
        let request = self.request;
        let now = self.clock.now();
        let addition = Addition {
            id: draft.id,
            record: draft.record,
            seen: &draft.seen,
            name: request.name,
            uid: request.uid,
            label: &draft.label,
            params: draft.params,
            origin: Origin::Enrolled,
            secret: &draft.secret,
            used: step,
            drift: 0,
            window: None,
            max_devices: usize::from(self.config.enroll.max_devices),
            now,
        };
        let mut lines = ChainedLines::default();
        let subject = request.subject;
        addition.keep(self.store, |Account { record, state }| {
            lines.clear();
            match (&mut record.token, &draft.own_token) {
                (Some(token), _) if token.id == draft.token => {
                    token.consume(now)?;
                    let shown_last = match draft.kept {
                        true => {
                            record.pending.as_ref().is_some_and(|pending| pending.credential.id == draft.id)
                        }
                        false => token.shows == draft.shows,
                    };
                    if !shown_last {
                        return Err(EnrollError::Token(TokenRefusal::ShownAgain));
                    }
                }
                // An admin issued a token in the meantime: use that one.
                (Some(token), Some(_)) if token.is_live(now) => return Err(EnrollError::Changed),
                (_, Some(own)) => {
                    let mut own = own.clone();
                    own.consume(now)?;
                    record.token = Some(own);
                }
                (_, None) => return Err(EnrollError::Token(TokenRefusal::Revoked)),
            }
            record.pending = None;
            record.recovery_due = record.recovery.is_none();
            lines.add(&Event::new(Kind::TokenConsumed, subject).token(draft.token), now, state);
            let confirmed =
                Event::new(Kind::EnrollmentConfirmed, subject).credential(draft.id, draft.label.as_str());
            lines.add(&confirmed.token(draft.token), now, state);
            Ok(())
        })?;
        lines.emit(self.audit);
        Ok(draft.id)
    }
}
