//! The account part: applies the rules to a login in which our auth part did not run, such as one by an ssh
//! key alone or within sudo's time stamp. Reads no record and asks nothing.

use super::answer_place::is_key_service;
use super::login::{Ending, finish};
use super::ruling::{Decided, Part, Ruling, ruling};
use super::{Directory, LoginHost, NOBODY, Outcome, Refusal};
use qrtotp_audit::{AuditSink, Subject};
use qrtotp_clock::Clock;
use qrtotp_messages::{Message, text};
use qrtotp_policy::{Config, Outcome as Ruled, Unasked};
use qrtotp_values::EARLIEST_PLAUSIBLE;

/// Whether such a login may go on: [`Outcome::Denied`], or [`Outcome::Ignored`].
pub fn account_part(
    config: &Config,
    mut subject: Subject,
    host: &mut dyn LoginHost,
    directory: &dyn Directory,
    clock: &dyn Clock,
    audit: &mut dyn AuditSink,
) -> Outcome {
    match decide(config, &mut subject, host, directory, clock) {
        None => Outcome::Ignored,
        Some(ending) => finish(&subject, audit, host, None, ending),
    }
}

/// `None`: the login is not ours to decide, and leaves no event.
fn decide(
    config: &Config,
    subject: &mut Subject,
    host: &mut dyn LoginHost,
    directory: &dyn Directory,
    clock: &dyn Clock,
) -> Option<Box<Ending>> {
    let typed = std::mem::replace(&mut subject.user, NOBODY.to_owned());
    let person = match directory.find(&typed) {
        Ok(person) => person,
        Err(error) => return Some(Ending::lookup_failed(&error)),
    };
    if let Some(person) = &person {
        subject.user.clone_from(&person.name);
    }
    if !config.rules.is_empty() && clock.now() < EARLIEST_PLAUSIBLE {
        return Some(Ending::clock_implausible());
    }
    let known = person.as_ref().map(|person| person.name.as_str());
    let Ok(Decided { ruling: Ruling { outcome, fresh, message, .. }, by, .. }) =
        ruling(config, known, subject, host, directory, clock.now(), Part::Account)
    else {
        return Some(Ending::broken("policy_damaged", "run `qrtotp config apply`"));
    };
    subject.rule = by;
    let asks = is_key_service(config, subject) || subject.pam_service() == "login";
    match outcome {
        Ruled::Deny => {
            let denied = Ending::refused(Refusal::RuleDenied);
            Some(match message {
                Some(message) => denied.showing(Message::verbatim(message)),
                None => denied,
            })
        }
        Ruled::Skip => None,
        Ruled::TwoCodes | Ruled::Code if fresh || outcome == Ruled::TwoCodes => {
            let detail =
                "a rule demands a step-up, but no code was asked for; for sudo: Defaults timestamp_timeout=0";
            Some(Ending::denied("not_asked", detail).showing(text::NEW_CODE_NEEDED))
        }
        Ruled::TwoCodes | Ruled::Code if !asks => None,
        Ruled::TwoCodes | Ruled::Code => Some(match config.defaults.unasked {
            Unasked::Log => Ending::ignored("not_asked"),
            Unasked::Deny => {
                let detail = "for sshd: AuthenticationMethods publickey,keyboard-interactive";
                Ending::denied("not_asked", detail).showing(text::CODE_NOT_ASKED)
            }
        }),
    }
}
