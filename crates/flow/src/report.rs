//! Puts a verification into the audit log. One event is the decision; others, before it, are the consequences
//! for the account.

use super::looked_up;
use super::refusal::Refusal;
use super::verification::{Proof, Recorded, Rules, Verification};
use qrtotp_account::{Decision, Engaged, FactorKind, Failures, Forgiven, SetKind, State};
use qrtotp_audit::{AuditSink, ChainedLines, Event, Kind, Subject, Verdict};
use qrtotp_clock::Clock;
use qrtotp_messages::{Message, text};
use qrtotp_values::text::{clock_offset, utc};
use std::borrow::Cow;

/// Detail for the log when codes are refused.
const UNSYNCHRONIZED: &str = "nothing keeps this host's clock right, as far as the kernel knows, and codes fail where it is off; \
                              `qrtotp doctor` says what to do";

/// Detail for the log if a rule with `fresh` refuses a code.
const NOT_CURRENT: &str = "the rule takes only the code that the app shows now (fresh)";

/// Detail for the log if an answer is not shaped like a code.
const MALFORMED: &str = "not the form of a code; if the client or sshd answered with the password, use keyboard-interactive \
                         (sshd's KbdInteractiveAuthentication) or forward_pass";

impl Verification {
    /// The notice for the owner with a right answer: the number of wrong ones since the last right one, but
    /// not the one or two that users mistype here.
    pub(super) fn notice(&self) -> Option<Message> {
        let Self::Accepted { forgiven: Forgiven { since, elsewhere, .. }, .. } = self else { return None };
        if since.count < 3 && (*elsewhere == 0 || since.count == 0) {
            return None;
        }
        let (count, first) = (&since.count, &utc(since.first));
        let some_elsewhere = *elsewhere > 0 && elsewhere < count;
        Some(match (network(since), *count, some_elsewhere) {
            (None, 1, _) => text::one_wrong_code(first),
            (None, _, false) => text::wrong_codes(count, first),
            (None, _, true) => text::wrong_codes_elsewhere(count, first, elsewhere),
            (Some(network), 1, _) => text::one_wrong_code_from(first, &network),
            (Some(network), _, false) => text::wrong_codes_from(count, first, &network),
            (Some(network), _, true) => text::wrong_codes_elsewhere_from(count, first, elsewhere, &network),
        })
    }

    /// A possible explanation of a refusal. Only for refusals: an accepted login does no more than it must.
    pub(super) fn explanation(&self, clock: &dyn Clock) -> Cow<'static, str> {
        let Self::Refused { why, factor, right_for, .. } = self else { return "".into() };
        if *right_for == Some(0) {
            return NOT_CURRENT.into();
        }
        if let Some(seconds) = right_for {
            let offset = clock_offset(*seconds);
            return format!("the code is right for a clock {offset}: set it, or run `qrtotp resync`").into();
        }
        if *why == Refusal::Malformed {
            return MALFORMED.into();
        }
        let unsynchronized = clock.discipline().is_some_and(|discipline| !discipline.synchronized);
        let by_the_clock = *factor == FactorKind::Code && *why == Refusal::WrongCode;
        if unsynchronized && by_the_clock { UNSYNCHRONIZED.into() } else { "".into() }
    }

    /// Each event of the consequences for the account: they stay true however the login ends.
    fn consequences(&self, subject: &Subject, each: &mut dyn FnMut(&Event<'_>)) {
        match self {
            Self::Accepted { proof, forgiven, .. } => {
                if forgiven.engaged {
                    let lifted = Event::new(Kind::ThrottleLifted, subject).reason("right_answer");
                    each(&lifted.failures(forgiven.failures));
                }
                match proof {
                    Proof::Device(..) => {}
                    Proof::Recovery { left, .. } => {
                        each(&Event::new(Kind::RecoveryUsed, subject).left(*left));
                    }
                    Proof::Resynchronized(id, label, _) => {
                        let event = Event::new(Kind::CredentialResynchronized, subject);
                        each(&event.credential(*id, label.as_str()));
                    }
                }
            }
            Self::Refused { why, engaged, failures, .. } => {
                if let Some(engaged) = engaged {
                    let reason = match engaged {
                        Engaged::Waiting => "waiting",
                        Engaged::Closed => "closed",
                        Engaged::TwoCodes => "two_codes",
                        Engaged::Disabled => "disabled",
                    };
                    each(&Event::new(Kind::ThrottleEngaged, subject).reason(reason).failures(*failures));
                }
                if *why == Refusal::Damaged {
                    each(&Event::new(Kind::RecordDamaged, subject).reason(why.reason()));
                }
            }
        }
    }

    /// The decision, as an event of `kind`.
    fn decision<'a>(&'a self, kind: Kind, subject: &'a Subject) -> Event<'a> {
        match self {
            Self::Accepted { proof, .. } => {
                let (reason, device) = match proof {
                    Proof::Device(id, label) => ("code", Some((id, label))),
                    Proof::Resynchronized(id, label, _) => ("two_codes", Some((id, label))),
                    Proof::Recovery { kind: SetKind::Offline, .. } => ("offline_code", None),
                    Proof::Recovery { .. } => ("recovery_code", None),
                };
                let event = Event::decision(kind, subject, Verdict::Accepted, reason);
                match device {
                    Some((id, label)) => event.credential(*id, label.as_str()),
                    None => event,
                }
            }
            Self::Refused { why, failures, credential, .. } => {
                let mut event = Event::decision(kind, subject, Verdict::Denied, why.reason());
                if !matches!(why, Refusal::UnknownUser | Refusal::NotEnrolled | Refusal::Revoked) {
                    event = event.failures(*failures);
                }
                if let Refusal::Throttled(seconds) = why {
                    event = event.wait(*seconds);
                }
                if let Some((id, label)) = credential {
                    event = event.credential(*id, label.as_str());
                }
                event
            }
        }
    }

    /// The decision, as an event of `kind` that is not part of the account's chain.
    pub(super) fn report_decision(
        &self,
        kind: Kind,
        subject: &Subject,
        detail: &str,
        audit: &mut dyn AuditSink,
    ) {
        self.decision(kind, subject).detail(detail).emit(audit);
    }
}

