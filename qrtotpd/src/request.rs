//! The requests at this host's broker.

use crate::attempt::Attempt;
use crate::broker::Broker;
use crate::caller::Away;
use crate::primary::Check;
use crate::served::{Ended, Served};
use qrtotp_account::Label;
use qrtotp_audit::{Event, Kind};
use qrtotp_flow::{AdminError, Authority, FirstPass, Options, PrimaryThrottle, host_name};
use qrtotp_wire::{Request, Response};

impl Served<'_> {
    /// Carries out the request and returns the final response.
    pub fn handle(mut self, broker: &Broker, request: Request) -> Result<Response, Ended> {
        self.person.line.last(self.time_for(&request));
        if !self.caller.can_log_in && !matches!(request, Request::Verify { .. }) {
            return Err(Ended::Refused(Away::NoAccount.message()));
        }
        match request {
            Request::Enroll { label } => {
                let authority = self.authority(broker)?;
                let (store, name) = (self.store, &self.caller.name);
                let enroll = || self.enroll(&Label::new(&label), authority, &host_name());
                store.host_chain().noting(store, name, enroll)
            }
            Request::Verify { user, service, tty, nullok, forward, id, answer } => {
                let first_pass = if forward { FirstPass::Forward } else { FirstPass::Ask };
                let options = Options { nullok, first_pass, ..Options::default() };
                self.attempt(broker, Attempt { user, service, tty, options, id, answer })
            }
            request => self.look_after(request),
        }
    }

    /// The authority of the enrolment. A uid alone is not enough: a cron job has it, too.
    fn authority(&mut self, broker: &Broker) -> Result<Authority, Ended> {
        let authority = self.as_owner(|owner| owner.authority()).map_err(|error| {
            if error.is_refusal() {
                Event::new(Kind::EnrollmentRefused, self.subject).reason(error.reason()).emit(self.log);
            }
            Ended::from(AdminError::from(error))
        })?;
        if authority == Authority::PrimaryFactor {
            let (name, rules) = (&self.caller.name, self.config.throttle.rules());
            let throttle = PrimaryThrottle { name, rules, store: self.store };
            let Some(_checking) = broker.checks.begin(&self.caller.uid) else {
                let (who, why) = (Some(self.caller.uid), Away::TooManyPasswords);
                broker.refusals.caller(who, self.subject, why.reason());
                return Err(Ended::Refused(why.message()));
            };
            Check::new(throttle, broker.pam_time, &mut self.person).run(self.subject, self.log)?;
            self.person.line.last(self.time_to_enroll());
        }
        Ok(authority)
    }
}
