//! The owner of an account proves one of its devices.

use super::answer::Answer;
use super::answer_place::AnswerPlace;
use super::enroll::EnrollError;
use super::refusal::Refusal;
use super::verification::{Rules, Verification};
use super::verify::verify_and_record;
use super::{Dialog, Echo, NoAnswer};
use qrtotp_account::Name;
use qrtotp_audit::{AuditSink, Kind, Subject};
use qrtotp_clock::Clock;
use qrtotp_policy::Config;
use qrtotp_store::Store;

/// Wrong answers that end it.
const TRIES: u32 = 3;

/// The owner of an account, and everything needed to ask them for a proof.
pub struct SelfService<'a, S, D, C, A> {
    /// The account.
    pub name: &'a Name,
    /// Its uid now.
    pub uid: u32,
    /// The configuration.
    pub config: &'a Config,
    /// Where records are.
    pub store: &'a S,
    /// The person.
    pub dialog: &'a mut D,
    /// The time.
    pub clock: &'a C,
    /// Where events go.
    pub audit: &'a mut A,
    /// Account, service and origin, for the log.
    pub subject: &'a Subject,
}

impl<S: Store, D: Dialog, C: Clock, A: AuditSink> SelfService<'_, S, D, C, A> {
    /// Asks for a code of an enrolled device, or a recovery code, with a login's rules: throttled, used up,
    /// logged.
    pub(super) fn prove(&mut self) -> Result<(), EnrollError> {
        let mut refusal = Refusal::Malformed;
        for _ in 0..TRIES {
            let prompt = "Code of a device that is enrolled already (or a recovery code): ";
            let typed = self.dialog.ask(prompt, Echo::On).map_err(|NoAnswer| EnrollError::NoAnswer)?;
            let rules = Rules {
                key: self.store.key(),
                uid: self.uid,
                now: self.clock.now(),
                window: self.config.verify.window(),
                throttle: self.config.throttle.rules(),
                recovery: true,
                step_up: false,
                fresh: false,
                answer_place: AnswerPlace::OWN,
                subject: self.subject,
                kind: Kind::DeviceProof,
                tried: false,
                tried_before: false,
            };
            let recorded = verify_and_record(self.store, self.name, &rules, &Answer::code(&typed))?;
            recorded.report(Kind::DeviceProof, self.subject, self.audit);
            match recorded.verification {
                Verification::Accepted { .. } => return Ok(()),
                Verification::Refused { why, .. } => refusal = why,
            }
            self.dialog.show("That was not right.");
        }
        Err(EnrollError::NotProven(refusal.reason()))
    }
}
