//! The inputs and results of a verification. The work itself is in `verify.rs`.

use super::Ctx;
use super::answer_place::AnswerPlace;
use super::refusal::Refusal;
use qrtotp_account::{
    CodeDigest, Credential, CredentialId, Engaged, EnrolmentStatus, FactorKind, Forgiven, Label, Record,
    SetKind, Side, State, Throttle, ThrottleRules,
};
use qrtotp_audit::{ChainedLines, Kind, Subject};
use qrtotp_otp::{Code, Window};
use qrtotp_store::SealKey;
use qrtotp_values::UnixTime;

/// The proof that an answer gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A device's code.
    Device(CredentialId, Label),
    /// A recovery code, with the number of those left.
    Recovery { left: u32, kind: SetKind },
    /// Two consecutive codes of a device, whose clock is from now on assumed to be this many seconds ahead of
    /// ours.
    Resynchronized(CredentialId, Label, i64),
}

/// The result of verifying an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// Right, and the code is burnt.
    Accepted {
        proof: Proof,
        forgiven: Forgiven,
        /// The account is owed recovery codes.
        codes_due: bool,
    },
    /// Refused.
    Refused {
        why: Refusal,
        factor: FactorKind,
        /// The failures in its lane, this one included.
        failures: u32,
        /// The limit that it reached.
        engaged: Option<Engaged>,
        credential: Option<(CredentialId, Label)>,
        /// The account has so many devices that their windows were narrowed.
        narrowed: bool,
        /// The code is right for a clock that is this many seconds ahead of ours. 0: for ours, but a rule
        /// with `fresh` refuses it.
        right_for: Option<i64>,
    },
}

impl Verification {
    /// A refusal without further data.
    pub(super) fn refused(why: Refusal, factor: FactorKind, failures: u32) -> Self {
        Self::Refused {
            why,
            factor,
            failures,
            engaged: None,
            credential: None,
            narrowed: false,
            right_for: None,
        }
    }

    /// The same, after reaching this limit.
    pub(super) fn engaging(mut self, limit: Option<Engaged>) -> Self {
        if let Self::Refused { engaged, .. } = &mut self {
            *engaged = limit;
        }
        self
    }

    /// The same refusal for another reason.
    pub(super) fn because(mut self, reason: Refusal) -> Self {
        if let Self::Refused { why, .. } = &mut self {
            *why = reason;
        }
        self
    }

    /// The factor for which it was counted as a failure, if it was.
    pub(super) fn counted_as(&self) -> Option<FactorKind> {
        match self {
            Self::Refused { why, factor, .. } if why.is_counted() => Some(*factor),
            Self::Refused { .. } | Self::Accepted { .. } => None,
        }
    }
}

/// The result of an answer, and the lines that it added to the account's chain.
#[derive(Debug)]
pub(super) struct Recorded {
    pub verification: Verification,
    pub lines: ChainedLines,
}

/// The parameters of a verification.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub key: &'a SealKey,
    pub uid: u32,
    pub now: UnixTime,
    /// The host's.
    pub window: Window,
    pub throttle: ThrottleRules,
    /// Whether recovery codes count.
    pub recovery: bool,
    /// No verifier of the fleet answers: only this host's break-glass codes count.
    pub offline: bool,
    /// Two consecutive codes are a step-up: both must be within the window, and the device's drift stays.
    pub step_up: bool,
    /// Only a code of the current step counts.
    pub fresh: bool,
    /// The origin of the answer.
    pub answer_place: AnswerPlace,
    /// Account, service and origin, for the log.
    pub subject: &'a Subject,
    /// The kind of event for the decision.
    pub kind: Kind,
    /// A password that may be a code: if it is not, the next answer decides.
    pub tried: bool,
    /// Such a password was counted as a wrong code in this login; a right code takes that back.
    pub tried_before: bool,
}

impl<'a> Rules<'a> {
    /// The host's, for an answer that no rule of the policy is about.
    pub(super) fn of(ctx: &'a Ctx<'_>, uid: u32, kind: Kind, answer_place: AnswerPlace) -> Self {
        Self {
            key: ctx.store.key(),
            uid,
            now: ctx.now(),
            window: ctx.config.verify.window(),
            throttle: ctx.config.throttle.rules(),
            recovery: true,
            offline: false,
            step_up: false,
            fresh: false,
            answer_place,
            subject: &ctx.subject,
            kind,
            tried: false,
            tried_before: false,
        }
    }
}

