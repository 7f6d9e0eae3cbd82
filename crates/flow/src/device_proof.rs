//! The owner of an account proves one of its devices.

use super::answer::Answer;
use super::answer_place::AnswerPlace;
use super::enroll::EnrollError;
use super::refusal::Refusal;
use super::verification::{Recorded, Rules, Verification};
use super::verify::verify_and_record;
use super::{Ctx, Echo, EnrollDialog, NoAnswer};
use qrtotp_account::Name;
use qrtotp_audit::Kind;
use qrtotp_messages::text;
use qrtotp_store::StoreError;

/// Wrong answers that end it.
const TRIES: u32 = 3;

/// The owner of an account, and everything needed to ask them for a proof.
pub struct SelfService<'s, 'c> {
    /// The host.
    pub ctx: &'s mut Ctx<'c>,
    /// The account.
    pub name: &'s Name,
    /// Its uid now.
    pub uid: u32,
    /// The person.
    pub dialog: &'s mut dyn EnrollDialog,
}

impl SelfService<'_, '_> {
    /// Asks for a code of an enrolled device, or a recovery code, with a login's rules: throttled, used up,
    /// logged.
    pub(super) fn prove(&mut self) -> Result<(), EnrollError> {
        let mut refusal = Refusal::Malformed;
        for _ in 0..TRIES {
            let typed =
                self.dialog.ask(text::ASK_DEVICE_CODE, Echo::On).map_err(|NoAnswer| EnrollError::NoAnswer)?;
            match self.verify(&Answer::code(&typed))?.verification {
                Verification::Accepted { .. } => return Ok(()),
                Verification::Refused { why, .. } => refusal = why,
            }
            self.dialog.show(text::NOT_RIGHT);
        }
        Err(EnrollError::NotProven(refusal.reason()))
    }

    /// Verifies an answer as a proof, and logs the result.
    pub(super) fn verify(&mut self, answer: &Answer) -> Result<Recorded, StoreError> {
        let ctx = &mut *self.ctx;
        let place = AnswerPlace::of_owner(self.dialog.place());
        let rules = Rules::of(ctx, self.uid, Kind::DeviceProof, place);
        let recorded = verify_and_record(ctx.store, self.name, &rules, answer)?;
        recorded.report(Kind::DeviceProof, &ctx.subject, ctx.audit);
        Ok(recorded)
    }
}
