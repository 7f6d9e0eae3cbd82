//! Verifies an answer for an application without root that has already asked for it: about the caller's own
//! account, or for a service of `[broker.services]` about another one. A service learns only yes or no.

use crate::attempt::Attempt;
use crate::broker::Broker;
use crate::caller::Away;
use crate::log::Log;
use crate::primary::Check;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use crate::served::{Ended, Served};
use crate::services::Counter;
use qrtotp_account::{Name, ThrottleRules};
use qrtotp_audit::{Event, Subject, Verdict};
use qrtotp_clock::SystemClock;
use qrtotp_flow::{
    Ctx, Dialog, Directory, Echo, FirstPass, HostDirectory, LoginHost, LookupError, NOBODY, NoAnswer,
    Options, Outcome, Person, PrimaryThrottle, Typed, Unproven, login,
};
use qrtotp_messages::{Catalogue, Message};
use qrtotp_policy::{Config, Defaults};
use qrtotp_wire::Response;
use std::time::Duration;

impl Served<'_> {
    /// Verifies a login to the caller's own account, or to a listed service.
    pub fn attempt(&mut self, broker: &Broker, attempt: Attempt) -> Result<Response, Ended> {
        let name = self.caller.name.as_str();
        // Any user may name any account, and the user database may be slow.
        let Ok(person) = self.person.turn.away(|| HostDirectory.find(&attempt.user)) else {
            return Err(Ended::Refused(Away::NoAnswer.message()));
        };
        if self.caller.can_log_in && person.as_ref().is_some_and(|person| person.name == name) {
            let (say, _) = self.verify(broker, self.config, attempt, person.as_ref())?;
            return Ok(say);
        }
        let listed = self.config.broker.services_of(name);
        if listed.is_some_and(|services| services.iter().any(|service| *service == attempt.service)) {
            let request = broker.services.request(self.caller.uid, &attempt);
            if let Some(verdict) = request.and_then(|request| broker.services.verdict_of(request)) {
                return Ok(Response::Verdict(verdict));
            }
            let response = self.verify_for_service(broker, attempt, person.as_ref())?;
            return Ok(broker.services.keep(request, response));
        }
        // The same for every other name, whether it exists or not.
        Err(Ended::Refused(Message::verbatim("the broker serves only your own account".into())))
    }

    /// Verifies a login of `person`, if the host knows them, to a service. Without `nullok`, grace or
    /// enrolment.
    fn verify_for_service(
        &mut self,
        broker: &Broker,
        attempt: Attempt,
        person: Option<&Person>,
    ) -> Result<Response, Ended> {
        self.log.set_audience();
        let uid = person.map(|person| person.uid);
        let counter = match (attempt.options.first_pass, uid) {
            (FirstPass::Forward, Some(_)) => Counter::Passwords,
            (FirstPass::Forward, None) => Counter::Nothing,
            _ => Counter::Codes,
        };
        let refusal = if uid == Some(0) {
            Some(("root_refused", "the broker verifies no code of uid 0 for a service"))
        } else if !broker.services.admits(self.caller.uid, uid, counter) {
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
            return Ok(Response::Verdict(Verdict::Denied));
        }
        let config = Config { defaults: Defaults::default(), ..self.config.clone() };
        let options = Options { nullok: false, ..attempt.options };
        if let Some(uid) = uid {
            self.store.wait_as(uid);
        }
        let verified = self.verify(broker, &config, Attempt { options, ..attempt }, person);
        let refused = match (&verified, counter) {
            (Ok((Response::Verdict(Verdict::Denied), counted)), Counter::Codes) => *counted,
            (Ok((Response::Verdict(Verdict::Denied), _)), _) => true,
            _ => false,
        };
        if !refused {
            broker.services.take_back(self.caller.uid, counter);
        }
        verified.map(|(say, _)| say)
    }

    /// The subject for the log. The kernel identifies the caller, but only the caller names the service and
    /// the terminal.
    fn subject_of(&self, attempt: &Attempt, person: Option<&Person>) -> Subject {
        Subject {
            user: person.map_or(NOBODY, |person| &person.name).to_owned(),
            service: format!("{}:{}", self.subject.service, attempt.service),
            tty: attempt.tty.clone(),
            ..self.subject.clone()
        }
    }

    /// Verifies an answer that an application has already asked for; returns the verdict, and whether the
    /// answer was counted as a wrong code.
    fn verify(
        &mut self,
        broker: &Broker,
        config: &Config,
        attempt: Attempt,
        person: Option<&Person>,
    ) -> Result<(Response, bool), Ended> {
        let subject = self.subject_of(&attempt, person);
        let Attempt { user, options, answer, .. } = attempt;
        let mut login_host = AnsweredLogin {
            answer: Some(answer),
            person: &mut self.person,
            rules: config.throttle.rules(),
            store: self.store,
            broker,
            uid: person.map_or(self.caller.uid, |person| person.uid),
            subject: &subject,
            is_service: self.log.is_for_service(),
            counted: false,
            log: self.log.reopened(),
            password: None,
        };
        let ctx = Ctx {
            config,
            store: self.store,
            directory: &Found(person),
            clock: &SystemClock,
            audit: self.log,
            subject: Subject { user, ..subject.clone() },
        };
        let outcome = login(ctx, &options, &mut login_host);
        let counted = login_host.counted;
        if let (Outcome::Accepted, Some(bytes)) = (outcome, login_host.password) {
            let length = Response::PasswordLength(u32::try_from(bytes).unwrap_or(u32::MAX));
            self.person.say(&length).map_err(|_| Ended::Logged)?;
        }
        let verdict = match outcome {
            Outcome::Accepted => Verdict::Accepted,
            Outcome::Ignored => Verdict::Ignored,
            Outcome::Denied => Verdict::Denied,
        };
        Ok((Response::Verdict(verdict), counted))
    }
}

