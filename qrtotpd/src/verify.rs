//! The PAM application of a caller who is not root, as a login sees it: it has asked for the code already.

use crate::remote::Remote;
use qrtotp_core::flow::{Dialog, Echo, LoginHost, Mark, NoAnswer, Typed};

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

    fn key_was_accepted(&mut self) -> bool {
        false
    }

    fn guard(&mut self, _: bool) -> Result<(), String> {
        Err("nobody enrols at a login that is not root's; `qrtotp enroll` does".into())
    }

    fn mark(&mut self, _: Mark) -> Result<(), NoAnswer> {
        Err(NoAnswer)
    }
}
