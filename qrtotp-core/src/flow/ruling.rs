//! What the policy's rules say of one login.

use super::{Directory, FirstPass, LoginHost, Options, Refusal};
use crate::account::accepted_keys;
use crate::audit::{DecidedBy, Priority};
use crate::clock::UnixTime;
use crate::policy::{Config, Damaged, Facts, FirstLogin, Outcome, Verify};
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
    /// The reason to log if no answer can be right: a denied or an unknown account.
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

/// The part of the PAM transaction that asks.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Auth,
    /// The account part, if the auth part did not run. sshd (9.2 to 10.0) does not tell it how the user logged in, so the login
    /// counts as one by a key.
    Account,
}

pub(super) fn is_key_service(config: &Config, place: &crate::audit::Subject) -> bool {
    config.enroll.key_services.iter().any(|known| known == place.pam_service())
}

/// Applies the rules to a login of `user` (`None`: an account that the host does not know). Returns the ruling, the settings for
/// this login, and the rule's name for the log.
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
        ruled.to_mut().verify = Verify { window_back: 0, window_ahead: 0, resync: false };
    }
    let mut outcome = decision.outcome.unwrap_or(usual.outcome);
    // A caller that names its own service and terminal must not skip its own code by that.
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
