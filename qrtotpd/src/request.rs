//! What each request does: the flows of the core, with the caller as their dialogue.

use crate::caller::{Away, Caller};
use crate::door::Door;
use crate::log::Log;
use crate::primary::Check;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use crate::verify::Given;
use qrtotp_core::account::Label;
use qrtotp_core::audit::{Event, Kind, Subject, Verdict};
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{
    AdminError, Authority, Codes, Directory, EnrollError, Enrollment, FirstPass, HostDirectory, Invitation,
    Login, NOBODY, Options, Outcome, Owner, Person, PrimaryThrottle, Typed, host_name,
};
use qrtotp_core::otp::Params;
use qrtotp_core::policy::{Config, Defaults};
use qrtotp_core::store::{Account, Store, StoreError};
use qrtotp_core::wire::{Request, Say};
use qrtotp_face::StatusView;
use std::time::Duration;

/// How long a person may take to give one code, and after an enrolment to look at the recovery codes.
const A_WHILE: Duration = Duration::from_secs(300);
/// How long a request may take in which nobody is asked.
const AT_ONCE: Duration = Duration::from_secs(20);
/// Bytes of text in one frame.
const PIECE: usize = 4096;

/// A request is not done.
pub enum Ended {
    /// The answer is no, and why.
    Refused(String),
    /// Something is broken, and the log says what.
    Logged,
    /// The store is broken, which the log does not say yet.
    Broken(StoreError),
    /// Something else is.
    Other(String),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}

impl From<AdminError> for Ended {
    fn from(error: AdminError) -> Self {
        match error {
            refusal if refusal.is_refusal() => Self::Refused(refusal.to_string()),
            AdminError::Store(error) | AdminError::Enroll(EnrollError::Store(error)) => Self::Broken(error),
            other => Self::Other(other.to_string()),
        }
    }
}

/// An answer to be verified.
struct Attempt {
    user: String,
    service: String,
    tty: String,
    options: Options,
    answer: Typed,
}

/// A caller with a request.
pub struct Served<'a> {
    pub caller: &'a Caller,
    pub config: &'a Config,
    pub door: &'a Door,
    pub store: &'a RequestStore<'a>,
    pub person: Remote<'a>,
    pub subject: &'a Subject,
    pub log: &'a mut Log,
}

