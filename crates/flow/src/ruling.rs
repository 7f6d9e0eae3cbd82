//! The decision of the policy's rules on one login.

use super::answer_place::{AnswerPlace, is_key_service};
use super::{Directory, FirstPass, LoginHost, Options, Refusal};
use qrtotp_account::{CredentialId, ExactOrigin, KeyFingerprint, Label, ThrottleRules, accepted_keys};
use qrtotp_audit::{DecidedBy, Priority};
use qrtotp_policy::{Config, Damaged, Facts, FirstLogin, Lookups, Outcome, Verify, address};
use qrtotp_store::{Account, SealKey};
use qrtotp_values::ConfigDuration;
use qrtotp_values::UnixTime;

/// The rules' decision on a login, besides its settings.
#[derive(Clone, Debug)]
pub(super) struct Ruling {
    /// The rule's outcome, or that of `[defaults]`.
    pub(super) outcome: Outcome,
    /// Recovery codes count.
    pub(super) recovery: bool,
    /// Only a code of the current step counts.
    pub(super) fresh: bool,
    /// The rule itself says what happens at a first login, so `nullok` does not.
    pub(super) first_login: bool,
    /// The reason to log if no answer can be right: a denied or an unknown account.
    pub(super) nobody: Refusal,
    /// The client answers every question with the same text, so there is no room for two codes.
    pub(super) one_field: bool,
    /// The password was tried as a code in this login, and counted as a wrong one.
    pub(super) tried_password: bool,
    /// Shown if the outcome is [`Outcome::Deny`].
    pub(super) message: Option<String>,
    /// How long a right code is remembered, and the origin to compare.
    pub(super) remember: Option<(ConfigDuration, [u8; 8])>,
    /// The registered hardware key that the rule demands and sshd accepted.
    pub(super) hardware_key: Option<(CredentialId, Label)>,
}

impl Default for Ruling {
    fn default() -> Self {
        Self {
            outcome: Outcome::Code,
            recovery: true,
            fresh: false,
            first_login: false,
            nobody: Refusal::UnknownUser,
            one_field: false,
            tried_password: false,
            message: None,
            remember: None,
            hardware_key: None,
        }
    }
}

impl Ruling {
    /// Two consecutive codes are asked for.
    pub(super) fn steps_up(&self) -> bool {
        self.outcome == Outcome::TwoCodes
    }

    /// A conflict with the module's arguments, as a sentence for the log.
    pub(super) fn conflict(&self, options: &Options) -> Option<&'static str> {
        let one_field = matches!(options.first_pass, FirstPass::Use | FirstPass::Forward);
        (self.steps_up() && one_field).then_some(
            "a rule demands two codes, and `use_first_pass` and `forward_pass` have no room for them",
        )
    }
}

/// The part of the PAM transaction that asks.
pub(super) enum Part<'a> {
    /// The auth part, with a look-up of the account, which returns no account of another uid.
    Auth(&'a mut dyn FnMut() -> Option<Account>, &'a SealKey),
    /// The account part, if the auth part did not run. sshd (9.2 to 10.0) does not report how the user logged
    /// in, so the login counts as one by a key, but not by a registered hardware key.
    Account,
}

/// The look-ups of a login for its rules.
struct LoginLookups<'a, 'p> {
    throttle: ThrottleRules,
    user: Option<&'a str>,
    directory: &'a dyn Directory,
    accepted: Vec<KeyFingerprint>,
    part: Part<'p>,
    answer_place: AnswerPlace,
    now: UnixTime,
    /// Set after the look-up.
    hardware_key: Option<(CredentialId, Label)>,
}

impl Lookups for LoginLookups<'_, '_> {
    fn groups(&mut self) -> Option<Vec<u32>> {
        self.user.and_then(|user| self.directory.groups(user))
    }

    fn hardware_key(&mut self) -> bool {
        if let (Part::Auth(account, _), false) = (&mut self.part, self.accepted.is_empty()) {
            let account = account();
            let key = account.as_ref().and_then(|account| account.record.hardware_key(&self.accepted));
            self.hardware_key = key.map(|key| (key.id, key.label.clone()));
        }
        self.hardware_key.is_some()
    }

    /// Without a record, or an account on this host, no place is familiar.
    fn familiar(&mut self) -> Option<bool> {
        let Part::Auth(account, key) = &mut self.part else { return None };
        let familiar = |Account { record, state }: Account| {
            state.throttle.is_familiar(self.answer_place.side(key, &record), self.now, &self.throttle)
        };
        Some(account().is_some_and(familiar))
    }
}

