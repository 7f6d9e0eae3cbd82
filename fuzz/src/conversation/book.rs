//! Everything that was ever used up, kept apart from the store.

use qrtotp_account::{CredentialId, Record, State};
use qrtotp_otp::{Code, Params, Secret, Step, Window, code_at};
use qrtotp_store::{Account, SealKey};
use std::collections::HashMap;

/// A device's secret and parameters, kept even if the record loses it.
pub(super) struct Device {
    pub(super) id: CredentialId,
    pub(super) secret: Secret,
    pub(super) params: Params,
    /// If it differs from the host's.
    pub(super) window: Option<Window>,
    pub(super) revoked: bool,
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) devices: Vec<Device>,
    /// The highest step that each device got in with, or was moved past.
    burnt: HashMap<CredentialId, Step>,
}

/// The state of an account before an operation.
pub(super) type Before = Option<Account>;

impl Book {
    pub(super) fn burn(&mut self, id: CredentialId, step: Step) {
        let known = self.burnt.entry(id).or_insert(0);
        *known = step.max(*known);
    }

    pub(super) fn revoked(&mut self, which: impl Fn(CredentialId) -> bool) {
        self.devices.iter_mut().filter(|device| which(device.id)).for_each(|device| device.revoked = true);
    }

    /// Adds newly enrolled devices, and the state's record of used codes. None of it may ever go back.
    pub(super) fn look(&mut self, key: &SealKey, before: &Before, after: &Account) {
        for credential in &after.record.credentials {
            let known = self.devices.iter().find(|device| device.id == credential.id);
            assert!(known.is_none_or(|device| !device.revoked), "a revoked device is back");
            if known.is_none() {
                let secret = key.open_secret(&after.record, credential).expect("its own secret");
                self.devices.push(Device {
                    id: credential.id,
                    secret,
                    params: credential.params,
                    window: None,
                    revoked: false,
                });
            }
            let now = watermark(&after.state, credential.id);
            let was = before.as_ref().map_or(0, |before| watermark(&before.state, credential.id));
            assert!(now >= was, "a watermark fell");
            assert!(now >= self.burnt.get(&credential.id).copied().unwrap_or(0), "a used step is forgotten");
            self.burn(credential.id, now);
        }
    }

    /// Checks an accepted login: at least one device's watermark rose, each to an unused step near the
    /// present, whose code was typed.
    pub(super) fn justify(
        &self,
        typed: &[Vec<u8>],
        before: &Account,
        after: &Account,
        now: i64,
        reach: impl Fn(&Device) -> (Step, Step),
    ) {
        let mut rose = 0;
        for credential in &before.record.credentials {
            let step = watermark(&after.state, credential.id);
            if step == watermark(&before.state, credential.id) {
                continue;
            }
            rose += 1;
            let device =
                self.devices.iter().find(|device| device.id == credential.id).expect("a known device");
            assert!(!device.revoked, "let in with a revoked device");
            assert!(self.burnt.get(&device.id).is_none_or(|used| step > *used), "let in with a used code");
            let (first, last) = reach(device);
            assert!((first..=last).contains(&step), "let in with a code of step {step} at {now}");
            let code = code_at(&device.secret, device.params, step);
            assert!(
                typed.iter().any(|typed| ends_with(typed, &code)),
                "let in with a code that nobody typed"
            );
        }
        let used =
            |state: &State| before.record.recovery.as_ref().map_or(0, |set| state.recovery_used(set.id));
        let recovery = used(&after.state) - used(&before.state);
        assert_eq!(rose.min(1) + recovery, 1, "let in with nothing, or with two things");
    }
}

pub(super) fn watermark(state: &State, id: CredentialId) -> Step {
    state.credential_state(id).map_or(0, |mark| mark.watermark)
}

/// Whether the answer ends in that code, ignoring separators.
fn ends_with(typed: &[u8], code: &Code) -> bool {
    let plain: Vec<u8> = typed.iter().copied().filter(|byte| !b" -\t\r\n\x0c".contains(byte)).collect();
    plain.ends_with(code.as_str().as_bytes())
}

/// Whether the account logs in with a device.
pub(super) fn enrolled(record: &Record, uid: u32) -> bool {
    !record.credentials.is_empty() && record.uid == uid
}