/// The account of the request, as looked up before.
struct Found<'a>(Option<&'a Person>);

impl Directory for Found<'_> {
    fn find(&self, _: &str) -> Result<Option<Person>, LookupError> {
        Ok(self.0.cloned())
    }

    fn groups(&self, name: &str) -> Option<Vec<u32>> {
        HostDirectory.groups(name)
    }
}

/// A login whose answer is already here.
pub struct AnsweredLogin<'a, 'line> {
    pub answer: Option<Typed>,
    pub person: &'a mut Remote<'line>,
    pub rules: ThrottleRules,
    pub store: &'a RequestStore<'a>,
    pub broker: &'a Broker,
    /// The account's.
    pub uid: u32,
    pub subject: &'a Subject,
    /// The application is not the account's own.
    pub is_service: bool,
    /// The answer was counted as a wrong code.
    pub counted: bool,
    pub log: Log,
    /// The length of the password in the answer in bytes, once it is proven.
    pub password: Option<usize>,
}

impl Dialog for AnsweredLogin<'_, '_> {
    fn show_text(&mut self, text: &str) {
        if !self.is_service {
            self.person.show_text(text);
        }
    }

    fn ask_text(&mut self, _: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.answer.take().ok_or(NoAnswer)
    }

    fn catalogue(&self) -> &Catalogue {
        self.person.catalogue()
    }

    fn wait(&mut self, time: Duration) {
        self.person.wait(time);
    }
}

impl LoginHost for AnsweredLogin<'_, '_> {
    /// The caller itself names the service and the login's origin.
    fn knows_place(&self) -> bool {
        false
    }

    fn allows_grace(&self) -> bool {
        !self.is_service
    }

    fn is_same_user(&self) -> bool {
        true // the kernel identifies the caller once and for all
    }

    fn was_counted(&mut self) {
        self.counted = true;
    }

    fn password(&mut self) -> Option<Typed> {
        None
    }

    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer> {
        self.password = Some(password.len());
        Ok(())
    }

    fn withhold_password(&mut self) {
        self.password = None;
    }

    fn prove_password(&mut self, name: &Name, password: &[u8]) -> Result<(), Unproven> {
        let Some(_checking) = self.broker.checks.begin(&self.uid) else {
            let reason = Away::TooManyPasswords.reason();
            return Err(Unproven { reason, detail: String::new() });
        };
        let throttle = PrimaryThrottle { name, rules: self.rules, store: self.store };
        let check = Check::new(throttle, self.broker.pam_time, self.person);
        check.run_with(password, self.subject, &mut self.log)
    }
}
