//! Requests about devices: list, rename, revoke, resynchronise.

use crate::served::{Ended, Served};
use qrtotp_account::{CredentialId, EnrolmentStatus, Label};
use qrtotp_audit::AuditSink;
use qrtotp_flow::{ResyncError, Selection};
use qrtotp_frontend::DeviceList;
use qrtotp_messages::text;
use qrtotp_store::Store;
use qrtotp_wire::{Devices, Response};

impl From<ResyncError> for Ended {
    fn from(error: ResyncError) -> Self {
        match error {
            ResyncError::Store(error) => Self::Broken(error),
            refused => Self::Refused(refused.message()),
        }
    }
}

impl<S: Store, L: AuditSink> Served<'_, S, L> {
    pub fn devices(&mut self, json: bool) -> Result<Response, Ended> {
        let mut devices = DeviceList::default();
        if let Some(account) = self.load_own()? {
            devices.add(&self.caller.name, &account);
        }
        let catalogue = self.person.catalogue;
        self.output(|text| devices.write(text, json, catalogue))
    }

    pub fn rename(&mut self, id: Option<CredentialId>, label: &Label) -> Result<Response, Ended> {
        let id = id.map_or_else(|| self.only_device(), Ok)?;
        self.as_owner(|owner| owner.rename(id, label))?;
        Ok(Response::Done(self.text(&text::device_renamed(&id, &format!("\"{}\"", label.as_str())))))
    }

    pub fn revoke(&mut self, which: Devices) -> Result<Response, Ended> {
        let which = match which {
            Devices::One(id) => Selection::One(id),
            Devices::All => Selection::All,
            Devices::Only => Selection::One(self.only_device()?),
        };
        let gone = self.as_owner(|owner| owner.revoke(which))?;
        let mut lines: Vec<String> =
            gone.iter().map(|(id, _)| self.text(&text::device_revoked(id))).collect();
        let status = self.store.load(&self.caller.name)?.map(|account| account.record.enrolment_status());
        if status == Some(EnrolmentStatus::Revoked) {
            lines.push(self.text(&text::NO_DEVICE_LEFT));
        }
        Ok(Response::Done(lines.join("\n")))
    }

    /// The two codes also serve as the proof.
    pub fn resync(&mut self) -> Result<Response, Ended> {
        let found = self.as_owner(|owner| owner.resync())?;
        Ok(Response::Done(self.text(&found.message())))
    }

    /// The only device, if the request names none. The ids are no secret to their owner.
    fn only_device(&self) -> Result<CredentialId, Ended> {
        Ok(qrtotp_flow::only_device(self.store, &self.caller.name, Some(self.caller.uid))?)
    }
}
