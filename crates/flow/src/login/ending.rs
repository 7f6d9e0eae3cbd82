//! How a login ends, and the one place that records it.

use crate::refusal::Refusal;
use crate::verification::{Recorded, Verification};
use crate::{LoginHost, LookupError, Outcome, Unproven};
use qrtotp_account::{CredentialId, Label, Name};
use qrtotp_audit::{AuditSink, ChainedLines, Event, Kind, Priority, Subject, Verdict};
use qrtotp_clock::{Answered, Clock};
use qrtotp_messages::{Message, text};
use qrtotp_store::{Store, StoreError, StoreExt};
use std::borrow::Cow;
use std::time::Duration;

/// A refusal that must not reveal what was done ends this long after the answer, or at the next multiple.
/// Longer than the work usually takes.
pub const REFUSAL_PERIOD: Duration = Duration::from_secs(2);

/// A decision on a login that is not recorded yet.
pub(crate) struct Ending {
    verdict: Verdict,
    reason: &'static str,
    detail: Cow<'static, str>,
    /// For the user.
    message: Option<Message>,
    /// The device that decides without an answer.
    device: Option<(CredentialId, Label)>,
    /// The answer that decides.
    answer: Option<Recorded>,
    /// A refusal ends at a fixed time after this answer.
    slow: Option<(Answered, Last)>,
}

/// What follows a refusal at its fixed time.
#[derive(Clone, Copy)]
pub(super) enum Last {
    /// Nothing; but before it, the modules after us lose the password.
    WithholdPassword,
    /// The message for every refused answer, the same for every account.
    NotEnrolledHere,
}

impl Ending {
    #[inline(never)] // one copy in the module
    fn new(verdict: Verdict, reason: &'static str, detail: Cow<'static, str>) -> Box<Self> {
        Box::new(Self { verdict, reason, detail, message: None, device: None, answer: None, slow: None })
    }

    pub(crate) fn denied(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Box<Self> {
        Self::new(Verdict::Denied, reason, detail.into())
    }

    pub(crate) fn refused(refusal: Refusal) -> Box<Self> {
        Self::denied(refusal.reason(), "")
    }

    pub(super) fn unproven(Unproven { reason, detail }: Unproven) -> Box<Self> {
        Self::denied(reason, detail)
    }

    /// The module does not decide.
    pub(crate) fn ignored(reason: &'static str) -> Box<Self> {
        Self::new(Verdict::Ignored, reason, "".into())
    }

    /// By a device, without an answer.
    pub(super) fn accepted(reason: &'static str, id: CredentialId, label: Label) -> Box<Self> {
        let mut ending = Self::new(Verdict::Accepted, reason, "".into());
        ending.device = Some((id, label));
        ending
    }

    /// Denied because something on our side is broken. The message says nothing about the account.
    pub(crate) fn broken(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Box<Self> {
        Self::denied(reason, detail).showing(text::UNAVAILABLE)
    }

    pub(crate) fn lookup_failed(error: &LookupError) -> Box<Self> {
        Self::broken("lookup_failed", error.to_string())
    }

    pub(crate) fn clock_implausible() -> Box<Self> {
        Self::broken("clock_implausible", "the host's clock is before 2020; set it")
    }

    pub(super) fn user_changed() -> Box<Self> {
        Self::denied("user_changed", "the application replaced PAM_USER")
    }

    /// By the result of an answer.
    pub(super) fn answered(recorded: Recorded, detail: Cow<'static, str>) -> Box<Self> {
        let verdict = match recorded.verification {
            Verification::Accepted { .. } => Verdict::Accepted,
            Verification::Refused { .. } => Verdict::Denied,
        };
        let mut ending = Self::new(verdict, "", detail);
        ending.answer = Some(recorded);
        ending
    }

    #[inline(never)]
    pub(crate) fn showing(mut self: Box<Self>, message: Message) -> Box<Self> {
        self.message = Some(message);
        self
    }

    pub(super) fn at_fixed_time(mut self: Box<Self>, answered: Answered, last: Last) -> Box<Self> {
        self.slow = Some((answered, last));
        self
    }

    /// The event's; empty for an accepted answer.
    fn reason(&self) -> &'static str {
        match self.answer.as_ref().map(|answer| &answer.verification) {
            Some(Verification::Refused { why, .. }) => why.reason(),
            Some(Verification::Accepted { .. }) => "",
            None => self.reason,
        }
    }

    fn record(&self, subject: &Subject, audit: &mut dyn AuditSink, chain: Option<AccountChain<'_>>) {
        if let Some(answer) = &self.answer {
            if !answer.is_reported(Kind::Login) {
                answer.verification.report_decision(Kind::Login, subject, &self.detail, audit);
            }
            return;
        }
        let mut event = Event::login(subject, self.verdict, self.reason).detail(&self.detail);
        if let Some((id, label)) = &self.device {
            event = event.credential(*id, label.as_str());
        }
        let watched = subject.rule.as_ref().is_some_and(|rule| rule.at_least != Priority::Info);
        let chain = chain.filter(|_| watched && self.verdict != Verdict::Denied);
        match chain.map_or(Ok(None), |chain| chain.add(&event)) {
            Ok(Some(lines)) => lines.emit_with(Kind::Login, &self.detail, audit),
            Ok(None) => event.emit(audit),
            Err(error) => {
                event.detail(&format!("not in the account's chain: {}", error.reason())).emit(audit);
            }
        }
    }
}

/// The chain of the account that logs in. A login without an answer adds its line if its rule has `notice` or
/// `alert`: nobody can take such a line out of the log unnoticed.
#[derive(Clone, Copy)]
pub(crate) struct AccountChain<'s> {
    pub store: &'s dyn Store,
    /// Not read unless a line is added: nothing may fail after an accepted code.
    pub clock: &'s dyn Clock,
}

