//! Puts a judgement into the audit log. One event says what was decided; others say what follows for the account.

use super::judge::{Judgement, Proof, Refusal};
use crate::account::ThrottleRules;
use crate::audit::{AuditSink, Event, Kind, Subject, Verdict};

impl Judgement {
    /// Records it: the decision as an event of `kind`, and what else follows for the account.
    pub(super) fn report(
        &self,
        kind: Kind,
        subject: &Subject,
        rules: &ThrottleRules,
        audit: &mut impl AuditSink,
    ) {
        match self {
            Self::Accepted { proof, failures_before, .. } => {
                if *failures_before >= rules.free_failures {
                    let lifted = Event::new(Kind::ThrottleLifted, subject).reason("right_answer");
                    lifted.failures(*failures_before).emit(audit);
                }
                match proof {
                    Proof::Device(credential, label) => {
                        Event::decision(kind, subject, Verdict::Accepted, "code")
                            .credential(*credential, label.as_str())
                            .emit(audit)
                    }
                    Proof::Recovery { left } => {
                        Event::new(Kind::RecoveryUsed, subject).left(*left).emit(audit);
                        Event::decision(kind, subject, Verdict::Accepted, "recovery_code").emit(audit);
                    }
                }
            }
            Self::Refused { why, failures, credential } => {
                let mut event =
                    Event::decision(kind, subject, Verdict::Denied, why.reason()).failures(*failures);
                if let Refusal::Throttled(seconds) = why {
                    event = event.wait(*seconds);
                }
                if let Some((id, label)) = credential {
                    event = event.credential(*id, label.as_str());
                }
                event.emit(audit);
                let counted = matches!(why, Refusal::WrongCode | Refusal::Replayed | Refusal::NoMemory);
                if counted && (*failures == rules.free_failures || *failures == rules.disable_after) {
                    let reason = if *failures == rules.disable_after { "disabled" } else { "waiting" };
                    let engaged = Event::new(Kind::ThrottleEngaged, subject).reason(reason);
                    engaged.failures(*failures).emit(audit);
                }
                if *why == Refusal::Damaged {
                    Event::new(Kind::RecordDamaged, subject).reason(why.reason()).emit(audit);
                }
            }
        }
    }
}
