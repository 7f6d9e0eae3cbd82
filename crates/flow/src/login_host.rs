//! The interface between a login and the PAM application.

use super::{Dialog, NoAnswer, Typed};
use qrtotp_account::{KeyFingerprint, Name};
use qrtotp_audit::Subject;
use qrtotp_policy::{Config, Damaged, Decision, Facts, Lookups, RuleSet};

/// The source of the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstPass {
    /// We ask for it.
    #[default]
    Ask,
    /// PAM_AUTHTOK if that is a right code; otherwise we ask. It counts as a guess: if it is shaped like a
    /// code and wrong, it is counted and delays later answers. Only the answer after it does not wait for
    /// that failure; otherwise the owner of a password that looks like a code could not log in while an
    /// attacker guesses.
    Try,
    /// Only PAM_AUTHTOK.
    Use,
    /// Password and code typed together; the password goes on to the modules after us.
    Forward,
}

/// The module's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Ignore unenrolled accounts.
    pub nullok: bool,
    /// The question, if not the usual one.
    pub prompt: Option<String>,
    /// Show the code while it is typed.
    pub echo_code: bool,
    /// The source of the code.
    pub first_pass: FirstPass,
}

impl Options {
    /// A conflict with the configuration, as a sentence for the log.
    #[must_use]
    pub fn conflict(&self, config: &Config) -> Option<&'static str> {
        let enrols = config.defaults.first_login.enrols();
        match self.first_pass {
            FirstPass::Use if enrols => Some(
                "`use_first_pass` and first_login = \"enroll\" or \"token\" exclude each other: what an earlier \
                 module took is the code then, and proves no password",
            ),
            _ => None,
        }
    }
}

/// The host of a login: a dialogue, PAM's single password item, and proofs of the primary factor. By default
/// nothing can be proven, so no user can enrol.
pub trait LoginHost: Dialog {
    /// False once the application has replaced PAM_USER: the login would continue for another account.
    fn is_same_user(&self) -> bool;

    /// Whether service, terminal and remote host come from a program that the account's owner does not
    /// control.
    fn knows_place(&self) -> bool {
        true
    }

    /// The host of a fleet that reports service, terminal and remote host. Failures then count in lanes of
    /// that host.
    fn fleet_host(&self) -> Option<&Name> {
        None
    }

    /// The origin that a rule with `remember` compares, if the place is only claimed. `None`: codes are not
    /// remembered.
    fn claimed_origin(&self, place: &Subject, key: Option<&KeyFingerprint>, policy: u64) -> Option<[u8; 8]> {
        let _ = (place, key, policy);
        None
    }

    /// Finds the rule that decides. For a host of a fleet: [`RuleSet::decide_claims`].
    ///
    /// # Errors
    /// The rules are damaged; deny.
    fn decide<'p>(
        &self,
        rules: &'p RuleSet,
        facts: &Facts<'_>,
        lookups: &mut dyn Lookups,
    ) -> Result<Decision<'p>, Damaged> {
        rules.decide(facts, lookups, None)
    }

    /// The caller's login session as the kernel sees it, with the boot: only root can choose it. `None`: no
    /// session, such as a daemon.
    fn session(&self) -> Option<String> {
        None
    }

    /// Whether an account without a device may have a grace period.
    fn allows_grace(&self) -> bool {
        true
    }

    /// Whether a login may enrol an account without a device. If not, `first_login = "enroll"` and `"token"`
    /// mean "deny", in the settings and in rules.
    fn allows_enrolment(&self) -> bool {
        true
    }

    /// Whether a login without an answer may write to the account's state, for a rule with `notice` or
    /// `alert`.
    fn keeps_unasked_logins(&self) -> bool {
        true
    }

    /// The event's reason and detail, for an administrator who checks a code. A login tells no user.
    fn explain(&mut self, _reason: &str, _detail: &str) {}

    /// The answer was counted as a wrong code of the account.
    fn was_counted(&mut self) {}

    /// A copy of PAM_AUTHTOK, if set.
    fn password(&mut self) -> Option<Typed>;

    /// Sets PAM_AUTHTOK for the modules after us.
    ///
    /// # Errors
    /// The host refused; deny.
    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer>;

    /// Unsets PAM_AUTHTOK. Best effort, because the login is denied in any case.
    fn withhold_password(&mut self);

    /// Proves `password` in a separate PAM transaction, for the service `qrtotp`.
    ///
    /// # Errors
    /// It is wrong, or nothing on this host can prove it.
    fn prove_password(&mut self, name: &Name, password: &[u8]) -> Result<(), Unproven> {
        let _ = (name, password);
        Err(nothing_proves())
    }

    /// sshd's list of the keys that it accepted: `SSH_AUTH_INFO_0` of the PAM environment.
    fn ssh_auth_info(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Whether the account part of the login's own service would let the account in.
    ///
    /// # Errors
    /// It would not, or can't be asked.
    fn would_let_in(&mut self) -> Result<(), Unproven> {
        Err(nothing_proves())
    }
}

/// Why an enrolment did not begin, or a password is not proven: for the log only.
#[derive(Debug, PartialEq, Eq)]
pub struct Unproven {
    /// The reason's word in the audit log.
    pub reason: &'static str,
    /// The administrator's remedy, or libpam's message.
    pub detail: String,
}

impl Unproven {
    /// A reason that needs no explanation.
    pub(super) fn because(reason: &'static str) -> Self {
        Self { reason, detail: String::new() }
    }
}

fn nothing_proves() -> Unproven {
    let detail = "users can't enrol in this application; `qrtotp enroll` enrols them";
    Unproven { reason: "enrollment_not_here", detail: detail.into() }
}

/// The result for PAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// PAM_SUCCESS.
    Accepted,
    /// PAM_AUTH_ERR.
    Denied,
    /// PAM_IGNORE.
    Ignored,
}
