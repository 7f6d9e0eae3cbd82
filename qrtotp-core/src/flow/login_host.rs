//! What a login is told and what it asks of the PAM application.

use super::{Dialog, Mark, NoAnswer, Typed};
use crate::policy::{Config, FirstLogin};

/// Where the code comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstPass {
    /// We ask for it.
    #[default]
    Ask,
    /// PAM_AUTHTOK if that is a right code, else we ask. It is a guess like any other: counted if it has the form of a
    /// code and is wrong, and made to wait. Only the answer after it does not wait for that failure, or the owner of a
    /// password that looks like a code could not log in while somebody else guesses.
    Try,
    /// PAM_AUTHTOK and nothing else.
    Use,
    /// Password and code typed together; the password goes on to the modules after us.
    Forward,
}

/// What the admin wrote behind the module's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// An un-enrolled account is none of our business.
    pub nullok: bool,
    /// The question, if not the usual one.
    pub prompt: Option<String>,
    /// Show the code while it is typed.
    pub echo_code: bool,
    /// Where the code comes from.
    pub first_pass: FirstPass,
}

impl Options {
    /// What can't hold together with the configuration, in words for the log.
    #[must_use]
    pub fn conflict(&self, config: &Config) -> Option<&'static str> {
        let enrols = matches!(config.defaults.first_login, FirstLogin::Enroll | FirstLogin::Token);
        match self.first_pass {
            FirstPass::Forward if enrols => Some(
                "`forward_pass` and first_login = \"enroll\" or \"token\" exclude each other: behind us nothing has \
                 proven the password yet",
            ),
            FirstPass::Use if enrols => Some(
                "`use_first_pass` and first_login = \"enroll\" or \"token\" exclude each other: what an earlier \
                 module took is the code then, and proves no password",
            ),
            _ => None,
        }
    }
}

/// The host of a login: a dialogue, PAM's one password item, and what tells whether somebody may enrol. Where nobody
/// can, the last four are as they are here.
pub trait LoginHost: Dialog {
    /// False once the application has replaced PAM_USER: what follows would be about somebody else than we judge.
    fn is_same_user(&self) -> bool;

    /// A copy of PAM_AUTHTOK, if set.
    fn password(&mut self) -> Option<Typed>;

    /// Sets PAM_AUTHTOK for the modules after us.
    ///
    /// # Errors
    /// The host refused; deny.
    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer>;

    /// True if the application says that a key was accepted before.
    fn key_was_accepted(&mut self) -> bool {
        false
    }

    /// Whether our account and session parts are certain to follow (see [`crate::policy::guard`]). `password_only`: no
    /// key was accepted.
    ///
    /// # Errors
    /// They are not, with a sentence for the log.
    fn guard(&mut self, password_only: bool) -> Result<(), String> {
        let _ = password_only;
        Err("nobody enrols here".into())
    }

    /// Whether the application may remember, before our account part is run or without it, that somebody was let pass.
    fn remembers(&mut self) -> bool {
        true
    }

    /// Leaves a mark for the account part.
    ///
    /// # Errors
    /// PAM did not keep it.
    fn mark(&mut self, mark: Mark) -> Result<(), NoAnswer> {
        let _ = mark;
        Err(NoAnswer)
    }
}

/// What PAM is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// PAM_SUCCESS.
    Accepted,
    /// PAM_AUTH_ERR.
    Denied,
    /// PAM_IGNORE.
    Ignored,
}