impl<'a> Served<'a> {
    /// Does what is asked for. Gives the last word.
    pub fn handle(mut self, request: Request) -> Result<Say, Ended> {
        self.person.line.last(self.time_for(&request));
        if !self.caller.can_log_in && !matches!(request, Request::Verify { .. }) {
            return Err(Ended::Refused(Away::NoAccount.text().into()));
        }
        match request {
            Request::Enroll { label } => self.enroll(&Label::new(&label)),
            Request::Status { json } => self.status(json),
            Request::Verify { user, service, tty, nullok, forward, answer } => {
                let first_pass = if forward { FirstPass::Forward } else { FirstPass::Ask };
                let options = Options { nullok, first_pass, ..Options::default() };
                self.attempt(Attempt { user, service, tty, options, answer })
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

    pub fn owner(&mut self) -> Owner<'_, RequestStore<'a>, Remote<'a>, SystemClock, Log> {
        Owner {
            name: &self.caller.name,
            uid: self.caller.uid,
            config: self.config,
            store: self.store,
            dialog: &mut self.person,
            clock: &SystemClock,
            audit: self.log,
            subject: self.subject,
        }
    }

    /// What allows the enrolment. A uid alone does not: a cron job has it, too.
    fn authority(&mut self) -> Result<Authority, Ended> {
        let authority = self.owner().authority().map_err(|error| {
            if error.is_refusal() {
                Event::new(Kind::EnrollmentRefused, self.subject).reason(error.reason()).emit(self.log);
            }
            Ended::from(AdminError::from(error))
        })?;
        if authority == Authority::PrimaryFactor {
            let (name, rules) = (&self.caller.name, self.config.throttle.rules());
            let throttle = PrimaryThrottle { name, rules, store: self.store };
            let Some(_checking) = self.door.checks.begin(self.caller.uid) else {
                let (who, why) = (Some(self.caller.uid), Away::TooManyPasswords);
                self.door.refusals.caller(who, self.subject, why.reason());
                return Err(Ended::Refused(why.text().into()));
            };
            Check::new(throttle, self.door.pam_time, &mut self.person).run(self.subject, self.log)?;
            self.person.line.last(self.time_to_enroll());
        }
        Ok(authority)
    }

    fn enroll(&mut self, label: &Label) -> Result<Say, Ended> {
        let authority = self.authority()?;
        let name = &self.caller.name;
        let invitation = Invitation {
            name,
            uid: self.caller.uid,
            label,
            authority,
            subject: self.subject,
            issuer: &self.config.issuer_on(&host_name()),
            params: Params::default(),
        };
        let enrolled = Enrollment {
            invitation: &invitation,
            config: self.config,
            store: self.store,
            dialog: &mut self.person,
            clock: &SystemClock,
            audit: self.log,
        }
        .run();
        match enrolled {
            Ok(enrolled) => {
                let codes = match enrolled.codes {
                    Codes::Kept => "",
                    Codes::Unchanged => " The recovery codes stay as they are.",
                    Codes::Lost => {
                        " The recovery codes were not confirmed: they are worth nothing, and the next login makes new ones."
                    }
                };
                let id = enrolled.credential;
                Ok(Say::Done(format!(
                    "Done: {name} has a new device, {id}. From now on logins ask for its code.{codes}"
                )))
            }
            Err(EnrollError::Store(busy @ StoreError::Busy)) => Err(Ended::Broken(busy)),
            Err(error) if error.is_refusal() => Err(Ended::Refused(error.to_string())),
            Err(_) => Err(Ended::Logged), // as the reason of the enrolment's end
        }
    }

    fn status(&mut self, json: bool) -> Result<Say, Ended> {
        let account = self.load_own()?;
        let view = StatusView::new(&self.caller.name, account.as_ref(), self.config, SystemClock.now());
        self.output(|text| if json { view.write_json(text) } else { view.write(text) })
    }

    /// The caller's record. The record of a former user of the name is not shown.
    pub fn load_own(&self) -> Result<Option<Account>, Ended> {
        let account = self.store.load(&self.caller.name)?;
        if account.as_ref().is_some_and(|account| account.record.uid != self.caller.uid) {
            return Err(Ended::Refused(EnrollError::UidChanged.to_string()));
        }
        Ok(account)
    }

    /// Sends what `write` writes, in pieces.
    pub fn output(&mut self, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Result<Say, Ended> {
        let mut text = Vec::new();
        write(&mut text).map_err(|error| Ended::Other(error.to_string()))?;
        let text = String::from_utf8_lossy(&text);
        let mut rest = &*text;
        while !rest.is_empty() {
            let end = (0..=PIECE.min(rest.len())).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(0);
            let (piece, more) = rest.split_at(end);
            // Who is gone does not want the rest.
            self.person.say(&Say::Output(piece.into())).map_err(|_| Ended::Logged)?;
            rest = more;
        }
        Ok(Say::Done(String::new()))
    }

    /// A login to the caller's own account, or to a service that is listed.
    fn attempt(&mut self, attempt: Attempt) -> Result<Say, Ended> {
        let name = self.caller.name.as_str();
        // Anyone may name anyone, and the user database may be slow.
        let Ok(person) = self.person.turn.away(|| HostDirectory.find(&attempt.user)) else {
            return Err(Ended::Refused(Away::NoAnswer.text().into()));
        };
        if self.caller.can_log_in && person.as_ref().is_some_and(|person| person.name == name) {
            let (say, _) = self.verify(self.config, attempt, person.as_ref())?;
            return Ok(say);
        }
        let listed = self.config.broker.services_of(name);
        if listed.is_some_and(|services| services.iter().any(|service| *service == attempt.service)) {
            return self.verify_for_service(attempt, person.as_ref());
        }
        // The same for every other name, whether or not there is such a user.
        Err(Ended::Refused("the broker serves only your own account".into()))
    }

    /// A login to a service, of `person`, if the host knows them. Without `nullok`, grace or enrolment.
    fn verify_for_service(&mut self, attempt: Attempt, person: Option<&Person>) -> Result<Say, Ended> {
        self.log.set_audience();
        let uid = person.map(|person| person.uid);
        let refusal = if uid == Some(0) {
            Some(("root_refused", "the broker verifies no code of uid 0 for a service"))
        } else if !self.door.services.admits(self.caller.uid, uid) {
            Some((
                "service_limit",
                "the service had too many refused codes, or asked about too many accounts, in this hour",
            ))
        } else {
            None
        };
        if let Some((reason, detail)) = refusal {
            let subject = self.subject_of(&attempt, person);
            Event::login(&subject, Verdict::Denied, reason).detail(detail).emit(self.log);
            return Ok(Say::Verdict(Verdict::Denied));
        }
        let config = Config { defaults: Defaults::default(), ..self.config.clone() };
        let options = Options { nullok: false, ..attempt.options };
        if let Some(uid) = uid {
            self.store.wait_as(uid);
        }
        let (say, judged) = self.verify(&config, Attempt { options, ..attempt }, person)?;
        if judged && uid.is_some() && say == Say::Verdict(Verdict::Denied) {
            self.door.services.failed(self.caller.uid);
        }
        Ok(say)
    }

    /// For the log. The kernel knows the caller, but only the caller says which service and terminal it is.
    fn subject_of(&self, attempt: &Attempt, person: Option<&Person>) -> Subject {
        Subject {
            user: person.map_or(NOBODY, |person| &person.name).to_owned(),
            service: format!("{}:{}", self.subject.service, attempt.service),
            tty: attempt.tty.clone(),
            ..self.subject.clone()
        }
    }

    /// Verifies an answer of an application that has asked for it already; the verdict, and whether it was looked at as a code.
    fn verify(
        &mut self,
        config: &Config,
        attempt: Attempt,
        person: Option<&Person>,
    ) -> Result<(Say, bool), Ended> {
        let subject = self.subject_of(&attempt, person);
        let Attempt { user, options, answer, .. } = attempt;
        let mut given = Given {
            answer: Some(answer),
            person: &mut self.person,
            rules: config.throttle.rules(),
            store: self.store,
            door: self.door,
            uid: person.map_or(self.caller.uid, |person| person.uid),
            subject: &subject,
            is_service: self.log.is_for_service(),
            judged: false,
            log: self.log.reopened(),
            password: None,
        };
        let outcome = Login {
            config,
            options: &options,
            store: self.store,
            directory: &HostDirectory,
            host: &mut given,
            clock: &SystemClock,
            audit: self.log,
            subject: Subject { user, ..subject.clone() },
        }
        .run();
        let judged = given.judged;
        if let (Outcome::Accepted, Some(bytes)) = (outcome, given.password) {
            let length = Say::PasswordLength(u32::try_from(bytes).unwrap_or(u32::MAX));
            self.person.say(&length).map_err(|_| Ended::Logged)?;
        }
        let verdict = match outcome {
            Outcome::Accepted => Verdict::Accepted,
            Outcome::Ignored => Verdict::Ignored,
            Outcome::Denied => Verdict::Denied,
        };
        Ok((Say::Verdict(verdict), judged))
    }

    fn regenerate(&mut self) -> Result<Say, Ended> {
        self.owner().regenerate_recovery()?;
        Ok(Say::Done("The old recovery codes are worth nothing now.".into()))
    }
}
