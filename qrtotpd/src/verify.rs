//! Verifying an answer for an application that is not root and has asked for it already: about the caller's own account, or for a
//! service of `[broker.services]` about another one. A service hears yes or no, and nothing else.

use crate::caller::Away;
use crate::door::Door;
use crate::log::Log;
use crate::primary::Check;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use qrtotp_core::account::{Name, ThrottleRules};
use qrtotp_core::audit::Subject;
use qrtotp_core::flow::{Dialog, Echo, LoginHost, NoAnswer, PrimaryThrottle, Typed, Unproven};
use std::time::Duration;

/// An answer that was given before it was asked for.
pub struct Given<'a, 'line> {
    pub answer: Option<Typed>,
    pub person: &'a mut Remote<'line>,
    pub rules: ThrottleRules,
    pub store: &'a RequestStore<'a>,
    pub door: &'a Door,
    /// The account's.
    pub uid: u32,
    pub subject: &'a Subject,
    /// The application is not the account's own.
    pub is_service: bool,
    /// The answer was looked at as a code.
    pub judged: bool,
    pub log: Log,
    /// How many bytes of the answer are the password, once it is proven.
    pub password: Option<usize>,
}

impl Dialog for Given<'_, '_> {
    fn show(&mut self, text: &str) {
        if !self.is_service {
            self.person.show(text);
        }
    }

    fn ask(&mut self, _: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.answer.take().ok_or(NoAnswer)
    }

    fn wait(&mut self, time: Duration) {
        self.person.wait(time);
    }
}

impl LoginHost for Given<'_, '_> {
    fn is_same_user(&self) -> bool {
        true // the kernel's word does not change
    }

    fn explain(&mut self, _: &str) {
        self.judged = true;
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
        let Some(_checking) = self.door.checks.begin(self.uid) else {
            let reason = Away::TooManyPasswords.reason();
            return Err(Unproven { reason, detail: String::new() });
        };
        let throttle = PrimaryThrottle { name, rules: self.rules, store: self.store };
        let check = Check::new(throttle, self.door.pam_time, self.person);
        check.run_with(password, self.subject, &mut self.log)
    }
}
