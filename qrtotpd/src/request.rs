//! The requests: each runs a flow, with the caller as its dialogue.

use crate::attempt::Attempt;
use crate::caller::Away;
use crate::primary::Check;
use crate::served::{Ended, Served};
use qrtotp_account::Label;
use qrtotp_audit::{Event, Kind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{
    AdminError, Authority, EnrollError, EnrolmentRequest, FirstPass, Options, PrimaryThrottle, enroll,
    host_name,
};
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

impl Served<'_> {
    /// Carries out the request and returns the final response.
    pub fn handle(mut self, request: Request) -> Result<Response, Ended> {
        self.person.line.last(self.time_for(&request));
        if !self.caller.can_log_in && !matches!(request, Request::Verify { .. }) {
            return Err(Ended::Refused(Away::NoAccount.message()));
        }
        match request {
            Request::Enroll { label } => self.enroll(&Label::new(&label)),
            Request::Status { json } => self.status(json),
            Request::Verify { user, service, tty, nullok, forward, id, answer } => {
                let first_pass = if forward { FirstPass::Forward } else { FirstPass::Ask };
                let options = Options { nullok, first_pass, ..Options::default() };
                self.attempt(Attempt { user, service, tty, options, id, answer })
            }
            Request::Regenerate => self.regenerate(),
            Request::Revoke { which } => self.revoke(which),
            Request::Devices { json } => self.devices(json),
            Request::Rename { id, label } => self.rename(id, &Label::new(&label)),
            Request::Resync => self.resync(),
        }
    }

    /// How long a request may take.
    fn time_for(&self, request: &Request) -> Duration {
        match request {
            Request::Enroll { .. } => self.time_to_enroll(),
            Request::Regenerate | Request::Revoke { .. } | Request::Rename { .. } | Request::Resync => {
                A_WHILE
            }
            Request::Status { .. } | Request::Devices { .. } | Request::Verify { .. } => AT_ONCE,
        }
    }

    fn time_to_enroll(&self) -> Duration {
        A_WHILE + Duration::from_secs(self.config.enroll.time_limit.as_seconds().unsigned_abs())
    }

    /// The authority of the enrolment. A uid alone is not enough: a cron job has it, too.
    fn authority(&mut self) -> Result<Authority, Ended> {
        let authority = self.as_owner(|owner| owner.authority()).map_err(|error| {
            if error.is_refusal() {
                Event::new(Kind::EnrollmentRefused, self.subject).reason(error.reason()).emit(self.log);
            }
            Ended::from(AdminError::from(error))
        })?;
        if authority == Authority::PrimaryFactor {
            let (name, rules) = (&self.caller.name, self.config.throttle.rules());
            let throttle = PrimaryThrottle { name, rules, store: self.store };
            let Some(_checking) = self.broker.checks.begin(self.caller.uid) else {
                let (who, why) = (Some(self.caller.uid), Away::TooManyPasswords);
                self.broker.refusals.caller(who, self.subject, why.reason());
                return Err(Ended::Refused(why.message()));
            };
            Check::new(throttle, self.broker.pam_time, &mut self.person).run(self.subject, self.log)?;
            self.person.line.last(self.time_to_enroll());
        }
        Ok(authority)
    }

    fn enroll(&mut self, label: &Label) -> Result<Response, Ended> {
        let authority = self.authority()?;
        let (caller, host) = (self.caller, &host_name());
        let name = &caller.name;
        let request = EnrolmentRequest { name, uid: caller.uid, label, authority, host };
        let (store, chain) = (self.store, self.store.host_chain());
        let (mut ctx, dialog) = self.flow();
        match chain.noting(store, name, || enroll(&mut ctx, dialog, request)) {
            Ok(enrolled) => {
                let mut done = self.text(&text::new_device(name, &enrolled.credential));
                if let Some(codes) = enrolled.codes.sentence() {
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
