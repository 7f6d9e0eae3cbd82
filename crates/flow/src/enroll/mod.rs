//! Enrolment, in the order in which it happens. Nothing is active before the first code is verified: if the
//! user stops half-way, the account stays unenrolled, with at most a QR code that ends with its time limit.

mod activate;
mod authorize;
mod commit;
mod dialog;
mod draft;
mod error;
mod first_code;
mod fresh;
mod recovery;
mod request;
mod token_code;

pub(super) use authorize::permitted;
pub(super) use commit::{AccountSnapshot, Addition, record_id};
pub use dialog::{CodesDelivery, EnrollDialog, Offer, QrState, Reply};
pub use error::EnrollError;
pub use recovery::Codes;
pub(super) use recovery::{hand_over, replace_codes};
pub use request::{Authority, Enrolled, EnrolmentRequest, ExistingCode};
pub(super) use token_code::try_token_code;

use super::Ctx;
use qrtotp_account::CredentialId;
use qrtotp_audit::{Event, Kind};
use request::{Enrolment, Progress};

/// Enrols one device.
///
/// # Errors
/// See [`EnrollError`]; in every case the account has no new credential.
pub fn enroll(
    ctx: &mut Ctx<'_>,
    dialog: &mut dyn EnrollDialog,
    request: EnrolmentRequest<'_>,
) -> Result<Enrolled, EnrollError> {
    let mut enrolment = Enrolment { ctx, dialog, request, progress: Progress::default() };
    let ended = enrolment.steps();
    enrolment.finish(ended)
}

impl Enrolment<'_, '_> {
    fn steps(&mut self) -> Result<CredentialId, EnrollError> {
        self.permit()?;
        // Also before resuming: otherwise a user without the code could end or guess the owner's draft.
        self.ask_token_code()?;
        let mut draft = match self.resume()? {
            Some(draft) => draft,
            None => self.draw()?,
        };
        self.progress.begun = true;
        loop {
            let next = match self.first_code(&draft) {
                Ok(Some(step)) => return self.activate(&draft, step),
                Ok(None) => self.ask_token_code().and_then(|()| self.draw()), // another QR code
                Err(error) => Err(error),
            };
            draft = next.inspect_err(|error| {
                if !matches!(error, EnrollError::NoAnswer) {
                    self.withdraw(&draft);
                }
            })?;
        }
    }

    /// After a right code hands over recovery codes; otherwise logs why the enrolment ended.
    fn finish(self, ended: Result<CredentialId, EnrollError>) -> Result<Enrolled, EnrollError> {
        let Self { ctx, dialog, request, progress } = self;
        let credential = ended.inspect_err(|error| {
            let kind = match error {
                _ if !progress.begun => Kind::EnrollmentRefused,
                EnrollError::TimeUp => Kind::EnrollmentExpired,
                _ => Kind::EnrollmentAbandoned,
            };
            let detail = if error.is_refusal() { String::new() } else { error.to_string() };
            Event::new(kind, &ctx.subject).reason(error.reason()).detail(&detail).emit(ctx.audit);
        })?;
        let codes = match ctx.store.load(request.name).transpose() {
            None => Codes::Unchanged,
            Some(account) => hand_over(ctx, account, dialog),
        };
        Ok(Enrolled { credential, codes })
    }
}