impl Rules<'_> {
    /// Adds what an answer changed to the account's chain. Allocates nothing.
    /// `is_familiar`: whether its place was familiar before it.
    pub(super) fn chain(
        &self,
        verification: &Verification,
        is_familiar: Option<bool>,
        state: &mut State,
        lines: &mut ChainedLines,
    ) {
        let accepted = matches!(verification, Verification::Accepted { .. });
        let is_counted = accepted || verification.counted_as().is_some();
        if is_counted {
            verification.consequences(self.subject, &mut |event| lines.add(event, self.now, state));
        }
        for anomaly in state.signs.take_found() {
            lines.add(&Event::anomaly(self.subject, anomaly), self.now, state);
        }
        if !is_counted {
            return;
        }
        let kind = if self.tried && !accepted { Kind::PasswordTried } else { self.kind };
        let decision = verification.decision(kind, self.subject).from_familiar_place(is_familiar);
        lines.add(&decision, self.now, state);
        if kind == Kind::PasswordTried {
            return;
        }
        state.decision = Some(if accepted { Decision::Accepted } else { Decision::Refused });
    }
}

impl Recorded {
    /// Logs the consequences for the account, then the decision as an event of `kind`.
    pub(super) fn report(&self, kind: Kind, subject: &Subject, audit: &mut dyn AuditSink) {
        self.report_changes(kind, subject, "", audit);
        if !self.is_reported(kind) {
            self.verification.report_decision(kind, subject, "", audit);
        }
    }

    /// Whether [`Recorded::report_changes`] logs the decision, too.
    pub(super) fn is_reported(&self, kind: Kind) -> bool {
        self.lines.has(kind)
    }

    /// Logs the consequences for the account, and the decision if it changed the account.
    pub(super) fn report_changes(
        &self,
        kind: Kind,
        subject: &Subject,
        detail: &str,
        audit: &mut dyn AuditSink,
    ) {
        if let Verification::Accepted { proof: Proof::Resynchronized(.., seconds), .. } = self.verification {
            let detail = format!("the device's clock is {}", clock_offset(seconds));
            return self.lines.emit_with(Kind::CredentialResynchronized, &detail, audit);
        }
        if let Verification::Refused { narrowed: true, .. } = self.verification {
            audit.debug(
                "fewer steps were checked than the windows of its devices have: the account has many devices",
            );
        }
        if self.lines.is_empty() {
            self.verification.consequences(subject, &mut |event| event.emit(audit));
        } else {
            self.lines.emit_with(kind, detail, audit);
        }
    }
}

/// The network of the newest wrong answer.
fn network(since: &Failures) -> Option<String> {
    let address = std::net::Ipv6Addr::from(since.from).to_canonical();
    match address {
        _ if since.at == 0 => None,
        std::net::IpAddr::V4(_) => Some(format!("{address}/24")),
        std::net::IpAddr::V6(_) => Some(format!("{address}/56")),
    }
}

/// Records that a process was killed because it held the account's lock and made no progress, if that
/// happened.
pub fn report_killed_holder(killed: Option<i32>, subject: &Subject, audit: &mut dyn AuditSink) {
    if let Some(pid) = killed {
        let subject = &looked_up(subject);
        let detail = format!("process {pid} held the account's lock and made no progress, so it was killed");
        Event::new(Kind::LockHolderKilled, subject).detail(&detail).emit(audit);
    }
}
