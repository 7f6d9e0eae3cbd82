//! What the policy's rules say of one login.

use super::{Directory, FirstPass, LoginHost, Options, Refusal};
use crate::account::accepted_keys;
use crate::audit::{DecidedBy, Priority};
use crate::clock::UnixTime;
use crate::otp::Window;
use crate::policy::{Config, Damaged, Facts, FirstLogin, Outcome};
use std::borrow::Cow;

/// What holds for a login besides its settings.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The rule's outcome, or what `[defaults]` says.
    pub(super) outcome: Outcome,
    /// Recovery codes count.
    pub(super) recovery: bool,
    /// Only a code of the current step counts.
    pub(super) fresh: bool,
    /// Why nobody's answer is accepted, where nobody's is.
    pub(super) nobody: Refusal,
    /// Shown where the outcome is [`Outcome::Deny`].
    pub(super) message: Option<String>,
}

impl Default for Ruling {
    fn default() -> Self {
        Self {
            outcome: Outcome::Code,
            recovery: true,
            fresh: false,
            nobody: Refusal::UnknownUser,
            message: None,
        }
    }
}

impl Ruling {
    /// Two consecutive codes are asked for.
    pub(super) fn steps_up(&self) -> bool {
        self.outcome == Outcome::TwoCodes
    }

    /// What can't hold together with the module's arguments, in words for the log.
    pub(super) fn conflict(&self, options: &Options) -> Option<&'static str> {
        let one_field = matches!(options.first_pass, FirstPass::Use | FirstPass::Forward);
        (self.steps_up() && one_field).then_some(
            "a rule demands two codes, and `use_first_pass` and `forward_pass` have no room for them",
        )
    }
}

/// The part of a PAM transaction in which somebody wants to know.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Auth,
    /// Without our auth part. sshd (9.2 to 10.0) does not tell this part how a user logged in; whatever it was, it came past
    /// every password, so it counts as a key.
    Account,
}

pub(super) fn is_key_service(config: &Config, place: &crate::audit::Subject) -> bool {
    config.enroll.key_services.iter().any(|known| known == place.pam_service())
}

/// What decides a login of `user` (`None`: nobody whom the host knows), with the settings that hold for it.
///
/// # Errors
/// The rules are damaged; deny.
pub(super) fn ruling<'c>(
    config: &'c Config,
    user: Option<&str>,
    place: &crate::audit::Subject,
    host: &mut impl LoginHost,
    directory: &impl Directory,
    now: UnixTime,
    part: Part,
) -> Result<(Ruling, Cow<'c, Config>, Option<DecidedBy>), Damaged> {
    let usual = Ruling { outcome: config.default_outcome(), ..Ruling::default() };
    if config.rules.is_empty() {
        return Ok((usual, Cow::Borrowed(config), None));
    }
    let key = is_key_service(config, place).then(|| match part {
        Part::Auth => {
            let info = host.ssh_auth_info().unwrap_or_default();
            !accepted_keys(&info).is_empty()
        }
        Part::Account => true,
    });
    let facts = Facts {
        user,
        service: place.pam_service(),
        tty: &place.tty,
        by: &place.by,
        rhost: &place.rhost,
        key,
        now,
    };
    let mut groups = || user.and_then(|user| directory.groups(user));
    let decision = config.rules.decide(&facts, &mut groups, None)?;
    let effects = &decision.effects;
    let mut ruled = Cow::Borrowed(config);
    // A service that asks through the broker lets nobody in without a code.
    let lets_in = |first_login| first_login == FirstLogin::Allow && !host.allows_grace();
    if let Some(first_login) = effects.first_login.filter(|first_login| !lets_in(*first_login)) {
        let defaults = &mut ruled.to_mut().defaults;
        (defaults.first_login, defaults.allow_until) = (first_login, effects.allow_until);
    }
    if effects.fresh {
        let Window { back, ahead } = Window { back: 0, ahead: 0 };
        let verify = &mut ruled.to_mut().verify;
        (verify.window_back, verify.window_ahead, verify.resync) = (back, ahead, false);
    }
    let mut outcome = decision.outcome.unwrap_or(usual.outcome);
    // Who says which service this is, and where, must not be who is to be asked.
    if outcome == Outcome::Skip && decision.outcome.is_some() && !host.knows_place() {
        outcome = Outcome::Code;
    }
    let ruling = Ruling {
        outcome,
        recovery: !effects.no_recovery,
        fresh: effects.fresh,
        nobody: if outcome == Outcome::Deny { Refusal::RuleDenied } else { Refusal::UnknownUser },
        message: effects.message.map(str::to_owned),
    };
    let at_least = match (effects.alert, effects.notice) {
        (true, _) => Priority::Alert,
        (false, true) => Priority::Notice,
        (false, false) => Priority::Info,
    };
    let by = DecidedBy { policy: config.rules.generation, rule: decision.rule.to_owned(), at_least };
    Ok((ruling, ruled, Some(by)))
}
