//! The first code was right: the device becomes active.

use super::commit::Addition;
use super::draft::Draft;
use super::error::EnrollError;
use super::request::Enrolment;
use crate::ctx::update_chained;
use qrtotp_account::{CredentialId, Origin, TokenRefusal};
use qrtotp_audit::{Event, Kind};
use qrtotp_otp::Step;
use qrtotp_store::Account;

impl Enrolment<'_, '_> {
    /// Makes the credential active and the token consumed, in one write.
    pub(super) fn activate(&mut self, draft: &Draft, step: Step) -> Result<CredentialId, EnrollError> {
        let (request, now, subject) = (&self.request, self.ctx.now(), &self.ctx.subject);
        let addition = Addition {
            id: draft.id,
            record: draft.record,
            seen: &draft.seen,
            name: request.name,
            uid: request.uid,
            label: &draft.label,
            params: draft.params,
            origin: Origin::Enrolled,
            secret: &draft.secret,
            used: step,
            drift: 0,
            window: None,
            max_devices: usize::from(self.ctx.config.enroll.max_devices),
            now,
        };
        let key = self.ctx.store.key();
        let sealed = addition.sealed(key)?;
        let ((), lines) = update_chained(self.ctx.store, request.name, |slot, lines| {
            let mut new = addition.account(slot.as_ref())?;
            let Account { record, state } = &mut new;
            // The token first: the loser of a race for it learns that it is used.
            match (&mut record.token, &draft.own_token) {
                (Some(token), _) if token.id == draft.token => {
                    token.consume(now)?;
                    let shown_last = match draft.kept {
                        true => {
                            record.pending.as_ref().is_some_and(|pending| pending.credential.id == draft.id)
                        }
                        false => token.shows == draft.shows,
                    };
                    if !shown_last {
                        return Err(EnrollError::Token(TokenRefusal::ShownAgain));
                    }
                }
                // An admin issued a token in the meantime: use that one.
                (Some(token), Some(_)) if token.is_live(now) => return Err(EnrollError::Changed),
                (_, Some(own)) => {
                    let mut own = own.clone();
                    own.consume(now)?;
                    record.token = Some(own);
                }
                (_, None) => return Err(EnrollError::Token(TokenRefusal::Revoked)),
            }
            record.pending = None;
            record.recovery_due = record.recovery.is_none();
            lines.add(&Event::new(Kind::TokenConsumed, subject).token(draft.token), now, state);
            let confirmed =
                Event::new(Kind::EnrollmentConfirmed, subject).credential(draft.id, draft.label.as_str());
            lines.add(&confirmed.token(draft.token), now, state);
            if subject.by.is_empty() || subject.by == subject.user {
                state.signs.enrolled(state.throttle.all_places().len(), now);
            }
            for anomaly in state.signs.take_found() {
                lines.add(&Event::anomaly(subject, anomaly), now, state);
            }
            addition.add_to(&mut new, key, &sealed)?;
            addition.replace(slot, new)
        })?;
        lines.emit(self.ctx.audit);
        Ok(draft.id)
    }
}