impl AccountChain<'_> {
    /// `None`: there is no record. Such a rule is for emergencies, so the login goes on after an error.
    #[inline(never)]
    fn add(self, event: &Event<'_>) -> Result<Option<ChainedLines>, StoreError> {
        let Ok(name) = Name::new(event.user()) else { return Ok(None) };
        let (mut lines, now) = (ChainedLines::with_room(), self.clock.now());
        let added = self.store.update_state(&name, |_, state| {
            lines.clear();
            lines.add(event, now, state);
        });
        Ok(added?.map(|()| lines))
    }
}

/// Ends a login: the only way out of it.
pub(crate) fn finish(
    subject: &Subject,
    audit: &mut dyn AuditSink,
    host: &mut dyn LoginHost,
    chain: Option<AccountChain<'_>>,
    mut ending: Box<Ending>,
) -> Outcome {
    if let Some(message) = ending.message.take() {
        host.show(message);
    }
    // After the last conversation, in which the application may have replaced the user.
    if ending.verdict != Verdict::Denied && !host.is_same_user() {
        let slow = ending.slow;
        ending = Ending::user_changed();
        ending.slow = slow;
    }
    host.explain(ending.reason(), &ending.detail);
    if ending.answer.as_ref().is_some_and(|answer| answer.verification.counted_as().is_some()) {
        host.was_counted();
    }
    let chain = chain.filter(|_| host.keeps_unasked_logins());
    ending.record(subject, audit, chain);
    match (ending.verdict, ending.slow) {
        (Verdict::Accepted, _) => return Outcome::Accepted,
        (Verdict::Ignored, _) => return Outcome::Ignored,
        (Verdict::Denied, None) => {}
        (Verdict::Denied, Some((answered, Last::WithholdPassword))) => {
            host.withhold_password();
            host.wait(answered.until_multiple_of(REFUSAL_PERIOD));
        }
        (Verdict::Denied, Some((answered, Last::NotEnrolledHere))) => {
            host.wait(answered.until_multiple_of(REFUSAL_PERIOD));
            host.show(text::NOT_ENROLLED_HERE);
        }
    }
    Outcome::Denied
}