/// The origin that a rule with `remember` compares. The absence of a PAM item is never enough: without an
/// address it must be a terminal of a login session, which only the kernel can name.
fn exact_origin(
    config: &Config,
    place: &qrtotp_audit::Subject,
    host: &dyn LoginHost,
    key: Option<&KeyFingerprint>,
) -> Option<[u8; 8]> {
    let (by, tty) = (place.by.as_str(), place.tty.as_str());
    let session;
    let origin = match address(&place.rhost) {
        _ if !host.knows_place() => return host.claimed_origin(place, key, config.rules.generation),
        Some(address) => ExactOrigin::Remote(address, key),
        None if place.rhost.is_empty() && !by.is_empty() && !tty.is_empty() => {
            session = host.session()?;
            ExactOrigin::Session { session: &session, tty, by }
        }
        None => return None,
    };
    Some(origin.at(place.pam_service(), config.rules.generation))
}

/// The rules' decision with all that follows from it.
pub(super) struct Decided {
    /// The decision.
    pub(super) ruling: Ruling,
    /// The settings for this login, if the rule changes them.
    pub(super) settings: Option<Box<Config>>,
    /// The rule, for the log.
    pub(super) by: Option<DecidedBy>,
}

/// Applies the rules to a login of `user` (`None`: an account that the host does not know).
///
/// # Errors
/// The rules are damaged; deny.
pub(super) fn ruling(
    config: &Config,
    user: Option<&str>,
    place: &qrtotp_audit::Subject,
    host: &mut dyn LoginHost,
    directory: &dyn Directory,
    now: UnixTime,
    part: Part<'_>,
) -> Result<Decided, Damaged> {
    let usual = config.default_outcome();
    let changed = || Box::new(config.clone());
    let mut settings = None;
    let denies_enrolment =
        |first_login: FirstLogin, host: &dyn LoginHost| first_login.enrols() && !host.allows_enrolment();
    if denies_enrolment(config.defaults.first_login, host) {
        settings.get_or_insert_with(changed).defaults.first_login = FirstLogin::Deny;
    }
    if config.rules.is_empty() {
        let ruling = Ruling { outcome: usual, ..Ruling::default() };
        return Ok(Decided { ruling, settings, by: None });
    }
    let says_keys = is_key_service(config, place);
    let accepted = match part {
        Part::Auth(..) if says_keys => accepted_keys(&host.ssh_auth_info().unwrap_or_default()),
        Part::Auth(..) | Part::Account => Vec::new(),
    };
    let key = says_keys.then_some(matches!(part, Part::Account) || !accepted.is_empty());
    let facts = Facts {
        user,
        service: place.pam_service(),
        tty: &place.tty,
        by: &place.by,
        rhost: &place.rhost,
        key,
        now,
    };
    let answer_place = AnswerPlace::with(accepted.first(), place, host, false);
    let throttle = config.throttle.rules();
    let mut lookups =
        LoginLookups { throttle, user, directory, accepted, part, answer_place, now, hardware_key: None };
    let decision = host.decide(&config.rules, &facts, &mut lookups)?;
    let effects = &decision.effects;
    // A service that asks through the broker lets no user in without a code.
    let lets_in = |first_login| first_login == FirstLogin::Allow && !host.allows_grace();
    if let Some(first_login) = effects.first_login.filter(|first_login| !lets_in(*first_login)) {
        let first_login = if denies_enrolment(first_login, host) { FirstLogin::Deny } else { first_login };
        let defaults = &mut settings.get_or_insert_with(changed).defaults;
        (defaults.first_login, defaults.allow_until) = (first_login, effects.allow_until);
    }
    if effects.fresh {
        settings.get_or_insert_with(changed).verify =
            Verify { window_back: 0, window_ahead: 0, resync: false };
    }
    let mut outcome = decision.outcome.unwrap_or(usual);
    // A caller that names its service and terminal itself must not skip a code by doing so.
    if outcome == Outcome::Skip && decision.outcome.is_some() && !host.knows_place() {
        outcome = Outcome::Code;
    }
    let origin = effects.remember.and_then(|span| {
        let origin = exact_origin(config, place, host, lookups.accepted.first())?;
        Some((span, origin))
    });
    let ruling = Ruling {
        outcome,
        remember: origin,
        recovery: !effects.no_recovery,
        fresh: effects.fresh,
        first_login: effects.first_login.is_some(),
        nobody: if outcome == Outcome::Deny { Refusal::RuleDenied } else { Refusal::UnknownUser },
        one_field: false,
        tried_password: false,
        message: effects.message.map(str::to_owned),
        hardware_key: lookups.hardware_key.filter(|_| decision.hardware_key),
    };
    let at_least = match (effects.alert, effects.notice) {
        (true, _) => Priority::Alert,
        (false, true) => Priority::Notice,
        (false, false) => Priority::Info,
    };
    let by = DecidedBy { policy: config.rules.generation, rule: decision.rule.to_owned(), at_least };
    Ok(Decided { ruling, settings, by: Some(by) })
}
