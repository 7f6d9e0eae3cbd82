//! Requests about devices: list, rename, revoke, resynchronise.

use crate::served::{Ended, Served};
use qrtotp_account::{CredentialId, EnrolmentStatus, Label};
use qrtotp_flow::{ResyncError, Selection};
use qrtotp_frontend::DeviceList;
use qrtotp_store::Store;
use qrtotp_wire::{Devices, Response};

impl From<ResyncError> for Ended {
    fn from(error: ResyncError) -> Self {
        match error {
            ResyncError::Store(error) => Self::Broken(error),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

impl Served<'_> {
    pub fn devices(&mut self, json: bool) -> Result<Response, Ended> {
        let mut devices = DeviceList::default();
        if let Some(account) = self.load_own()? {
            devices.add(&self.caller.name, &account);
        }
        self.output(|text| devices.write(text, json))
    }

    pub fn rename(&mut self, id: Option<CredentialId>, label: &Label) -> Result<Response, Ended> {
        let id = id.map_or_else(|| self.only_device(), Ok)?;
        self.as_owner(|owner| owner.rename(id, label))?;
        Ok(Response::Done(format!("{id} is called {:?} now.", label.as_str())))
    }

    pub fn revoke(&mut self, which: Devices) -> Result<Response, Ended> {
        let which = match which {
            Devices::One(id) => Selection::One(id),
            Devices::All => Selection::All,
            Devices::Only => Selection::One(self.only_device()?),
        };
        let gone = self.as_owner(|owner| owner.revoke(which))?;
        let mut text: Vec<String> = gone.iter().map(|(id, _)| format!("Revoked {id}.")).collect();
        let standing = self.store.load(&self.caller.name)?.map(|account| account.record.standing());
        if standing == Some(EnrolmentStatus::Revoked) {
            text.push("No device is left: logins are denied until an administrator issues a token.".into());
        }
        Ok(Response::Done(text.join("\n")))
    }

    /// The two codes also serve as the proof.
    pub fn resync(&mut self) -> Result<Response, Ended> {
        let found = self.as_owner(|owner| owner.resync())?;
        Ok(Response::Done(found.to_string()))
    }

    /// The only device, if the request names none. The ids are no secret to their owner.
    fn only_device(&self) -> Result<CredentialId, Ended> {
        Ok(qrtotp_flow::only_device(self.store, &self.caller.name, Some(self.caller.uid))?)
    }
}