impl Rules<'_> {
    /// The lane of an answer for this record.
    pub(super) fn side(&self, record: &Record) -> Side {
        self.answer_place.side(self.key, record)
    }

    /// Whether the place of an answer is familiar to the account. `None`: this side is no place.
    pub(super) fn is_familiar(&self, side: Side, state: &State) -> Option<bool> {
        let has_place = matches!(side, Side::Place(_));
        has_place.then(|| state.throttle.is_familiar(side, self.now, &self.throttle))
    }

    /// Counts a wrong answer.
    pub(super) fn count(
        &self,
        why: Refusal,
        factor: FactorKind,
        side: Side,
        record: &Record,
        state: &mut State,
    ) -> Verification {
        // The lane of its place, even if it counts as a stranger's.
        state.throttle.remembered.end_at(self.side(record));
        let engaged = state.throttle.fail(factor, side, self.now, &self.throttle);
        self.answer_place.note(self.key, record, self.now, &mut state.throttle.since);
        let failures = state.throttle.failures_here(factor, side, self.now, &self.throttle);
        Verification::refused(why, factor, failures).engaging(engaged)
    }

    /// Counts a right code of a device.
    pub(super) fn right(
        &self,
        codes: &[CodeDigest],
        (device, side): (CredentialId, Side),
        record: &Record,
        state: &mut State,
    ) -> Forgiven {
        for code in codes {
            state.remember_code(*code);
        }
        let right = if self.tried_before { Throttle::right_after_try } else { Throttle::right };
        let forgiven = right(&mut state.throttle, side, self.now, &self.throttle);
        self.note_right(side, &forgiven, record, state);
        self.answer_place.remember(self.key, record, (device, side), self.now, &mut state.throttle);
        self.answer_place.name_elsewhere(self.key, record, forgiven)
    }

    /// Notes a right answer.
    pub(super) fn note_right(&self, side: Side, forgiven: &Forgiven, record: &Record, state: &mut State) {
        let network = self.answer_place.network(self.key, record, self.side(record));
        state.signs.right(side, forgiven.new_place, network, self.now);
    }

    /// Notes the last accepted code, given again. A place that an intercepted one made familiar is no longer.
    pub(super) fn note_repeated(&self, record: &Record, state: &mut State) {
        let side = self.side(record);
        let Some(network) = self.answer_place.network(self.key, record, side) else { return };
        let familiar = state.throttle.is_familiar(side, self.now, &self.throttle);
        if let Some(made) = state.signs.repeated(network, familiar, self.now) {
            state.throttle.forget_place(made);
        }
    }

    /// Whether an answer of this side is a stranger's.
    pub(super) fn is_strangers(&self, side: Side, state: &State) -> bool {
        side != Side::Own && !state.throttle.is_familiar(side, self.now, &self.throttle)
    }

    /// Whether this place must give two consecutive codes, because a code was intercepted.
    pub(super) fn steps_up(&self, side: Side, state: &State) -> bool {
        state.signs.two_codes_until(self.now).is_some() && self.is_strangers(side, state)
    }

    /// Notes a wrong code of a stranger. A password that was tried as a code is no guess.
    pub(super) fn suspect(&self, refused: &Verification, side: Side, state: &mut State) {
        let wrong = matches!(refused, Verification::Refused { why: Refusal::WrongCode, .. });
        if wrong && !self.tried && self.is_strangers(side, state) {
            state.signs.wrong(side, self.now);
        }
    }

    pub(super) fn digest(&self, code: &Code, record: &Record) -> CodeDigest {
        let mut what = [0; 8];
        what.iter_mut().zip(code.as_str().bytes()).for_each(|(byte, digit)| *byte = digit);
        let [a, b, c, d, e, f, g, h, ..] = self.key.digest(record.id, what);
        [a, b, c, d, e, f, g, h]
    }

    /// A device's own window replaces the host's, whether narrower or wider, but not a rule's.
    pub(super) fn window_of(&self, credential: &Credential) -> Window {
        credential.window.filter(|_| !self.fresh).unwrap_or(self.window)
    }

    /// The refusal that no answer can change.
    pub(super) fn status_refusal(&self, record: &Record) -> Option<Refusal> {
        match record.enrolment_status() {
            _ if record.uid != self.uid => Some(Refusal::UidChanged),
            _ if self.offline => None,
            EnrolmentStatus::Unenrolled => Some(Refusal::NotEnrolled),
            EnrolmentStatus::Revoked => Some(Refusal::Revoked),
            EnrolmentStatus::Enrolled => None,
        }
    }
}
