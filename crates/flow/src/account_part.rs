//! The account part: applies the rules to a login in which our auth part did not run, such as one by an ssh
//! key alone or within sudo's time stamp. Reads no record and asks nothing.

use super::answer_place::is_key_service;
use super::ruling::{Part, Ruling, ruling};
use super::{Directory, LoginHost, NOBODY, Outcome, Refusal, UNAVAILABLE};
use qrtotp_audit::{AuditSink, Event, Subject, Verdict};
use qrtotp_clock::Clock;
use qrtotp_policy::{Config, Unasked};
use qrtotp_values::EARLIEST_PLAUSIBLE;

/// Whether such a login may go on: [`Outcome::Denied`], or [`Outcome::Ignored`].
pub fn account_part(
    config: &Config,
    mut subject: Subject,
    host: &mut impl LoginHost,
    directory: &impl Directory,
    clock: &impl Clock,
    audit: &mut impl AuditSink,
) -> Outcome {
    let typed = std::mem::replace(&mut subject.user, NOBODY.to_owned());
    let mut finish = |subject: &Subject, verdict, reason: &str, detail: &str| {
        Event::login(subject, verdict, reason).detail(detail).emit(audit);
        if verdict == Verdict::Denied { Outcome::Denied } else { Outcome::Ignored }
    };
    let person = match directory.find(&typed) {
        Ok(person) => person,
        Err(error) => {
            host.show(UNAVAILABLE);
            return finish(&subject, Verdict::Denied, "lookup_failed", &error.to_string());
        }
    };
    if let Some(person) = &person {
        subject.user.clone_from(&person.name);
    }
    if !config.rules.is_empty() && clock.now() < EARLIEST_PLAUSIBLE {
        host.show(UNAVAILABLE);
        return finish(
            &subject,
            Verdict::Denied,
            "clock_implausible",
            "the host's clock is before 2020; set it",
        );
    }
    let known = person.as_ref().map(|person| person.name.as_str());
    let Ok((Ruling { outcome, fresh, message, .. }, _, by)) =
        ruling(config, known, &subject, host, directory, clock.now(), Part::Account)
    else {
        host.show(UNAVAILABLE);
        return finish(&subject, Verdict::Denied, "policy_damaged", "run `qrtotp config apply`");
    };
    subject.rule = by;
    let asks = is_key_service(config, &subject) || subject.pam_service() == "login";
    match outcome {
        qrtotp_policy::Outcome::Deny => {
            if let Some(message) = message {
                host.show(&message);
            }
            finish(&subject, Verdict::Denied, Refusal::RuleDenied.reason(), "")
        }
        qrtotp_policy::Outcome::Skip => Outcome::Ignored,
        qrtotp_policy::Outcome::TwoCodes | qrtotp_policy::Outcome::Code
            if fresh || outcome == qrtotp_policy::Outcome::TwoCodes =>
        {
            host.show("A new code is needed for this. With sudo: run `sudo -k` and try again.");
            let detail =
                "a rule demands a step-up, but no code was asked for; for sudo: Defaults timestamp_timeout=0";
            finish(&subject, Verdict::Denied, "not_asked", detail)
        }
        qrtotp_policy::Outcome::TwoCodes | qrtotp_policy::Outcome::Code if !asks => Outcome::Ignored,
        qrtotp_policy::Outcome::TwoCodes | qrtotp_policy::Outcome::Code => match config.defaults.unasked {
            Unasked::Log => finish(&subject, Verdict::Ignored, "not_asked", ""),
            Unasked::Deny => {
                host.show("A verification code is needed here, and this way in asks for none.");
                let detail = "for sshd: AuthenticationMethods publickey,keyboard-interactive";
                finish(&subject, Verdict::Denied, "not_asked", detail)
            }
        },
    }
}
