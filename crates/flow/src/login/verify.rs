//! Verifies an answer at a login, and what follows from its result.

use super::Login;
use super::ending::Ending;
use super::factor::Factor;
use crate::answer::Answer;
use crate::answer_place::AnswerPlace;
use crate::refusal::{Due, Refusal};
use crate::verification::{Proof, Recorded, Rules, Verification};
use crate::verify::{simulate_for_unknown, verify_and_record};
use crate::{Echo, FirstPass, Unproven};
use qrtotp_account::{FactorKind, Name, ThrottleRules};
use qrtotp_audit::{Event, Kind};
use qrtotp_messages::text;
use qrtotp_policy::FirstLogin;
use qrtotp_store::StoreError;

impl Login<'_, '_> {
    /// With `try_first_pass`: the password may be a code. A refusal does not end the login.
    pub(super) fn try_password(
        &mut self,
        account: Option<&(Name, u32)>,
        password: Option<&Vec<u8>>,
    ) -> Result<Option<Recorded>, Box<Ending>> {
        let answer = match (self.options.first_pass, password) {
            (FirstPass::Try, Some(password)) if !self.ruling.steps_up() => Answer::code(password),
            _ => return Ok(None),
        };
        if matches!(answer, Answer::Malformed) {
            return Ok(None);
        }
        let recorded = self.record_one(account, &answer, self.ctx.config.throttle.rules(), true);
        match recorded.map_err(|error| self.broken(&error))? {
            accepted @ Recorded { verification: Verification::Accepted { .. }, .. } => {
                Err(self.after(account, accepted, Factor::None))
            }
            refused => {
                // For everybody: a line takes time, and time must not tell who is enrolled.
                if !refused.is_reported(Kind::PasswordTried) {
                    let Self { ctx, .. } = self;
                    refused.verification.report_decision(Kind::PasswordTried, &ctx.subject, "", ctx.audit);
                }
                Ok(Some(refused))
            }
        }
    }

    /// Verifies the answer to our question. `tried` is the result of the password before it. `factor` may
    /// prove the primary factor, for recovery codes that are owed.
    pub(super) fn verify(
        &mut self,
        account: Option<&(Name, u32)>,
        answer: &Answer,
        tried: Option<&Recorded>,
        factor: Factor<'_>,
    ) -> Result<Box<Ending>, Box<Ending>> {
        self.same_user()?; // before a code is used up
        let mut throttle = self.ctx.config.throttle.rules();
        let counted = tried.and_then(|tried| tried.verification.counted_as());
        self.ruling.tried_password = counted == Some(FactorKind::Code);
        if counted == Some(answer.factor()) {
            throttle.max_wait = 0;
        }
        let mut recorded = self.record(account, answer, throttle);
        if let Ok(Recorded {
            verification: Verification::Refused { why: Refusal::TwoCodesDue(due), .. },
            ..
        }) = recorded
        {
            self.host.show(match due {
                Due::Guessed => text::NETWORK_GUESSES,
                Due::Intercepted => text::CODE_GIVEN_TWICE,
            });
            if let Ok(typed) = self.host.ask(text::QUESTION_TWO_CODES, Echo::Off) {
                // A client that answers every question with the same text must not count as guessing.
                if answer.is_code(&typed) {
                    self.ruling.one_field = due == Due::Guessed;
                    if self.ruling.one_field {
                        recorded = self.record(account, answer, throttle);
                    }
                } else {
                    self.ruling.outcome = qrtotp_policy::Outcome::TwoCodes;
                    recorded = self.record(account, &Answer::pair_or_recovery(&typed), throttle);
                }
            }
        }
        let recorded = recorded.map_err(|error| self.broken(&error))?;
        Ok(self.after(account, recorded, factor))
    }

    /// Verifies an answer and records its consequences for the account.
    pub(super) fn record(
        &mut self,
        account: Option<&(Name, u32)>,
        answer: &Answer,
        throttle: ThrottleRules,
    ) -> Result<Recorded, StoreError> {
        self.record_one(account, answer, throttle, false)
    }

    /// The same for one reading of the answer; `tried`: a password that may be a code.
    fn record_one(
        &mut self,
        account: Option<&(Name, u32)>,
        answer: &Answer,
        throttle: ThrottleRules,
        tried: bool,
    ) -> Result<Recorded, StoreError> {
        let one_field =
            self.ruling.one_field || matches!(self.options.first_pass, FirstPass::Use | FirstPass::Forward);
        self.note_key();
        let ctx = &mut self.ctx;
        let mut answer_place =
            AnswerPlace::with(ctx.subject.key.as_ref(), &ctx.subject, self.host, one_field);
        answer_place.origin = self.ruling.remember.map(|(_, origin)| origin);
        let uid = account.map_or(u32::MAX, |(_, uid)| *uid);
        let rules = Rules {
            throttle,
            recovery: self.ruling.recovery,
            step_up: self.ruling.steps_up(),
            fresh: self.ruling.fresh,
            tried,
            tried_before: self.ruling.tried_password,
            ..Rules::of(ctx, uid, Kind::Login, answer_place)
        };
        let recorded = match account {
            None => simulate_for_unknown(ctx.store, &rules, answer, self.ruling.nobody),
            Some((name, _)) => verify_and_record(ctx.store, name, &rules, answer)?,
        };
        // At once: a later dialogue may end the process, and lines must keep the order of the chain.
        let detail = recorded.verification.explanation(ctx.clock);
        recorded.report_changes(Kind::Login, &ctx.subject, &detail, ctx.audit);
        Ok(recorded)
    }

    /// After a verification: what the user must know, and recovery codes that are owed.
    pub(super) fn after(
        &mut self,
        account: Option<&(Name, u32)>,
        recorded: Recorded,
        factor: Factor<'_>,
    ) -> Box<Ending> {
        let verification = &recorded.verification;
        match verification {
            Verification::Accepted { proof, codes_due, .. } => {
                if let Proof::Recovery { left, .. } = proof {
                    self.host.show(text::recovery_code_used(left));
                }
                if let Some(notice) = verification.notice() {
                    self.host.show(notice);
                }
                if let (true, Some((name, _))) = (*codes_due, account) {
                    self.hand_over_owed_codes(name, factor);
                }
            }
            Verification::Refused { why: Refusal::NotEnrolled, .. }
                if self.ctx.config.defaults.first_login == FirstLogin::Allow =>
            {
                return Ending::denied("grace_over", "");
            }
            Verification::Refused { .. } => {}
        }
        let detail = verification.explanation(self.ctx.clock);
        Ending::answered(recorded, detail)
    }

    pub(super) fn broken(&mut self, error: &StoreError) -> Box<Ending> {
        Ending::unproven(self.unreadable(error)).showing(text::UNAVAILABLE)
    }

    /// Why the record can't be used. Damage is an event of its own.
    pub(super) fn unreadable(&mut self, error: &StoreError) -> Unproven {
        let (reason, detail) = (error.reason(), error.to_string());
        if error.is_record_fault() {
            let damaged = Event::new(Kind::RecordDamaged, &self.ctx.subject);
            damaged.reason(reason).detail(&detail).emit(self.ctx.audit);
        }
        Unproven { reason, detail }
    }
}
