//! Devices for output: never a secret.

use crate::local;
use qrtotp_account::{Credential, CredentialState, Name, SshKey};
use qrtotp_messages::{Catalogue, text};
use qrtotp_store::Account;
use qrtotp_values::UnixTime;
use serde::Serialize;
use std::borrow::Cow;
use std::io::Write;

/// A device.
#[derive(Serialize)]
pub(crate) struct CredentialView {
    id: String,
    label: String,
    algorithm: &'static str,
    digits: u8,
    period: u32,
    created: UnixTime,
    pub(crate) last_used: Option<UnixTime>,
    origin: &'static str,
    /// Seconds by which its clock is assumed to be ahead of the host's; below 0: behind.
    clock_ahead_seconds: i64,
    /// Steps back whose codes are accepted, if the device has a window; otherwise the host's applies.
    window_back: Option<u8>,
    /// Steps ahead.
    window_ahead: Option<u8>,
}

/// A registered hardware ssh key.
#[derive(Serialize)]
pub(crate) struct SshKeyView {
    id: String,
    /// Distinguishes it from a device in a list of both: `ssh-key`.
    kind: &'static str,
    label: String,
    r#type: &'static str,
    fingerprint: String,
    created: UnixTime,
}

impl SshKeyView {
    pub(crate) fn all(account: &Account) -> Vec<Self> {
        account.record.ssh_keys.iter().map(Self::new).collect()
    }

    fn new(key: &SshKey) -> Self {
        Self {
            id: key.id.to_string(),
            kind: "ssh-key",
            label: key.label.as_str().to_owned(),
            r#type: key.kind.as_str(),
            fingerprint: key.fingerprint.to_string(),
            created: key.created,
        }
    }

    pub(crate) fn sentence(&self, catalogue: &Catalogue) -> Cow<'static, str> {
        let name = format!("{}{}", self.id, quoted(&self.label));
        catalogue.text(&text::ssh_key(&name, &self.r#type, &self.fingerprint, &local(self.created)))
    }
}

fn quoted(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!(" {label:?}") }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Device {
    App(CredentialView),
    Key(SshKeyView),
}

/// A device and its owner.
#[derive(Serialize)]
struct Owned {
    user: String,
    #[serde(flatten)]
    device: Device,
}

/// The devices of some accounts.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub struct DeviceList(Vec<Owned>);

impl DeviceList {
    /// Adds those of an account.
    pub fn add(&mut self, name: &Name, account: &Account) {
        let apps = CredentialView::all(account).into_iter().map(Device::App);
        let devices = apps.chain(SshKeyView::all(account).into_iter().map(Device::Key));
        self.0.extend(devices.map(|device| Owned { user: name.to_string(), device }));
    }

    /// Writes them: as a JSON array, or as text in this language with a line each.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write(&self, out: &mut impl Write, json: bool, catalogue: &Catalogue) -> std::io::Result<()> {
        if json {
            serde_json::to_writer_pretty(&mut *out, self)?;
            return out.write_all(b"\n");
        }
        if self.0.is_empty() {
            writeln!(out, "{}", catalogue.text(&text::LIST_EMPTY))?;
        }
        self.0.iter().try_for_each(|Owned { user, device }| {
            let sentence = match device {
                Device::App(app) => app.sentence(catalogue),
                Device::Key(key) => catalogue.text(&text::list_key(&key.sentence(catalogue))),
            };
            writeln!(out, "{user:<20} {sentence}")
        })
    }
}

impl CredentialView {
    pub(crate) fn all(account: &Account) -> Vec<Self> {
        let devices = account.record.credentials.iter();
        devices.map(|device| Self::new(device, account.state.mark(device.id))).collect()
    }

    fn new(credential: &Credential, mark: Option<&CredentialState>) -> Self {
        let steps = mark.map_or(0, |mark| mark.drift);
        Self {
            id: credential.id.to_string(),
            label: credential.label.as_str().to_owned(),
            algorithm: credential.params.algorithm().as_str(),
            digits: credential.params.digits(),
            period: credential.params.period(),
            created: credential.created,
            last_used: mark.map(|mark| mark.last_used).filter(|at| *at != 0),
            origin: credential.origin.as_str(),
            clock_ahead_seconds: i64::from(steps) * i64::from(credential.params.period()),
            window_back: credential.window.map(|window| window.back),
            window_ahead: credential.window.map(|window| window.ahead),
        }
    }

    pub(crate) fn sentence(&self, catalogue: &Catalogue) -> Cow<'static, str> {
        let name = format!("{}{}", self.id, quoted(&self.label));
        let created = local(self.created);
        let origin = catalogue.text(&match self.origin {
            "imported" => text::imported_on(&created),
            _ => text::enrolled_on(&created),
        });
        let used = self.last_used.map_or_else(|| catalogue.text(&text::NEVER), |at| local(at).into());
        let Self { algorithm, digits, period, .. } = self;
        let mut device = catalogue.text(&text::device(&name, algorithm, digits, period, &origin, &used));
        match self.clock_ahead_seconds {
            0 => {}
            seconds @ 1.. => device = catalogue.text(&text::clock_ahead(&device, &seconds)),
            seconds => device = catalogue.text(&text::clock_behind(&device, &seconds.unsigned_abs())),
        }
        if let (Some(back), Some(ahead)) = (self.window_back, self.window_ahead) {
            device = catalogue.text(&text::own_window(&device, &back, &ahead));
        }
        device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_not_say_what_stands_behind_it() {
        let device = CredentialView {
            id: "c-7F3K2M".into(),
            label: "x\": SHA512, 8 digits \\".into(),
            algorithm: "SHA1",
            digits: 6,
            period: 30,
            created: 0,
            last_used: None,
            origin: "enrolled",
            clock_ahead_seconds: 0,
            window_back: None,
            window_ahead: None,
        };
        let sentence = device.sentence(Catalogue::ENGLISH);
        assert!(sentence.starts_with(r#"c-7F3K2M "x\": SHA512, 8 digits \\": SHA1, 6 digits"#), "{sentence}");
        let plain = CredentialView { label: "Alice's téléphone".into(), ..device };
        let sentence = plain.sentence(Catalogue::ENGLISH);
        assert!(sentence.contains(" \"Alice's téléphone\":"), "{sentence}");
    }
}
