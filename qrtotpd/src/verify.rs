//! The PAM application of a caller who is not root, as a login sees it: it has asked for the code already.

use crate::remote::Remote;
use qrtotp_core::flow::{Dialog, Echo, LoginHost, NoAnswer, Typed};
use std::time::Duration;

/// An answer that was given before it was asked for.
pub struct Given<'a, 'line> {
    answer: Option<Typed>,
    person: &'a mut Remote<'line>,
}

impl<'a, 'line> Given<'a, 'line> {
    pub fn new(answer: Typed, person: &'a mut Remote<'line>) -> Self {
        Self { answer: Some(answer), person }
    }
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

    fn forward_password(&mut self, _: &[u8]) -> Result<(), NoAnswer> {
        Err(NoAnswer)
    }

    fn withhold_password(&mut self) {}
}
