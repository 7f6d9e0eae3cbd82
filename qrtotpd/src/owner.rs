//! Requests of an account's owner, at a broker or a verifier: each runs a flow, with the caller as its
//! dialogue.

use crate::served::{Ended, Served};
use qrtotp_account::{Label, Place};
use qrtotp_audit::AuditSink;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Authority, Codes, EnrollError, EnrolmentRequest, enroll};
use qrtotp_frontend::StatusView;
use qrtotp_messages::{Message, text};
use qrtotp_store::{Account, Store, StoreError};
use qrtotp_wire::{Request, Response};
use std::time::Duration;

/// How long a user may take to enter one code, and after an enrolment to read the recovery codes.
const A_WHILE: Duration = Duration::from_secs(300);
/// Time limit of a request without questions.
const AT_ONCE: Duration = Duration::from_secs(20);
/// Bytes of text in one frame.
const PIECE: usize = 4096;

impl<S: Store, L: AuditSink> Served<'_, S, L> {
    /// Carries out a request that is the same everywhere: all but an enrolment and an answer to verify.
    pub fn look_after(&mut self, request: Request) -> Result<Response, Ended> {
        match request {
            Request::Status { json } => self.status(json),
            Request::Regenerate => self.regenerate(),
            Request::Revoke { which } => self.revoke(which),
            Request::Devices { json } => self.devices(json),
            Request::Rename { id, label } => self.rename(id, &Label::new(&label)),
            Request::Resync => self.resync(),
            Request::Enroll { .. } | Request::Verify { .. } => {
                Err(Ended::Refused(Message::verbatim("such a request is not served here".into())))
            }
        }
    }

    /// How long a request may take.
    pub fn time_for(&self, request: &Request) -> Duration {
        match request {
            Request::Enroll { .. } => self.time_to_enroll(),
            Request::Regenerate | Request::Revoke { .. } | Request::Rename { .. } | Request::Resync => {
                A_WHILE
            }
            Request::Status { .. } | Request::Devices { .. } | Request::Verify { .. } => AT_ONCE,
        }
    }

    pub fn time_to_enroll(&self) -> Duration {
        A_WHILE + Duration::from_secs(self.config.enroll.time_limit.as_seconds().unsigned_abs())
    }

    /// Enrols a device; `host` is the name for the app.
    pub fn enroll(&mut self, label: &Label, authority: Authority, host: &str) -> Result<Response, Ended> {
        let caller = self.caller;
        let name = &caller.name;
        let request = EnrolmentRequest { name, uid: caller.uid, label, authority, host };
        let (mut ctx, dialog) = self.flow();
        match enroll(&mut ctx, dialog, request) {
            Ok(enrolled) => {
                let mut done = self.text(&text::new_device(name, &enrolled.credential));
                let codes = match enrolled.codes {
                    // No login at a host of a fleet makes new ones.
                    Codes::Lost if self.person.place != Place::Own => Some(text::CODES_LOST_AT_HOST),
                    codes => codes.sentence(),
                };
                if let Some(codes) = codes {
                    done = done + " " + &self.text(&codes);
                }
                Ok(Response::Done(done))
            }
            Err(EnrollError::Store(busy @ StoreError::Busy)) => Err(Ended::Broken(busy)),
            Err(error) if error.is_refusal() => Err(Ended::Refused(error.message())),
            Err(_) => Err(Ended::Logged), // as the reason of the enrolment's end
        }
    }

    fn status(&mut self, json: bool) -> Result<Response, Ended> {
        let account = self.load_own()?;
        let catalogue = self.person.catalogue;
        let view = StatusView::new(&self.caller.name, account.as_ref(), self.config, SystemClock.now());
        self.output(|text| if json { view.write_json(text) } else { view.write(text, catalogue) })
    }

    /// The caller's record. The record of a former user of the name is not shown.
    pub fn load_own(&self) -> Result<Option<Account>, Ended> {
        let account = self.store.load(&self.caller.name)?;
        if account.as_ref().is_some_and(|account| account.record.uid != self.caller.uid) {
            return Err(Ended::Refused(EnrollError::UidChanged.message()));
        }
        Ok(account)
    }

    /// A message in the caller's language.
    pub fn text(&self, message: &Message) -> String {
        self.person.catalogue.text(message).into_owned()
    }

    /// Sends the output of `write`, in pieces.
    pub fn output(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Result<Response, Ended> {
        let mut text = Vec::new();
        write(&mut text).map_err(|error| Ended::Other(error.to_string()))?;
        let text = String::from_utf8_lossy(&text);
        let mut rest = &*text;
        while !rest.is_empty() {
            let end = (0..=PIECE.min(rest.len())).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(0);
            let (piece, more) = rest.split_at(end);
            // A caller that has gone does not need the rest.
            self.person.say(&Response::Output(piece.into())).map_err(|_| Ended::Logged)?;
            rest = more;
        }
        Ok(Response::Done(String::new()))
    }

    fn regenerate(&mut self) -> Result<Response, Ended> {
        self.as_owner(|owner| owner.regenerate_recovery())?;
        Ok(Response::Done(self.text(&text::OLD_CODES_INVALID)))
    }
}
