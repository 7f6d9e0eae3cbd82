//! The PAM application of a caller who is not root, as a login sees it: it has asked for the code already.

use crate::caller::{Away, Caller};
use crate::door::Door;
use crate::log::Log;
use crate::primary::Check;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use qrtotp_core::account::Name;
use qrtotp_core::audit::Subject;
use qrtotp_core::flow::{Dialog, Echo, LoginHost, NoAnswer, PrimaryThrottle, Typed, Unproven};
use std::time::Duration;

/// An answer that was given before it was asked for.
pub struct Given<'a, 'line> {
    pub answer: Option<Typed>,
    pub person: &'a mut Remote<'line>,
    /// Proves the password in front of a code.
    pub throttle: PrimaryThrottle<'a, RequestStore<'a>>,
    pub door: &'a Door,
    pub caller: &'a Caller,
    pub subject: &'a Subject,
    pub log: Log,
    /// How many bytes of the answer are the password, once it is proven.
    pub password: Option<usize>,
}

impl Dialog for Given<'_, '_> {
    fn show(&mut self, text: &str) {
        self.person.show(text);
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

    fn prove_password(&mut self, _: &Name, password: &[u8]) -> Result<(), Unproven> {
        let Some(_checking) = self.door.checks.begin(self.caller.uid) else {
            let reason = Away::TooManyPasswords.reason();
            return Err(Unproven { reason, detail: String::new() });
        };
        let PrimaryThrottle { name, rules, store } = self.throttle;
        let throttle = PrimaryThrottle { name, rules, store };
        let check = Check::new(throttle, self.door.pam_time, self.person);
        check.run_with(password, self.subject, &mut self.log)
    }
}
